"""Near-duplicates of what was kept before, found in memory that holds no text.

Locality-sensitive hashing by bands (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets",
chapter 3). A kept rationale costs its name, its signature and a slot a band, here in flat arrays:
0.7 KB, where a dictionary for each band, as datasketch has, takes 4 KB.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from stages.curation.minhash import PLACES, Signatures, similarity

CHAIN = 16
"""Rationales looked at, and held, under one band's hash, which all of a template may share."""
FIRST = 1024
"""Slots and signatures at the start; both double when they are full."""


class Kept:
    """The signatures of the rationales kept so far, of one task and strategy.

    Args:
        threshold: Similarity from which a rationale is a near-duplicate.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.names: list[str] = []
        self._signatures: Signatures = np.empty((FIRST, PLACES), dtype=np.uint8)
        # a slot holds a band's hash and, in its lower half, the number of the rationale plus one
        self._slots = array("Q", bytes(8 * FIRST))
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
        near = similarity(self._signatures[numbers], signature) >= self.threshold
        first = int(near.argmax())
        return self.names[numbers[first]] if near[first] else None

    def add(self, signature: Signatures, bands: Iterable[int], name: str) -> None:
        """Hold one more."""
        number = len(self.names)
        if number == len(self._signatures):
            more = np.empty((2 * number, PLACES), dtype=np.uint8)
            more[:number] = self._signatures
            self._signatures = more
        self._signatures[number] = signature
        self.names.append(name)
        for band in bands:
            self._put(band, band << 32 | number + 1)
        if 3 * self._used > 2 * len(self._slots):
            old = self._slots
            self._slots, self._used = array("Q", bytes(16 * len(old))), 0
            for entry in filter(None, old):
                self._put(entry >> 32, entry)

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
