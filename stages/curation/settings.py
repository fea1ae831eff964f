"""The section ``curate`` of ``params.yaml`` with its defaults, and the reasons for dropping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import UserError, user_error
from stages.data.file import load

ANSWER, NONE, GOLD = "answer", "none", "gold"
"""What `filter` may be."""
WORKED = "worked"
"""In the place of a sample's number: the row's own solution, which no teacher wrote."""

KEPT = "kept"
REFUSED = "refused by the endpoint"
CUT_SHORT = "cut short"
NO_ANSWER = "no answer found"
WRONG = "wrong answer"
UNSOUND = "not among the sound"
REPLACED = "replaced by the row's own"
TOO_LONG = "too long"
OVERLAP = "overlaps a test row"
NEAR = "near-duplicate"
NOT_SHORTEST = "not among the shortest"
NOT_DIVERSE = "not among the most diverse"

Name = tuple[str, str, int]
"""A rationale: row, strategy, number of the sample."""


@dataclass(frozen=True)
class Settings:
    """See ``specs/schema/params.schema.json``; None and 0 stand for a filter that is off."""

    filter: str = ANSWER
    let_through: float = 0.0
    seed: int = 1
    sound: frozenset[Name] | None = None
    max_tokens: int | None = None
    ngram: int | None = None
    common: int = 5
    near_duplicates: float | None = None
    shortest: int | None = None
    diverse: int | None = None
    floor: int = 0

    @staticmethod
    def of(section: Mapping[str, Any], top: Path) -> Settings:
        """From checked YAML data.

        Args:
            section: ``curate`` of ``params.yaml``.
            top: The repository root, where paths start.

        Raises:
            UserError: E401 to E403 when the file of sound rationales is not as stated.
        """
        given = {key: value for key, value in section.items() if value is not None}
        against, keep = given.get("decontaminate"), given.get("keep", {})
        return Settings(
            filter=given["filter"],
            let_through=given.get("let_through", 0.0),
            seed=given.get("seed", 1),
            sound=_sound(given["sound"], top) if "sound" in given else None,
            max_tokens=given.get("max_tokens"),
            ngram=None if against is None else against.get("ngram", 13),
            common=(against or {}).get("common", 5),
            near_duplicates=given.get("near_duplicates"),
            shortest=keep.get("shortest"),
            diverse=keep.get("diverse"),
            floor=given.get("floor", 0),
        )

    @property
    def counts_tokens(self) -> bool:
        """Whether the student's tokenizer is needed."""
        return self.max_tokens is not None or self.shortest is not None

    @property
    def compares(self) -> bool:
        """Whether rationales are compared with each other."""
        return self.near_duplicates is not None or self.diverse is not None


def _sound(source: Mapping[str, str], top: Path) -> frozenset[Name]:
    """The rationales that somebody judged sound: lines of ``build/curated``, other keys unread."""
    rows = load(top / source["file"], source["sha256"], source["file"])
    names = set()
    for number, row in enumerate(rows, start=1):
        lacking = [key for key in ("id", "strategy", "sample") if key not in row]
        if lacking:
            raise _refused(source["file"], number, f"has no {lacking[0]!r}")
        try:
            names.add((str(row["id"]), str(row["strategy"]), int(row["sample"])))
        except (TypeError, ValueError):
            told = f"has the sample {row['sample']!r}, which is no number"
            raise _refused(source["file"], number, told) from None
    return frozenset(names)


def _refused(file: str, number: int, told: str) -> UserError:
    return user_error(
        file, "E403", f"row {number} {told}",
        "copy lines of build/curated, which have id, strategy and sample",
    )  # fmt: skip
