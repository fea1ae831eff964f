"""Near-duplicates among a row's rationales, and of what other rows keep."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.curation.duplicates import Kept
from stages.curation.judged import Rationale
from stages.curation.minhash import PLACES, Signatures, similarity


class Near:
    """Finds them, task by task and strategy by strategy.

    Args:
        threshold: Similarity from which a rationale is a near-duplicate.
        folder: Where files may lie while it lives.
    """

    def __init__(self, threshold: float, folder: Path) -> None:
        self.threshold, self.folder = threshold, folder
        self._held: dict[tuple[str, str], Kept] = {}

    def repeated(self, row: Mapping[str, Any], rationales: Sequence[Rationale]) -> list[str]:
        """What each of one row and strategy nearly repeats: a name, or "" for nothing.

        One before it that repeats nothing, or one that is held. A text without words repeats
        nothing.
        """
        made = [""] * len(rationales)
        signed = [number for number, one in enumerate(rationales) if one.signature]
        places = _stacked([rationales[number] for number in signed])
        alike = (similarity(places[:, None], places) >= self.threshold).tolist()
        fresh: list[int] = []
        for at, number in enumerate(signed):
            one = rationales[number]
            twin = next((before for before in fresh if alike[at][before]), None)
            if twin is None:
                made[number] = self._of(row, one).like(places[at], _bands(one)) or ""
            else:
                made[number] = _name(row, rationales[signed[twin]])
            if not made[number]:
                fresh.append(at)
        return made

    def hold(self, row: Mapping[str, Any], rationales: Sequence[Rationale]) -> None:
        """Remember those that are kept."""
        for one in rationales:
            if one.signature:
                self._of(row, one).add(_stacked([one])[0], _bands(one), _name(row, one))

    def _of(self, row: Mapping[str, Any], one: Rationale) -> Kept:
        key = row["task"], one.strategy
        if key not in self._held:
            self._held[key] = Kept(self.threshold, self.folder)
        return self._held[key]


def _name(row: Mapping[str, Any], one: Rationale) -> str:
    return f"{row['id']}/{one.strategy}/{one.sample}"


def _stacked(rationales: Sequence[Rationale]) -> Signatures:
    joined = b"".join(one.signature for one in rationales)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(rationales), PLACES)


def _bands(one: Rationale) -> array[int]:
    return array("I", one.bands)
