"""Answers that are spans of text, by the bag-of-words F1 of DROP.

After the official script, ``allennlp_rc/eval/drop_eval.py`` of AllenNLP (Dua et al. 2019, arXiv
1903.00161): tokens part at spaces and hyphens, lose case, punctuation and articles, and numbers are
compared as numbers; a bag with a number scores nothing against a gold bag whose numbers it does
not hold; several spans are aligned one to one for the best sum; the best acceptable gold counts.

A gold answer holds one acceptable answer a line, the spans of an answer parted by ``|``. Where the
script is handed a list of predicted spans, a completion is a text: it counts as one span, as its
parts at ``|``, ``;`` and new lines, or, against a gold of several spans, also as its parts at
commas and `and`; the best reading counts. "nan" and "inf" are words here, numbers there.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from functools import lru_cache

from stages.scoring.numeric import NUMBER, close, number, read_number
from stages.scoring.texts import bare

F1_RIGHT = 0.8
"""An answer counts as right from here: "QB Tom Brady" for "Tom Brady" passes (0.8), half of a name
or a date that is off by a day does not (0.67)."""
_SHORT = 100
MAX_SPANS = 40
"""More parts than this are one span: no answer has so many, and to align them takes time."""

Bag = frozenset[str]

_TOKEN = re.compile(r"[ -]")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MULTIPLE = re.compile(r"\b(?:dozen|hundred|thousand|[bm]illion|trillion)", re.IGNORECASE)
_PARTS = re.compile(r"[|;\n]")
_MORE_PARTS = re.compile(r"[|;\n,](?: ?and )?| and ", re.IGNORECASE)


def read_spans(text: str) -> str | None:
    """The canonical form: acceptable answers by line, or None where one would be an empty bag."""
    if "\n" not in text:
        line = bare(" ".join(text.split()))
        return line if line and _bag(line) else None
    lines = [bare(" ".join(line.split())) for line in text.splitlines()]
    kept = [line for line in lines if line]
    return "\n".join(kept) if kept and all(map(_bag, kept)) else None


def f1(answer: str, gold: str) -> float:
    """The score of a canonical answer, from 0 to 1, in hundredths as the script rounds it."""
    if answer == gold:
        return 1.0
    best = 0.0
    for spans in _golds(gold):
        for reading in _readings(answer, len(spans) > 1):
            best = max(best, _aligned(reading, spans))
            if best == 1.0:
                return best
    return best


def right(answer: str, gold: str) -> bool:
    """Whether the F1 is at least `F1_RIGHT`, or a gold number is met by that number and its unit.

    The script gives "5 yards" no more than 0.67 against 5. An equation states no span: to a bag,
    "0 = 0" is 0.
    """
    if "=" in answer and "=" not in gold:
        return False
    if f1(answer, gold) >= F1_RIGHT:
        return True
    # A gold with a unit of its own is left to the F1, which compares the units.
    alone = [match for match in map(NUMBER.fullmatch, gold.split("\n")) if match]
    if not alone or _MULTIPLE.search(answer):
        return False
    ours = read_number(answer)
    return any(ours and wanted and close(ours, wanted) for wanted in map(number, alone))


@lru_cache(maxsize=4096)
def _golds(gold: str) -> tuple[tuple[Bag, ...], ...]:
    lines = (tuple(filter(None, map(_bag, line.split("|")))) for line in gold.split("\n"))
    return tuple(spans for spans in lines if spans)


def _readings(answer: str, several: bool) -> Iterator[Sequence[Bag]]:
    """The ways to part an answer into spans, the likeliest first: a full score ends the search."""
    seen: list[str] = []
    for pattern in (_MORE_PARTS, _PARTS) if several else ():
        parts = pattern.split(answer, maxsplit=MAX_SPANS)
        if 1 < len(parts) <= MAX_SPANS and parts != seen:
            seen = parts
            yield [bag for bag in map(_bag, parts) if bag]
    yield [_bag(answer)]
    if not several and _PARTS.search(answer):
        parts = _PARTS.split(answer, maxsplit=MAX_SPANS)
        if len(parts) <= MAX_SPANS:
            yield [bag for bag in map(_bag, parts) if bag]


def _bag(span: str) -> Bag:
    return _kept_bag(span) if len(span) <= _SHORT else _made_bag(span)


@lru_cache(maxsize=4096)
def _kept_bag(span: str) -> Bag:
    return _made_bag(span)


def _made_bag(span: str) -> Bag:
    words: list[str] = []
    for token in _TOKEN.split(span.lower()):
        if token.isalpha() and token.isascii():
            if token not in ("a", "an", "the"):
                words.append(token)
        elif token:
            words += _words(token)
    return frozenset(words)


def _words(token: str) -> list[str]:
    """What a token with a sign or a digit in it comes to."""
    value = _float(token)
    if value is None:
        token = token.translate(_PUNCTUATION)
        value = _float(token)
    return [value] if value is not None else _ARTICLE.sub(" ", token).split()


def _float(token: str) -> str | None:
    if not any(map(str.isdigit, token)):
        return None
    try:
        return str(float(token))
    except ValueError:
        return None


def _aligned(ours: Sequence[Bag], theirs: Sequence[Bag]) -> float:
    scores = [[_score(bag, gold) for bag in ours] for gold in theirs]
    if not ours:
        return 0.0
    # As numpy rounds, which the script uses: Python rounds 0.475 down.
    return round(100 * (best_sum(scores) / max(len(ours), len(theirs)))) / 100


def _score(bag: Bag, gold: Bag) -> float:
    if bag == gold:
        return 1.0
    shared = len(bag & gold)
    if not shared:
        return 0.0
    numbers = {word for word in gold if _numeric(word)}
    if numbers and not numbers & bag:
        return 0.0
    precision, recall = shared / len(bag), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def _numeric(word: str) -> bool:
    return _float(word) is not None


def best_sum(scores: Sequence[Sequence[float]]) -> float:
    """The largest sum of scores with at most one taken from each row and each column."""
    if len(scores) == 1:
        return max(scores[0])
    if len(scores) == len(scores[0]) == 2:
        (a, b), (c, d) = scores
        return max(a + d, b + c)
    # Slow to import, and few golds have more than two spans.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(scores, maximize=True)
    return float(sum(scores[row][column] for row, column in zip(rows, columns, strict=True)))
