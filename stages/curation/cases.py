"""Train rows put together with the teacher's rationales for them, both read as streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from stages.core.errors import user_error

FIELDS = ("id", "task", "question", "gold", "options", "answer", "worked")
"""What of a train row decides; the rest, its prompts above all, is left behind."""


@dataclass(slots=True)
class Case:
    """A row, and every rationale that there is for it.

    Args:
        row: Of ``train.jsonl``, cut down to `FIELDS`.
        items: Lines of ``build/rationales``.
    """

    row: dict[str, Any]
    items: list[dict[str, Any]]


def joined(
    rows: Iterable[Mapping[str, Any]], rationales: Iterable[dict[str, Any]], file: str
) -> Iterator[Case]:
    """The rows that have rationales, in order.

    Args:
        rows: Of ``train.jsonl``.
        rationales: Of ``build/rationales``, in the order of the rows, as ``teach`` writes them.
        file: What messages call the second.

    Raises:
        UserError: E515 for a rationale whose row is not there, or comes too late.
    """
    left = iter(rows)
    for name, items in groupby(rationales, key=itemgetter("id")):
        row = next((row for row in left if row["id"] == name), None)
        if row is None:
            raise user_error(
                file, "E515", f"there is no train row {name!r}, or it is out of order",
                "run `dvc repro`, which writes it anew for the rows of today",
            )  # fmt: skip
        yield Case({field: row[field] for field in FIELDS}, list(items))
