"""What a run's predictions come to, by task and over tasks: the content of ``scores.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from stages.scoring import clustered
from stages.scoring.items import MACRO
from stages.scoring.judge import accuracy, by_task
from stages.scoring.samples import avg_at_k, maj_at_k, pass_at_k, tied
from stages.scoring.verify import agrees

UNEQUAL_TEXTS = ("number", "maths", "f1")
"""Answer types of which two canonical forms can be one answer."""

Prediction = Mapping[str, Any]
Scores = dict[str, dict[str, Any]]


def scores(
    predictions: Sequence[Prediction],
    tasks: Mapping[str, Mapping[str, Any]],
    samples: int = 1,
    ks: Sequence[int] = (1,),
) -> Scores:
    """The scores of each task, and their mean over tasks under ``macro``.

    Args:
        predictions: Lines of ``predictions.jsonl``; those of an item side by side, in the order
            sampled.
        tasks: ``tasks.json`` of the run.
        samples: Lines of each item.
        ks: For which pass@k and maj@k are told, each from 1 to `samples`.

    Returns:
        By task ``accuracy`` with its 95 % interval ``ci_low`` to ``ci_high`` and ``n``, its items;
        ``format_followed`` and ``mean_tokens`` over all answers; ``f1`` for tasks of that type.
        With several samples, the accuracy is their mean, and ``samples``, ``avg@n``, ``pass@k``,
        ``maj@k`` and ``maj_ties`` stand beside it: of the items, those where as many of all n
        samples gave another answer as gave the majority's.

    Raises:
        ValueError: A task has no predictions.
    """
    groups = by_task(predictions, tasks)
    made: Scores = {}
    shares = []
    for name, group in groups.items():
        kind = tasks[name]["answer"]["type"]
        items = [group[at : at + samples] for at in range(0, len(group), samples)]
        shares.append([fmean(sample["correct"] for sample in item) for item in items])
        made[name] = {
            **(accuracy([sample["correct"] for sample in group]) if samples == 1 else {}),
            **(_several(items, kind, shares[-1], samples, ks) if samples > 1 else {}),
            "format_followed": _mean([sample["follows_format"] for sample in group]),
            "mean_tokens": _mean([sample["completion_tokens"] for sample in group]),
            **({"f1": _mean([sample["f1"] for sample in group])} if kind == "f1" else {}),
        }
    middle, low, high = clustered.macro(shares, samples)
    made[MACRO] = {
        "accuracy": round(middle, 4), "ci_low": round(low, 4), "ci_high": round(high, 4),
        "n": sum(map(len, shares)), **({"samples": samples} if samples > 1 else {}),
    }  # fmt: skip
    return made


def _several(
    items: Sequence[Sequence[Prediction]],
    kind: str,
    shares: Sequence[float],
    samples: int,
    ks: Sequence[int],
) -> dict[str, Any]:
    right = [sum(sample["correct"] for sample in item) for item in items]
    low, high = clustered.interval(shares, samples)
    mean = fmean(avg_at_k(samples, count, samples) for count in right)
    votes = [_votes(item, kind) for item in items]
    return {
        "accuracy": round(mean, 4), "ci_low": round(low, 4), "ci_high": round(high, 4),
        "n": len(items), "samples": samples, f"avg@{samples}": round(mean, 4),
        **{f"pass@{k}": _mean([pass_at_k(samples, count, k) for count in right]) for k in ks},
        **{f"maj@{k}": _mean([maj_at_k(*vote, k) for vote in votes]) for k in ks},
        "maj_ties": sum(tied(answers) for answers, _ in votes),
    }  # fmt: skip


def _votes(item: Sequence[Prediction], kind: str) -> tuple[list[str | None], list[bool]]:
    """Answers and verdicts of an item's samples; what is one answer is written as its first.

    The gold is not looked at, as a vote has none: 0.5 and 1/2 vote together because the verifier
    takes one for the other, and count as the first of them was judged.
    """
    verdicts: dict[str, bool] = {}
    answers: list[str | None] = []
    for sample in item:
        answer = sample["answer"]
        if answer is not None and answer not in verdicts:
            alike = (first for first in verdicts if _alike(answer, first, kind))
            answer = next(alike, answer)
            verdicts.setdefault(answer, bool(sample["correct"]))
        answers.append(answer)
    return answers, [answer is not None and verdicts[answer] for answer in answers]


def _alike(one: str, other: str, kind: str) -> bool:
    return kind in UNEQUAL_TEXTS and agrees(one, other, kind)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
