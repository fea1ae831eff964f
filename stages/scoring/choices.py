"""The options that a text names: by letter, by text, or as dates; and several in a row."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from stages.scoring.dates import find_date, read_date
from stages.scoring.texts import lower
from stages.scoring.verify import letter

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
_WORDS = "or|nor|and|either|maybe|perhaps|possibly|else|option|choice|the|an?"
# What may stand between two options in a row. Behind a text, more would be a calculation.
_BEHIND_LETTER, _BEHIND_TEXT = (
    re.compile(rf"{stop}{signs}(?:(?:{_WORDS})(?![^\W_]){signs})*")
    for stop, signs in (
        (r"\.?", r"[\s\"'*,:;=()\[\]/&\u2013\u2014-]*"),
        ("", r"[\s\"'*,:;()\[\]]*"),
    )
)
_OR = re.compile(r"(?<![^\W_])n?or(?![^\W_])|/")
_INSIDE = re.compile(r"[^\W_]|[.,/:][0-9]")
_END = re.compile(r"[\s\"'*)\]]*(?:[.!?;](?![^\s\"'*)\]])|\n|$|,?\s(?:because|since)(?![^\W_]))")
_MOST = 64
"""Options in a row that are followed."""
_LISTED = 24
"""Characters beside its text that an option takes in a list, at most."""


class Named(NamedTuple):
    """An option where a text names it, by its letter or else by its text."""

    start: int
    end: int
    letter: str
    by_letter: bool = True


class Series(NamedTuple):
    """Options that follow each other with nothing but joints between them.

    Args:
        letters: In order; one comes twice in "(B) ball".
        either: Whether an `or` stands between two different ones.
        end: Where the last one ends.
        closed: Whether the sentence ends there.
    """

    letters: list[str]
    either: bool
    end: int
    closed: bool

    @property
    def undecided(self) -> bool:
        """Whether they are several answers, not one and a word about another."""
        return len(set(self.letters)) > 1 and (self.either or self.closed)


def find_choice(text: str, options: Sequence[str], *, last: bool) -> str | None:
    """The first or last option of a text, unless it stands in a list of all of them."""
    found = named(text, options, last=last)
    if not found:
        return dated(text, options, last=last)
    return None if _in_a_list(text, found, options, last) else found.letter


def named(text: str, options: Sequence[str], *, last: bool) -> Named | None:
    """The first or last option that a text names by letter or by its whole text."""
    letters = _letters(text, options)
    kept = deque(letters, maxlen=1) if last else islice(letters, 1)
    spans: list[Named] = [*kept, *_texts(text, options, last)]
    if not spans:
        return None
    # The longer of two texts at one place: "green ball" is not the option "ball".
    if last:
        return max(spans, key=lambda span: (span.end, span.end - span.start))
    return min(spans, key=lambda span: (span.start, span.start - span.end))


def dated(text: str, options: Sequence[str], *, last: bool) -> str | None:
    """The option that is the first or last date of a text, where all options are dates."""
    if not options or read_date(options[0]) is None:
        return None
    days = [read_date(option) for option in options]
    day = None if None in days else find_date(text, last=last)
    return _name(days.index(day)) if day and day in days else None


def series(text: str, first: Named, options: Sequence[str]) -> Series:
    """The options that a text names in a row, from one on."""
    lowered, letters, either, at = lower(text), [first.letter], False, first
    for _ in range(_MOST):
        joint = (_BEHIND_LETTER if at.by_letter else _BEHIND_TEXT).match(text, at.end)
        here = joint.end() if joint else at.end
        found = _at(text, lowered, here, options)
        # "B. A is too small": a full stop parts a letter from nothing but a text.
        if not found or (text.startswith(".", at.end) and at.by_letter <= found.by_letter):
            break
        either |= found.letter != letters[-1] and bool(_OR.search(text, at.end, here))
        letters.append(found.letter)
        at = found
    return Series(letters, either, at.end, bool(_END.match(text, at.end)))


def _in_a_list(text: str, found: Named, options: Sequence[str], last: bool) -> bool:
    """Whether an option is the first or last of a list of all, as a prompt shows them."""
    if len(options) < 2 or found.letter != _name(len(options) - 1 if last else 0):
        return False
    if last:
        text = text[-sum(map(len, options)) - _LISTED * len(options) :]
        begins = [it for it in _letters(text, options) if it.letter == "A"]
        if not begins:
            return False
        found = begins[-1]
    row = series(text, found, options)
    listed = [one for one, _ in groupby(row.letters)]
    behind = text[row.end :] if last else ""
    return listed == [*map(_name, range(len(options)))] and not any(map(str.isalnum, behind))


def _name(index: int) -> str:
    return chr(ord("A") + index)


def _letters(text: str, options: Sequence[str]) -> Iterator[Named]:
    return _of(_LETTER.finditer(text), options)


def _of(matches: Iterable[re.Match[str]], options: Sequence[str]) -> Iterator[Named]:
    for match in matches:
        one = letter(match[1] or match[2] or match[3], options)
        if one:
            yield Named(match.start(), match.end(), one)


def _texts(text: str, options: Sequence[str], last: bool) -> Iterator[Named]:
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
                yield Named(at, end, _name(index), by_letter=False)
                break
            low, high = at + 1, end - 1


def _at(text: str, lowered: str, at: int, options: Sequence[str]) -> Named | None:
    """The option that is named at a place, the longest where there are several."""
    match = _LETTER.match(text, at)
    spans = [*_of([match] if match else [], options)]
    for index, option in enumerate(options):
        wanted = lower(option.strip())
        end = at + len(wanted)
        if wanted and lowered.startswith(wanted, at) and not _INSIDE.match(lowered, end):
            spans.append(Named(at, end, _name(index), by_letter=False))
    return max(spans, key=lambda span: span.end, default=None)
