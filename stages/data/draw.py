"""What the procedural generators share: a stream of distinct rows that depends on a seed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from stages.core.errors import user_error

PATIENCE = 1000
"""So many repeats in a row mean that the generator has next to nothing new left to ask."""


def distinct(
    seed: int, count: int, draw: Callable[[Random], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The first `count` rows of the seed's stream, skipping questions asked before.

    A longer result begins with the shorter one, so asking for more rows never changes those at
    hand. The result is shorter than `count` when the questions run out.
    """
    rng = Random(seed)
    rows: dict[str, dict[str, Any]] = {}
    repeats = 0
    while len(rows) < count and repeats < PATIENCE:
        row = draw(rng)
        if row["question"] in rows:
            repeats += 1
        else:
            rows[row["question"]] = row
            repeats = 0
    return list(rows.values())


def check_range(generator: str, option: str, value: int, low: int, high: int) -> None:
    """Refuse an option that the generator cannot honour."""
    if not low <= value <= high:
        raise user_error(
            generator,
            "E404",
            f"option {option!r} is {value}, outside {low} to {high}",
            f"choose {option!r} from {low} to {high}",
        )


def listed(words: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *head, last = words
    return f"{', '.join(head)} and {last}" if head else last
