"""Which of a row's rationales the student learns, in the one order in which filters apply.

1. whole: not refused, not cut short, with an answer
2. the answer filter, with what is let through
3. sound: judged so by somebody
4. `max_tokens`
5. `decontaminate`
6. `filter: gold`: the row's own solution in place of those that are left
7. `near_duplicates`, of what other rows keep and of the row's earlier samples
8. `keep`
9. `floor`, which adds and never drops

The first that objects gives the reason. `judged` and `measure` see to 1 to 5, which look at one
rationale alone, and this module to the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.curation.cases import Case
from stages.curation.choose import diverse, shortest
from stages.curation.judged import Rationale
from stages.curation.settings import (
    GOLD,
    KEPT,
    NEAR,
    NOT_DIVERSE,
    NOT_SHORTEST,
    REPLACED,
    WORKED,
    Settings,
)

if TYPE_CHECKING:
    from stages.curation.near import Near


@dataclass
class Outcome:
    """What came of a row under a strategy.

    Args:
        samples: The teacher's, and under ``filter: gold`` the row's own solution; each with its
            reason.
        added: What `floor` adds: the row's own solution, and repeats of what is trained on.
    """

    strategy: str
    samples: list[Rationale]
    added: list[Rationale] = field(default_factory=list)

    @property
    def kept(self) -> list[Rationale]:
        """The samples that are trained on."""
        return [one for one in self.samples if one.reason == KEPT]


class Decide:
    """Goes through the rows in order, and remembers of what was kept what near-duplicates need.

    Args:
        settings: What to do.
        folder: Where files may lie while it lives.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._near: Near | None = None
        if settings.near_duplicates:
            from stages.curation.near import Near

            self._near = Near(settings.near_duplicates, folder)

    def __call__(self, case: Case, rationales: Sequence[Rationale]) -> list[Outcome]:
        """The outcome under each strategy.

        Args:
            case: The row.
            rationales: What `measure.Measure` made of it; their reasons are filled in.
        """
        groups: dict[str, list[Rationale]] = {}
        for one in rationales:
            groups.setdefault(one.strategy, []).append(one)
        return [self._under(case.row, *group) for group in groups.items()]

    def _under(self, row: dict[str, Any], strategy: str, group: list[Rationale]) -> Outcome:
        own = next((one for one in group if one.sample == WORKED), None)
        gold = self.settings.filter == GOLD
        made = Outcome(strategy, [one for one in group if gold or one is not own])
        if gold and own and own.reason == KEPT:
            for one in made.kept:
                if one is not own:
                    one.reason = REPLACED
        if self._near:
            samples = made.kept
            for one, near in zip(samples, self._near.repeated(row, samples), strict=True):
                if near:
                    one.reason, one.near = NEAR, near
        self._choose(made.kept)
        made.added = list(self._more(row, made.kept, own))
        if self._near:
            self._near.hold(row, [one for one in (*made.kept, *made.added) if not one.copy])
        return made

    def _choose(self, samples: Sequence[Rationale]) -> None:
        if self.settings.shortest:
            chosen, reason = shortest(samples, self.settings.shortest), NOT_SHORTEST
        elif self.settings.diverse:
            chosen, reason = diverse(samples, self.settings.diverse), NOT_DIVERSE
        else:
            return
        names = {one.sample for one in chosen}
        for one in samples:
            if one.sample not in names:
                one.reason = reason

    def _more(
        self, row: dict[str, Any], kept: list[Rationale], own: Rationale | None
    ) -> Iterator[Rationale]:
        """What `floor` adds; a teacher's wrong rationale is never among it."""
        lacking = self.settings.floor - len(kept)
        if lacking <= 0:
            return
        usable = own and own.reason == KEPT and all(one.text != own.text for one in kept)
        if own and usable and not (self._near and self._near.repeated(row, [*kept, own])[-1]):
            kept = [*kept, own]
            lacking -= 1
            yield own
        for copy, one in (
            islice(((n, one) for n in count(1) for one in kept), lacking) if kept else ()
        ):
            yield replace(one, copy=copy)
