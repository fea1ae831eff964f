"""One completion against one row: the answer found, and whether it is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.scoring.extract import extract, follows_format
from stages.scoring.stats import wilson
from stages.scoring.verify import agrees


@dataclass(frozen=True)
class Verdict:
    """`rationale` is what precedes the statement of the answer, or all when it is not set apart.

    `rule` is the index of the extraction rule that found the answer; None when none did.
    """

    answer: str | None
    correct: bool
    follows_format: bool
    rationale: str
    rule: int | None = None


def judge(completion: str, row: Mapping[str, Any], task: Mapping[str, Any]) -> Verdict:
    """Extract and verify.

    Args:
        completion: What the model wrote.
        row: A compiled row: `gold` and `options`.
        task: The row's entry in ``tasks.json``.
    """
    answer, options = task["answer"], row["options"]
    if "stop" in answer:
        completion = completion.partition(answer["stop"])[0]
    found = extract(completion, answer["extract"], answer["type"], options)
    return Verdict(
        answer=found.answer,
        correct=found.answer is not None
        and agrees(found.answer, row["gold"], answer["type"], options),
        follows_format=follows_format(found),
        rationale=completion[: found.start].strip(),
        rule=found.rule,
    )


def by_task(rows: Iterable[Mapping[str, Any]], tasks: Iterable[str]) -> dict[str, list[Any]]:
    """Rows grouped by their task, in the tasks' order; a task without rows is an empty list."""
    groups: dict[str, list[Any]] = {task: [] for task in tasks}
    for row in rows:
        groups[row["task"]].append(row)
    return groups


def accuracy(outcomes: Sequence[bool]) -> dict[str, float]:
    """Accuracy with its 95 % Wilson interval and n, rounded for a metrics file."""
    low, high = wilson(sum(outcomes), len(outcomes))
    mean = sum(outcomes) / len(outcomes) if outcomes else 0.0
    return {
        "accuracy": round(mean, 4),
        "ci_low": round(low, 4),
        "ci_high": round(high, 4),
        "n": len(outcomes),
    }
