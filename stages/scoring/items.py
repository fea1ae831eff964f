"""Results as items: what came of each question, whether it was asked once or often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stages.core.jsonl import digest

MACRO = "macro"
"""What the mean over tasks is filed under."""


class Item(NamedTuple):
    """One question of a run's predictions.

    Args:
        share: Of its samples, those that are right, from 0 to 1; of one sample 0 or 1. Results are
            paired by it, so that a question counts once however often it was asked.
        question: What tells its question and gold answer from any other.
        samples: How many answers there are to it.
    """

    share: float
    question: str
    samples: int = 1


Items = Mapping[str, Mapping[str, Item]]
"""By task and id."""
Runs = Mapping[str, Items]
"""By run, task and id."""
Counts = Mapping[str, Mapping[str, tuple[float, int]]]
"""Right answers and items, by run and task; of several samples an item, the sum of its shares."""


def outcomes(predictions: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Item]]:
    """The questions of ``predictions.jsonl``, which has one line a sample, by task and id."""
    right: dict[tuple[str, str], list[bool]] = {}
    made: dict[str, dict[str, Item]] = {}
    for row in predictions:
        task, name = row["task"], row["id"]
        seen = right.setdefault((task, name), [])
        seen.append(bool(row["correct"]))
        if len(seen) == 1:
            question = digest([row["question"], row["gold"]])
            made.setdefault(task, {})[name] = Item(float(seen[0]), question)
        else:
            share, before = sum(seen) / len(seen), made[task][name]
            made[task][name] = before._replace(share=share, samples=len(seen))
    return made


def sampled(found: Iterable[Item]) -> int:
    """The most answers that any of the questions has; 1 when there are none."""
    return max((item.samples for item in found), default=1)


def tally(runs: Runs) -> Counts:
    """The numbers that items come to."""
    return {
        run: {
            task: (sum(item.share for item in held.values()), len(held))
            for task, held in tasks.items()
        }
        for run, tasks in runs.items()
    }


def reported(metrics: Any) -> Counts:
    """The numbers of ``metrics.json``; right answers are taken back from a rounded accuracy.

    Raises:
        ValueError: It is something else.
    """
    counts: dict[str, dict[str, tuple[float, int]]] = {}
    try:
        for run, tasks in metrics.items():
            counts[run] = {}
            for task, score in tasks.items():
                accuracy, n = score["accuracy"], score["n"]
                if not 0 <= accuracy <= 1 or n < 0:
                    raise ValueError(f"an accuracy of {accuracy} of {n} items")
                if task != MACRO and n:
                    right = accuracy * n
                    counts[run][task] = right if score.get("samples", 1) > 1 else round(right), n
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no accuracies by run and task: {error}") from None
    return counts
