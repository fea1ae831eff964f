"""The first or last number, choice, yes or no, or date in a text."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from stages.scoring.choices import find_choice
from stages.scoring.dates import find_date
from stages.scoring.numeric import NUMBER, number
from stages.scoring.verify import yes_or_no

KINDS = ("number", "choice", "yes_no", "date")

# Every number lies in one such run, but for the sign, currency and point before its first digit.
# Python scans for a plain character set far quicker than for `NUMBER`.
_DIGITS = re.compile(r"[0-9][-+\u22120-9.,/\seExX\u00d7*^{}]*")
_BEFORE_DIGIT = 5
_CLAUSE = (
    "a|an|and|as|at|because|but|by|due|for|given|he|her|his|i|if|in|it|its|no|nor|not|on|or|she|since"
    "|so|that|the|their|then|there|these|they|this|those|to|unless|we|when|while|with|yes|you"
)
# "There is no air" answers nothing; "no because there is" does.
_WORD = rf"(?<![^\W_])(yes|no(?![ \t]+(?!(?:{_CLAUSE})(?![^\W_]))(?-i:[a-z])))(?![^\W_])"
YES_NO = re.compile(_WORD, re.IGNORECASE)
_NEITHER_OR_YES_NO = re.compile(
    rf"(?<![^\W_])(?:not\s(?:yes|no)|yes\s?(?:or|/)\s?no)(?![^\W_])|{_WORD}", re.IGNORECASE
)
_BEGINS_NO = re.compile(
    r"[\W_]*(no(?![ \t]+(?:one|longer|doubt)(?![^\W_])))(?![^\W_])", re.IGNORECASE
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
        match = _last_number(text) if last else first_number(text)
        return number(match) if match else None
    if kind == "yes_no":
        match = _yes_no(text, last)
        return yes_or_no(match[1]) if match else None
    if kind == "date":
        return find_date(text, last=last)
    if kind == "choice":
        return find_choice(text, options, last=last)
    raise ValueError(f"nothing to find of kind {kind!r}; there are {', '.join(KINDS)}")


def first_number(text: str) -> re.Match[str] | None:
    """The first match of `NUMBER`."""
    digit = _DIGITS.search(text)
    return NUMBER.search(text, max(0, digit.start() - _BEFORE_DIGIT)) if digit else None


def first_yes_no(text: str) -> re.Match[str] | None:
    """The first yes or no of a statement, as group 1; both words of "yes or no" count."""
    return _BEGINS_NO.match(text) or YES_NO.search(text)


def _last_number(text: str) -> re.Match[str] | None:
    for start, end in reversed([run.span() for run in _DIGITS.finditer(text)]):
        low, high = max(0, start - _BEFORE_DIGIT), end + 2
        kept = deque(NUMBER.finditer(text, low, high), maxlen=1)
        # A match that ends before the run is the tail of an earlier number.
        if kept and kept[0].end() > start:
            return kept[0]
    return None


def _yes_no(text: str, last: bool) -> re.Match[str] | None:
    begins = _BEGINS_NO.match(text)
    said = (match for match in _NEITHER_OR_YES_NO.finditer(text) if match[1])
    if not last:
        return begins or next(said, None)
    kept = deque(said, maxlen=1)
    return kept[0] if kept else begins
