"""Near-duplicates of what was kept before, found in memory that holds no text.

Locality-sensitive hashing by bands (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets",
chapter 3). A kept rationale costs its name, its signature and a slot a band, here in flat arrays:
0.7 KB, where a dictionary for each band, as datasketch has, takes 4 KB. Large ones lie in files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stages.curation.minhash import PLACES, Signatures, similarity
from stages.curation.room import larger, room

CHAIN = 16
"""Rationales looked at, and held, under one band's hash, which all of a template may share."""
FIRST = 1024
"""Slots and signatures at the start; both double when they are full."""
_ENTRY = 8
"""Bytes of a slot, and of the end of a name."""


class Kept:
    """The signatures of the rationales kept so far, of one task and strategy.

    Args:
        threshold: Similarity from which a rationale is a near-duplicate.
        folder: Where files may lie while it lives.
    """

    def __init__(self, threshold: float, folder: Path) -> None:
        self.threshold = threshold
        self._folder = folder
        self._count = 0
        self._signatures = room(FIRST * PLACES, folder)
        self._names = room(64 * FIRST, folder)
        self._ends = room(FIRST * _ENTRY, folder)
        # a slot holds a band's hash and, in its lower half, the number of the rationale plus one
        self._slots = room(FIRST * _ENTRY, folder).cast("Q")
        self._used = 0

    def like(self, signature: Signatures, bands: Iterable[int]) -> str | None:
        """The name of the first kept one that is as similar as that; None when there is none."""
        slots, last = self._slots, len(self._slots) - 1
        found = set()
        for band in bands:
            slot, seen = band & last, 0
            while entry := slots[slot]:
                if entry >> 32 == band:
                    found.add((entry & 0xFFFFFFFF) - 1)
                    seen += 1
                    if seen == CHAIN:
                        break
                slot = (slot + 1) & last
        if not found:
            return None
        numbers = sorted(found)
        held = np.frombuffer(self._signatures, dtype=np.uint8).reshape(-1, PLACES)
        near = similarity(held[numbers], signature) >= self.threshold
        first = int(near.argmax())
        return self._name(numbers[first]) if near[first] else None

    def add(self, signature: Signatures, bands: Iterable[int], name: str) -> None:
        """Hold one more."""
        self._sign(signature)
        self._call(name)
        self._count += 1
        for band in bands:
            self._put(band, band << 32 | self._count)
        if 3 * self._used > 2 * len(self._slots):
            old = self._slots
            self._slots, self._used = room(2 * old.nbytes, self._folder).cast("Q"), 0
            for entry in filter(None, old):
                self._put(entry >> 32, entry)

    def _sign(self, signature: Signatures) -> None:
        start = self._count * PLACES
        if start == len(self._signatures):
            self._signatures = larger(self._signatures, self._folder)
        self._signatures[start : start + PLACES] = signature.tobytes()

    def _call(self, name: str) -> None:
        text, ends = name.encode(errors="surrogatepass"), self._ends.cast("Q")
        if self._count == len(ends):
            self._ends = larger(self._ends, self._folder)
            ends = self._ends.cast("Q")
        start = ends[self._count - 1] if self._count else 0
        end = ends[self._count] = start + len(text)
        if end > len(self._names):
            self._names = larger(self._names, self._folder, end)
        self._names[start:end] = text

    def _name(self, number: int) -> str:
        ends = self._ends.cast("Q")
        start = ends[number - 1] if number else 0
        return bytes(self._names[start : ends[number]]).decode(errors="surrogatepass")

    def _put(self, band: int, entry: int) -> None:
        slots, last = self._slots, len(self._slots) - 1
        slot, seen = band & last, 0
        while held := slots[slot]:
            if held >> 32 == band:
                seen += 1
                if seen == CHAIN:
                    return
            slot = (slot + 1) & last
        slots[slot] = entry
        self._used += 1
