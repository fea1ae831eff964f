"""The first or last number, choice, yes or no, or date in a text."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from stages.scoring.dates import find_date
from stages.scoring.numeric import NUMBER, number
from stages.scoring.verify import letter, yes_or_no

KINDS = ("number", "choice", "yes_no", "date")

# Every number lies in one such run, but for the sign, currency and point before its first digit.
# Python scans for a plain character set far quicker than for `NUMBER`.
_DIGITS = re.compile(r"[0-9][-+\u22120-9.,/\seExX\u00d7*^{}]*")
_BEFORE_DIGIT = 5
_YES_NO = re.compile(r"(?<![^\W_])(yes|no)(?![^\W_])", re.IGNORECASE)
# A capital alone is an option letter, unless it reads as the article or the pronoun.
_LETTER = re.compile(
    r"""
    \(\s?([A-Za-z])\s?\)
  | (?<![^\W_])(?<!['\u2019-])([a-z])\)
  | (?<![^\W_])(?<!['\u2019-])
    ([A-Z])
    (?![^\W_]|['\u2019-]\w|\.\w)
    (?!(?<=[AI])\s(?!\s?(?:is|because|since|as|and|or|which)(?![^\W_]))\s?[^\W\d_])
    """,
    re.VERBOSE,
)


def item(text: str, kind: str, options: Sequence[str], *, last: bool) -> str | None:
    """The canonical form of the first or last answer of a kind.

    Args:
        text: Where to look.
        kind: One of `KINDS`.
        options: For a choice, the option texts.
        last: The last one rather than the first.

    Raises:
        ValueError: The kind does not exist.
    """
    if kind == "number":
        match = _last_number(text) if last else _first_number(text)
        return number(match) if match else None
    if kind == "yes_no":
        match = _pick(_YES_NO.finditer(text), last)
        return yes_or_no(match[1]) if match else None
    if kind == "date":
        return find_date(text, last=last)
    if kind == "choice":
        spans = [*_letters(text, options, last), *_option_texts(text, options, last)]
        if not spans:
            return None
        # The longer of two texts at one place: "green ball" is not the option "ball".
        if last:
            return max(spans, key=lambda span: (span[1], span[1] - span[0]))[2]
        return min(spans, key=lambda span: (span[0], span[0] - span[1]))[2]
    raise ValueError(f"nothing to find of kind {kind!r}; there are {', '.join(KINDS)}")


def lower(text: str) -> str:
    """Lower case that keeps every position, which `str.lower` does not for a few letters."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _first_number(text: str) -> re.Match[str] | None:
    digit = _DIGITS.search(text)
    return NUMBER.search(text, max(0, digit.start() - _BEFORE_DIGIT)) if digit else None


def _last_number(text: str) -> re.Match[str] | None:
    for start, end in reversed([run.span() for run in _DIGITS.finditer(text)]):
        low, high = max(0, start - _BEFORE_DIGIT), end + 2
        kept = deque(NUMBER.finditer(text, low, high), maxlen=1)
        # A match that ends before the run is the tail of an earlier number.
        if kept and kept[0].end() > start:
            return kept[0]
    return None


def _pick(matches: Iterator[re.Match[str]], last: bool) -> re.Match[str] | None:
    if not last:
        return next(matches, None)
    kept = deque(matches, maxlen=1)
    return kept[0] if kept else None


def _letters(text: str, options: Sequence[str], last: bool) -> Iterator[tuple[int, int, str]]:
    named = ((m, letter(m[1] or m[2] or m[3], options)) for m in _LETTER.finditer(text))
    spans = ((m.start(), m.end(), name) for m, name in named if name)
    yield from deque(spans, maxlen=1) if last else islice(spans, 1)


def _option_texts(text: str, options: Sequence[str], last: bool) -> Iterator[tuple[int, int, str]]:
    lowered = lower(text) if options else ""
    for index, option in enumerate(options):
        wanted = lower(option.strip())
        if not wanted:
            continue
        low, high = 0, len(lowered)
        while True:
            at = lowered.rfind(wanted, 0, high) if last else lowered.find(wanted, low)
            if at < 0:
                break
            end = at + len(wanted)
            if not (lowered[max(at - 1, 0) : at].isalnum() or lowered[end : end + 1].isalnum()):
                yield at, end, chr(ord("A") + index)
                break
            low, high = at + 1, end - 1
