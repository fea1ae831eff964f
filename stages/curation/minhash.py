"""MinHash signatures of texts: what share of their word triples two texts have in common.

Broder 1997, "On the resemblance and containment of documents"; signatures are kept at 8 bits a
place (Li and König 2010, "b-bit minwise hashing"), which costs little precision: the standard
error at a similarity of 0.8 is 0.036.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.curation.words import Batch

SHINGLE = 3
"""Words in a row that are one item of a text's set."""
PLACES = 128
RECALL = 0.99
"""Share of the pairs at the threshold that the bands must find."""

Signatures = NDArray[np.uint8]

_PAD = array("Q", [1])
_draw = np.random.Generator(np.random.PCG64(20_221_210))
_FACTORS = _draw.integers(0, 2**31, PLACES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_TERMS = _draw.integers(0, 2**32, PLACES, dtype=np.uint32)
_MIX = np.uint64(0x9E3779B97F4A7C15)


def minima(texts: Sequence[array[int]]) -> NDArray[np.uint32]:
    """The least hash of each text under each of `PLACES` functions, shape (texts, `PLACES`).

    Args:
        texts: Word hashes; a text shorter than a shingle is one shingle, an empty one too.
    """
    padded = [
        text + _PAD * (SHINGLE - len(text)) if len(text) < SHINGLE else text for text in texts
    ]
    batch = Batch(padded)
    shingles, at = batch.ngrams(SHINGLE)
    values = (shingles >> np.uint64(32)).astype(np.uint32)
    firsts = np.searchsorted(at, batch.starts[:-1])
    made = np.empty((len(texts), PLACES), dtype=np.uint32)
    for place in range(PLACES if len(texts) else 0):
        made[:, place] = np.minimum.reduceat(values * _FACTORS[place] + _TERMS[place], firsts)
    return made


def signatures(least: NDArray[np.uint32]) -> Signatures:
    """8 bits of each minimum, shape (texts, `PLACES`)."""
    # the upper bits of a minimum are nearly all zero
    made: Signatures = (least * np.uint32(0x85EBCA6B) >> np.uint32(24)).astype(np.uint8)
    return made


def similarity(many: Signatures, one: Signatures) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of each of `many` to `one`, shape (many,)."""
    equal = (many == one).mean(axis=-1)
    estimate: NDArray[np.float64] = np.maximum((equal - 1 / 256) / (1 - 1 / 256), 0.0)
    return estimate


def width(threshold: float) -> int:
    """Places in a band: as many as still find `RECALL` of the pairs at the threshold."""
    fitting = [
        size
        for size in range(1, PLACES + 1)
        if 1 - (1 - threshold**size) ** (PLACES // size) >= RECALL
    ]
    return max(fitting, default=1)


def bands(least: NDArray[np.uint32], size: int) -> NDArray[np.uint32]:
    """A hash of each `size` places, shape (texts, `PLACES` // size): similar texts share some."""
    count = PLACES // size
    parts = least[:, : count * size].reshape(len(least), count, size).astype(np.uint64)
    made = np.broadcast_to(np.arange(count, dtype=np.uint64), parts.shape[:2]).copy()
    for place in range(size):
        made = (made ^ parts[:, :, place]) * _MIX
        made ^= made >> np.uint64(32)
    found: NDArray[np.uint32] = (made >> np.uint64(16)).astype(np.uint32)
    return found
