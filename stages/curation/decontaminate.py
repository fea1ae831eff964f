"""Training texts against the questions of every `test` row, by word n-grams.

As in Brown et al. 2020 (arXiv 2005.14165, appendix C), a text overlaps a test row when they share
`ngram` words in a row; there, n-grams that many documents hold are left out. Questions made from a
template need more than that: whatever stands between two names of a coin flip is in every row, so a
name in common is enough for 13 words in common. Here a word of a test question is boilerplate when
three words in a row with it stand in many test rows of its task, and an n-gram counts when most of
its words are not. What no n-gram is left of, and what is shorter than one, is compared whole.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.curation.words import Batch, Hashes, hashed, whole, words

CONTEXT = 3
"""Words in a row that make boilerplate; the least that stands between two names of a template."""
SHARE = 10
"""Boilerplate stands in one of so many rows of its task, where `common` rows would be more."""
FEWEST = 3
"""Rows that it takes at least: two may just be versions of one question."""


@dataclass(frozen=True)
class Overlap:
    """What a training text shares: the test row's id and the words, blanks between."""

    test: str
    text: str


class Questions:
    """The questions of all test rows.

    Args:
        rows: `id`, `task` and `question` of each, those of a task together.
        ngram: Words in a row that are an overlap.
        common: Test rows of a task in which boilerplate stands.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], ngram: int, common: int) -> None:
        self.ngram = ngram
        self._names: list[str] = []
        self._whole: dict[bytes, int] = {}
        found, owners = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
        for _, task in groupby(rows, key=itemgetter("task")):
            first = len(self._names)
            texts = []
            for row in task:
                texts.append(hashed(row["question"]))
                self._whole.setdefault(whole(texts[-1]), len(self._names))
                self._names.append(row["id"])
            told, owner = telling(texts, ngram, common)
            found.append(told)
            owners.append(owner + first)
        together = np.concatenate(found)
        # the first of equal ones stays, so the first test row is the one that is named
        self._grams, kept = np.unique(together, return_index=True)
        self._owners = np.concatenate(owners)[kept]

    def same(self, question: array[int]) -> int | None:
        """The number of the test row with this very question."""
        return self._whole.get(whole(question))

    def hits(self, batch: Batch) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Texts that share n-grams: number, words where these begin, and their test rows."""
        if not len(self._grams):
            return
        grams, at = batch.ngrams(self.ngram)
        places = np.minimum(np.searchsorted(self._grams, grams), len(self._grams) - 1)
        shared = np.flatnonzero(self._grams[places] == grams)
        if not len(shared):
            return
        at, rows = at[shared], self._owners[places[shared]]
        texts = np.searchsorted(batch.starts, at, side="right") - 1
        for text in np.unique(texts):
            mine = texts == text
            yield int(text), at[mine] - batch.starts[text], rows[mine]

    def overlaps(self, texts: Sequence[str]) -> dict[int, Overlap]:
        """By the text's number, what it shares with a test row: the longest run of words."""
        made = {}
        for number, at, rows in self.hits(Batch([hashed(text) for text in texts])):
            start, length = _longest(at)
            shared = words(texts[number])[start : start + length + self.ngram - 1]
            row = int(rows[np.searchsorted(at, start)])
            made[number] = Overlap(self._names[row], " ".join(shared))
        return made

    def repeats(self, question: str) -> Overlap | None:
        """The test row that asks the same question, word for word."""
        row = self.same(hashed(question))
        return None if row is None else Overlap(self._names[row], " ".join(words(question)))


def telling(
    texts: Sequence[array[int]], ngram: int, common: int
) -> tuple[Hashes, NDArray[np.int64]]:
    """The n-grams of one task's test questions that tell one from another, and their rows."""
    batch = Batch(texts)
    grams, at = batch.ngrams(ngram)
    least = min(common, max(FEWEST, -(-len(texts) // SHARE)))
    before = np.concatenate([[0], np.cumsum(_boilerplate(batch, least))])
    counts = before[at + ngram] - before[at]
    kept = counts <= ngram // 2
    return grams[kept], batch.owners[at[kept]]


def _boilerplate(batch: Batch, least: int) -> NDArray[np.bool_]:
    """Whether each word stands in words in a row that `least` texts hold, shape (words,)."""
    grams, at = batch.ngrams(CONTEXT)
    owners = batch.owners[at]
    order = np.lexsort((owners, grams))
    ordered, texts = grams[order], owners[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]) | (texts[1:] != texts[:-1])
    values, counts = np.unique(ordered[fresh], return_counts=True)
    often = at[np.isin(grams, values[counts >= least])]
    marked = np.zeros(len(batch.hashes), dtype=bool)
    for offset in range(CONTEXT):
        marked[often + offset] = True
    return marked


def _longest(at: NDArray[np.int64]) -> tuple[int, int]:
    """Begin and length of the longest run of consecutive numbers; the first of equal ones."""
    runs = np.split(at, np.flatnonzero(np.diff(at) != 1) + 1)
    best = max(runs, key=len)
    return int(best[0]), len(best)
