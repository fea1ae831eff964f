"""The yield report: what was kept and dropped, and whether that made the training set easier.

A row is hard when few of the teacher's samples are right. With one sample a row that says little,
so length stands in: of the gold rationale where every row has one, else of the question. A filter
that keeps right answers keeps easy rows rather than hard ones, and a student is then trained on
other questions than it is tested on.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stages.curation.decide import Outcome
from stages.curation.settings import KEPT, WORKED

SHOWN = 5
"""Vanished rows that are named; all of them are among the dropped rationales."""
NEVER, SOMETIMES, ALWAYS = "never right", "sometimes right", "always right"
THIRDS = ("shortest third", "middle third", "longest third")


class Group:
    """The rows of one task under one strategy."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.added: Counter[str] = Counter()
        self.vanished: list[str] = []
        self._right = Means()
        self._parts: dict[str, list[int]] = {part: [0, 0] for part in (NEVER, SOMETIMES, ALWAYS)}
        self._most = 0  # samples a row
        self._trained, self._asked, self._gold = array("I"), array("I"), array("I")

    @property
    def rows(self) -> int:
        """Rows that have a rationale, whatever became of it."""
        return len(self._trained)

    @property
    def kept(self) -> int:
        """Rows that something is trained on of."""
        return self.rows - self._trained.count(0)

    def add(self, row: Mapping[str, Any], outcome: Outcome) -> None:
        """Count one row."""
        trained = len(outcome.kept) + len(outcome.added)
        self.reasons.update(one.reason for one in outcome.samples)
        self.added.update("repeated" if one.copy else WORKED for one in outcome.added)
        if not trained and len(self.vanished) < SHOWN:
            self.vanished.append(row["id"])
        right = [one.right for one in outcome.samples if one.sample != WORKED]
        share = sum(right) / len(right)
        self._most = max(self._most, len(right))
        self._right.add(share, trained)
        part = self._parts[NEVER if not share else ALWAYS if share == 1 else SOMETIMES]
        part[0] += 1
        part[1] += bool(trained)
        self._trained.append(trained)
        self._asked.append(len(row["question"].split()))
        self._gold.append(len(row["worked"].get(outcome.strategy, "").split()))

    def told(self) -> dict[str, Any]:
        """For the report's first line."""
        return {
            "rows": self.rows,
            "kept": self.kept,
            "vanished": self.vanished,
            "added": dict(self.added),
            "difficulty": self._by_samples() if self._most > 1 else self._by_length(),
        }

    def _by_samples(self) -> dict[str, Any]:
        parts = [_part(name, *counts) for name, counts in self._parts.items()]
        return {"by": "share of samples that are right", **self._right.told(), "parts": parts}

    def _by_length(self) -> dict[str, Any]:
        gold = all(self._gold)
        lengths = self._gold if gold else self._asked
        means = Means()
        counts = [[0, 0] for _ in THIRDS]
        ordered = sorted(lengths)
        ends = [ordered[(part * len(ordered) - 1) // 3] for part in (1, 2)]
        for length, trained in zip(lengths, self._trained, strict=True):
            means.add(length, trained)
            third = counts[sum(length > end for end in ends)]
            third[0] += 1
            third[1] += bool(trained)
        parts = [_part(name, *pair) for name, pair in zip(THIRDS, counts, strict=True)]
        by = f"words of the {'gold rationale' if gold else 'question'}"
        return {"by": by, **means.told(), "parts": parts}


class Means:
    """Means of a value over rows: over all, over those that are trained on, and as trained on."""

    def __init__(self) -> None:
        self._sums, self._counts = [0.0, 0.0, 0.0], [0, 0, 0]

    def add(self, value: float, trained: int) -> None:
        """One row, which so many training rows come from."""
        for place, weight in enumerate((1, bool(trained), trained)):
            self._sums[place] += weight * value
            self._counts[place] += weight

    def told(self) -> dict[str, float | None]:
        """``before``: all rows alike; ``after``: those kept; ``trained``: each training row."""
        means = [
            round(total / count, 4) if count else None
            for total, count in zip(self._sums, self._counts, strict=True)
        ]
        return dict(zip(("before", "after", "trained"), means, strict=True))


def _part(name: str, rows: int, kept: int) -> dict[str, Any]:
    return {"part": name, "rows": rows, "kept": kept}


class Tally:
    """The groups of a suite.

    Args:
        tasks: Their ids, in order.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        self.groups: dict[str, dict[str, Group]] = {task: {} for task in tasks}

    def add(self, row: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
        """Count one row under each of its strategies."""
        by_strategy = self.groups[row["task"]]
        for outcome in outcomes:
            by_strategy.setdefault(outcome.strategy, Group()).add(row, outcome)

    def header(self) -> dict[str, Any]:
        """The first line of ``build/yield``."""
        return {
            "counts": {
                task: {strategy: dict(group.reasons) for strategy, group in groups.items()}
                for task, groups in self.groups.items()
            },
            "rows": {
                task: {strategy: group.told() for strategy, group in groups.items()}
                for task, groups in self.groups.items()
            },
        }

    def summary(self) -> str:
        """One line; a row counts once under each strategy."""
        groups = [group for by_strategy in self.groups.values() for group in by_strategy.values()]
        reasons = sum((group.reasons for group in groups), Counter[str]())
        added = sum((group.added for group in groups), Counter[str]())
        rows, kept = sum(group.rows for group in groups), sum(group.kept for group in groups)
        line = f"kept {reasons[KEPT]} of {reasons.total()} rationales"
        dropped = [f"{count} {why}" for why, count in reasons.most_common() if why != KEPT]
        if dropped:
            line += f" (dropped: {', '.join(dropped)})"
        if added:
            line += f", added {added.total()}"
        if rows > kept:
            line += f", nothing kept of {rows - kept} of {rows} rows"
        return line
