"""Rows of any family of reasoning-gym, the library of procedural reasoning tasks.

Stojanovski et al., *Reasoning Gym: Reasoning Environments for Reinforcement Learning with
Verifiable Rewards* (arXiv 2505.24760). Its family ``gsm_symbolic`` follows Mirzadeh et al.,
*GSM-Symbolic* (arXiv 2410.05229) and carries a worked solution in its metadata.

The library seeds item `i` of most families with ``seed + i``, so two sources whose seeds differ by
less than their row counts share rows: take splits of one source rather than two near seeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.core.errors import nearest, user_error
from stages.data.plain import plain

BLOCK = 500
"""Rows drawn at a time. Part of the recipe: some families let the size decide what item `i` is."""


def generate(
    seed: int, count: int, *, family: str, config: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Distinct questions with gold answers; worked solutions where the family records them.

    Args:
        seed: Decides every row, with `family` and `config`.
        count: How many rows; fewer come back when the family runs out of new questions.
        family: A name that the library registers, such as ``gsm_symbolic``.
        config: The family's own settings.
    """
    rows: dict[str, dict[str, Any]] = {}
    if count > 0:
        for new in _blocks(seed, family, dict(config or {})):
            before = len(rows)
            for entry in new:
                row = _row(family, entry)
                rows.setdefault(row["question"], row)
                if len(rows) == count:
                    break
            if len(rows) in (before, count):
                break
    return list(rows.values())


def _blocks(seed: int, family: str, config: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
    try:
        from reasoning_gym import create_dataset
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise user_error(
            "reasoning_gym",
            "E409",
            "the package 'reasoning-gym' is not installed",
            "install it, or choose another source",
        ) from error
    if family not in DATASETS:
        raise user_error(
            "reasoning_gym",
            "E404",
            f"unknown family {family!r}",
            nearest(family, DATASETS),
        )
    for name in ("seed", "size"):
        if name in config:
            raise user_error(
                "reasoning_gym",
                "E404",
                f"config of family {family!r} sets {name!r}",
                "give `seed` beside `config`; the size follows from the splits",
            )
    start = seed
    while True:
        try:
            block = create_dataset(family, seed=start, size=BLOCK, **config)
        except (TypeError, ValueError, AssertionError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise user_error(
                "reasoning_gym",
                "E404",
                f"family {family!r} refuses its config: {reason}",
                "see the family's config class in reasoning-gym",
            ) from error
        # By index, since iterating keeps its position in the data set itself.
        yield (block[place] for place in range(BLOCK))
        start += BLOCK


def _row(family: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry["answer"] is None:
        raise user_error(
            "reasoning_gym",
            "E404",
            f"family {family!r} has rows without a gold answer",
            "choose a family whose rows carry an answer",
        )
    answer = str(entry["answer"])
    end = f"The answer is {answer}."
    worked = {"direct": end}
    solution = entry["metadata"].get("answer_cot")
    if family == "gsm_symbolic" and solution:
        # The solution may end in 36.0 where the gold answer is 36; the gold one is written.
        worked["step_by_step"] = re.sub(r"\n*#### *\S+\s*\Z", "", solution) + f"\n{end}"
    return {
        "question": str(entry["question"]),
        "answer": answer,
        "metadata": plain(entry["metadata"]),
        "worked": worked,
    }
