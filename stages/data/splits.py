"""Cutting row streams into splits.

A stream is what a source gives for one `from`, shuffled when a seed is given. A split takes a run
of rows of one stream; `after` starts it behind another split, so that the two cannot share a row.
Grouped rows move together: a split that ends inside a group leaves the rest of it unused, so that
no group is in two splits (the template-wise split of Ho et al. 2022, appendix E.3).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, MutableSequence, Sequence
from random import Random
from typing import Any

from stages.core.errors import Problem, UserError, nearest
from stages.data.spool import Picked

GENERATED = "generated"
"""The `from` of sources that have one stream."""
SPARE = 4
"""So many times the rows are drawn where groups are kept whole and leave some unused."""

Rows = Sequence[dict[str, Any]]
Split = Mapping[str, Any]


def take_splits(
    splits: Mapping[str, Split],
    load: Callable[[str, int], Rows],
    group: Callable[[dict[str, Any]], str] | None = None,
) -> dict[str, Rows]:
    """The rows of every split, by split name, in the order of `splits`.

    Args:
        splits: By name: ``from`` (which stream), ``take`` (how many rows; all that are left when
            absent), ``seed`` (shuffles; source order when absent), ``after`` (another split).
        load: Gives the rows of one `from`. Called once for each, with the number of rows that the
            splits reach into the stream: generators make so many, finite sources give all they
            have. Shuffling acts on all rows given.
        group: What rows of one group have in common; None splits row by row.
    """
    chains = _chains(splits)
    need: dict[str, int] = {}
    for name, chain in chains.items():
        source = _stream(splits[name])[0]
        reach = sum(splits[link].get("take") or 0 for link in chain) * (SPARE if group else 1)
        need[source] = max(need.get(source, 0), reach)
    loaded = {source: load(source, count) for source, count in need.items()}
    streams: dict[tuple[str, int | None], _Stream] = {}
    for split in splits.values():
        source, seed = _stream(split)
        if (source, seed) not in streams:
            streams[source, seed] = _Stream(loaded[source], seed, group)

    taken: dict[str, Rows] = {}
    problems = []
    for name, chain in chains.items():
        stream = streams[_stream(splits[name])]
        start, stop = 0, 0
        for link in chain:
            start = stream.next_group(stop)
            take = splits[link].get("take")
            stop = len(stream) if take is None else min(start + take, len(stream))
        take = splits[name].get("take")
        taken[name] = stream.cut(start, stop)
        if len(taken[name]) < (1 if take is None else take):
            problems.append(_too_few(name, splits[name], max(0, len(stream) - start)))
    if problems:
        raise UserError(problems)
    return taken


class _Stream:
    """A source's rows in the order in which they are cut, the rows of a group side by side."""

    def __init__(
        self, rows: Rows, seed: int | None, group: Callable[[dict[str, Any]], str] | None
    ) -> None:
        self._rows = rows
        self._order: Sequence[int] = range(len(rows))
        if seed is not None:
            shuffled: MutableSequence[int] = array("Q", self._order)
            Random(seed).shuffle(shuffled)
            self._order = shuffled
        self._ends: list[int] = []
        if group:
            groups: dict[str, list[int]] = {}
            for index in self._order:
                groups.setdefault(group(rows[index]), []).append(index)
            self._order = array("Q", (index for part in groups.values() for index in part))
            for part in groups.values():
                self._ends.append((self._ends[-1] if self._ends else 0) + len(part))

    def __len__(self) -> int:
        return len(self._order)

    def next_group(self, at: int) -> int:
        """The first place, from `at` on, where a split may begin."""
        if not self._ends or at == 0:
            return at
        return self._ends[bisect_left(self._ends, at)]

    def cut(self, start: int, stop: int) -> Rows:
        return Picked(self._rows, self._order[start:stop])


def _stream(split: Split) -> tuple[str, int | None]:
    return split.get("from", GENERATED), split.get("seed")


def _chains(splits: Mapping[str, Split]) -> dict[str, list[str]]:
    """For each split, the splits in front of it in its stream, first to last, then itself."""
    problems = list(_bad_links(splits))
    chains: dict[str, list[str]] = {}
    for name in splits:
        chain = [name]
        while (previous := splits.get(chain[-1], {}).get("after")) is not None:
            if previous in chain:
                if previous == name:
                    round_trip = " after ".join(repr(link) for link in [*chain, name])
                    problems.append(
                        _problem(
                            name,
                            "E407",
                            f"the splits run in a circle: {round_trip}",
                            "let one of them start the stream, without `after`",
                        )
                    )
                break
            chain.append(previous)
        chains[name] = chain[::-1]
    if problems:
        raise UserError(problems)
    return chains


def _bad_links(splits: Mapping[str, Split]) -> Iterator[Problem]:
    for name, split in splits.items():
        previous = split.get("after")
        if previous is None:
            continue
        if previous not in splits:
            message = f"`after` names the unknown split {previous!r}"
            others = [other for other in splits if other != name]
            yield _problem(name, "E407", message, nearest(previous, others))
        elif _stream(splits[previous]) != _stream(split):
            yield _problem(
                name,
                "E407",
                f"`after` names {previous!r}, which is cut from another stream",
                "give both the same `from` and `seed`",
            )


def _too_few(name: str, split: Split, left: int) -> Problem:
    take, previous = split.get("take"), split.get("after")
    wanted = "the rest" if take is None else take
    rows = "is 1 row" if left == 1 else f"are {left} rows"
    where = f"behind {previous!r}" if previous else f"in {_stream(split)[0]!r}"
    if previous:
        hint = "lower `take`, here or in the splits before it"
    elif take is None:
        hint = "a generated source needs `take`; a data set needs rows"
    else:
        hint = f"lower `take` to {left}" if left else "the source gave no rows"
    message = f"the split takes {wanted}, but there {rows} {where}"
    return _problem(name, "E408", message, hint)


def _problem(name: str, code: str, message: str, hint: str) -> Problem:
    return Problem(f"data.splits.{name}", 0, 0, code, message, hint)
