"""Texts as words, and words as hashes that are the same in every process and on every machine."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

OPERATORS = "+-*/=<>^%"
"""Words of their own: ``3 + 4`` and ``3 - 4`` are two texts."""
HELD = 200_000
"""Words whose hash is remembered; rationales repeat theirs."""

_WORD = re.compile(rf"[^\W_]+|[{re.escape(OPERATORS)}]")
_BLANKS = {code: " " for code in range(128) if not chr(code).isalnum()}
_BLANK = str.maketrans({code: to for code, to in _BLANKS.items() if chr(code) not in OPERATORS})
_MIX = np.uint64(0x9E3779B97F4A7C15)


def words(text: str) -> list[str]:
    """Letters and digits in lower case, and `OPERATORS`."""
    folded = text.casefold()
    if not folded.isascii():
        return _WORD.findall(folded)
    # the same words as by the pattern, in a third of the time
    folded = folded.translate(_BLANK)
    for operator in OPERATORS:
        if operator in folded:
            folded = folded.replace(operator, f" {operator} ")
    return folded.split()


class _Held(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) >= HELD:
            self.clear()
        value = int.from_bytes(
            blake2b(word.encode(errors="replace"), digest_size=8).digest(), "little"
        )
        self[word] = value
        return value


_held = _Held()


def hashed(text: str) -> array[int]:
    """The 64-bit hash of each word."""
    return array("Q", map(_held.__getitem__, words(text)))


def whole(hashes: array[int]) -> bytes:
    """64 bits of a whole text."""
    return blake2b(hashes.tobytes(), digest_size=8).digest()


class Batch:
    """Texts one after the other, so that numpy goes through all of them at once.

    Attributes:
        hashes: Of every word, shape (words,).
        starts: Where each text begins and the last one ends, shape (texts + 1,).
    """

    def __init__(self, texts: Sequence[array[int]]) -> None:
        joined = array("Q")
        for text in texts:
            joined.extend(text)
        self.hashes: Hashes = np.frombuffer(joined, dtype=np.uint64)
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        self.starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])

    @property
    def owners(self) -> NDArray[np.int64]:
        """The number of each word's text, shape (words,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def ngrams(self, size: int) -> tuple[Hashes, NDArray[np.int64]]:
        """Hashes of `size` words in a row within one text, and where each begins."""
        count = max(len(self.hashes) - size + 1, 0)
        found = np.zeros(count, dtype=np.uint64)
        for offset in range(size):
            found = found * _MIX + self.hashes[offset : offset + count]
        owners = self.owners
        inside = np.flatnonzero(owners[:count] == owners[size - 1 : size - 1 + count])
        # a product's low bits depend on low bits alone
        found = found[inside]
        return found ^ (found >> np.uint64(29)), inside
