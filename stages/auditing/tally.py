"""Readings counted by task and strategy, and some of each kind drawn for a person to look at."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from stages.auditing.readings import Reading
from stages.scoring.clustered import interval

Rank = tuple[str, int]
Stratum = tuple[bool, str]
"""Accepted or not, and the reason."""


@dataclass
class Counts:
    """One task under one strategy.

    Args:
        total: Rationales.
        accepted: Of them.
        by_first: Accepted ones whose answer the task's first rule read.
        theirs: Those that their publisher took for right; of `known`.
        known: Those with a publisher's reading on record.
        rows: Right and all rationales of each question.
    """

    total: int = 0
    accepted: int = 0
    by_first: int = 0
    theirs: int = 0
    known: int = 0
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        """Count one."""
        self.total += 1
        self.accepted += reading.accepted
        self.by_first += reading.accepted and reading.rule == 0
        if reading.predicted is not None:
            self.known += 1
            self.theirs += reading.predicted == reading.gold
        right, all_ = self.rows.get(reading.row, (0, 0))
        self.rows[reading.row] = right + reading.accepted, all_ + 1

    @property
    def limits(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy; several rationales of one question count as alike."""
        most = max((all_ for _, all_ in self.rows.values()), default=1)
        return interval([right / all_ for right, all_ in self.rows.values()], most)


class Tally:
    """Holds counts, every difference, and the rationales drawn; the rest goes by.

    Args:
        wanted: Accepts, and as many rejects, of each task.
        seed: Decides which. A rationale's place in the draw depends on its own name and the seed
            alone, so that new rows do not shuffle what a person has judged already.
    """

    def __init__(self, wanted: int, seed: int) -> None:
        self.counts: dict[tuple[str, str], Counts] = {}
        self.differ: list[Reading] = []
        self._wanted, self._seed, self._seen = wanted, seed, 0
        self._drawn: dict[str, dict[Stratum, list[tuple[Rank, Reading]]]] = {}

    def add(self, readings: Iterable[Reading]) -> None:
        """Count and draw."""
        for one in readings:
            self.counts.setdefault((one.task, one.strategy), Counts()).add(one)
            if not one.agreed:
                self.differ.append(one)
            self._draw(one)

    def chosen(self, task: str, *, accepted: bool) -> list[Reading]:
        """The rationales drawn, one of each reason in turn, the reasons in the alphabet's order."""
        strata = self._drawn.get(task, {})
        held = [
            [one for _, one in sorted(drawn, reverse=True)]
            for (right, _), drawn in sorted(strata.items())
            if right == accepted
        ]
        turns = (one for turn in zip_longest(*held) for one in turn if one)
        return [one for _, one in zip(range(self._wanted), turns, strict=False)]

    def _draw(self, one: Reading) -> None:
        strata = self._drawn.setdefault(one.task, {})
        drawn = strata.setdefault((one.accepted, one.why), [])
        name = f"{self._seed}\0{one.task}\0{one.row}\0{one.strategy}\0{one.sample}"
        # ties, which only rows of one name can have, go by order
        self._seen -= 1
        rank = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest(), self._seen
        if len(drawn) < self._wanted:
            heapq.heappush(drawn, (rank, one))
        elif drawn and rank > drawn[0][0]:
            heapq.heapreplace(drawn, (rank, one))
