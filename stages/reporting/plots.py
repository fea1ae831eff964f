"""Rows for the bars of ``dvc plots``, one a bar, under the names that ``dvc.yaml`` gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Bar = dict[str, Any]


def accuracy_plot(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[Bar]:
    """Accuracy of each run on each task, from 0 to 1, and the mean over tasks."""
    for run, scores in metrics.items():
        for task, score in scores.items():
            yield {"run_task": f"{run}/{task}", "accuracy": score["accuracy"]}


def answers_plot(predictions: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[Bar]:
    """By run, lines of ``predictions.jsonl``: how many answers are right, wrong, or none."""
    for run, rows in predictions.items():
        counts = Counter((row["task"], _outcome(row)) for row in rows)
        for (task, outcome), count in sorted(counts.items()):
            yield {"run_task_outcome": f"{run}/{task}: {outcome}", "answers": count}


def yield_plot(yields: Mapping[str, Mapping[str, Any]]) -> Iterator[Bar]:
    """By suite, the first line of ``build/yield``: what became of how many rationales."""
    for header in yields.values():
        for task, strategies in header["counts"].items():
            for strategy, reasons in strategies.items():
                for reason, count in reasons.items():
                    name = f"{task}/{strategy}: {reason}"
                    yield {"task_strategy_reason": name, "rationales": count}


def _outcome(row: Mapping[str, Any]) -> str:
    if row["correct"]:
        return "right"
    if row["answer"] is not None:
        return "wrong"
    return "cut short" if row["finish_reason"] == "length" else "no answer"
