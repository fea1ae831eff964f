"""What the words behind "The answer is" come to, where that is more than their first value.

| said | read as |
|---|---|
| 3 or 4 · between 3 and 5 · A, B or C · (D) with the text of (E) · yes or no | undecided |
| not 3 · neither A nor B · not yes · unknown; it may be 5 · 0 = 0 | undecided |
| not 3 but 4 | 4 |
| 3/5, or 0.6 · (B) ball · B, the ball | the one value that all of them are |
| 3 + 4 = 7 · x = 3 + 4 = 7 dollars | 7: what the last sign of one equation gives |
| there is no air, so yes | yes: such a "no" is no answer |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.scoring.choices import Named, dated, named, series
from stages.scoring.dates import DATE, date
from stages.scoring.equation import solved
from stages.scoring.find import KINDS, YES_NO, first_number, first_yes_no
from stages.scoring.numeric import NUMBER, RELATIVE_TOLERANCE, number
from stages.scoring.verify import letter, read, yes_or_no

UNDECIDED = ""
"""What a statement comes to that names several answers, or only says what the answer is not."""
LONGEST = 2000
"""Characters of a statement that are looked at; further on its first value counts as it stands."""

_MOST = 10
"""Values in a row that are followed."""
_NEAR = 60
_LOWER_LETTER_FIRST = re.compile(r"[\"'*]*([a-z])(?=[.:,](?:\s|$))")
_UNKNOWN = re.compile(
    r"(?:unknown|undetermined|not known|impossible to (?:say|tell|know))(?=\s*(?:[.,;:!]|$|but\b))",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:(?<![^\W_])(?:not|neither|never|cannot|nor)|n['\u2019]t)"
    r"(?:\s+(?:be|either|the|an?|option|choice|equal|to|exactly|necessarily))*[\s$(\"'*:]*$",
    re.IGNORECASE,
)
_BUT = re.compile(r"[^.!?\n]{0,30}?(?<![^\W_])but(?![^\W_])", re.IGNORECASE)
_BETWEEN = re.compile(r"(?<!difference )(?<![^\W_])between\s[\s$(*]*$", re.IGNORECASE)
_JOINT = re.compile(
    r"""
    (?:\s?\\?[%\u00b0$€£¥₹])?["'*)}\]]*
    (?P<unit>(?:[\s-](?!(?:because|since|as|so|if|when|where|which|for|by|that)\b)[^\W\d_]+){0,3}?)
    (?:(?:\s*,\s*|\s+)(?P<how>or|nor|and|to)(?![^\W_])|\s?(?P<slash>/)|,(?=\s))
    (?:\s+(?:either|else|even|maybe|perhaps|possibly|rather)(?![^\W_]))?
    [\s"'*(\[]*(?:\\boxed\{)?\\?[$€£¥₹]?[ ]?
    """,
    re.VERBOSE | re.IGNORECASE,
)


class _Value(NamedTuple):
    start: int
    end: int
    canonical: str | None


def stated(line: str, sentence: str, kind: str, options: Sequence[str]) -> str | None:
    """The canonical form of the answer that a statement gives.

    Args:
        line: What stands behind the marker, up to the end of the line.
        sentence: As much of it as is one sentence.
        kind: One of `stages.scoring.find.KINDS`.
        options: For a choice, the option texts.

    Returns:
        None when it holds no answer of that kind; `UNDECIDED` when it leaves the answer open.
    """
    if kind == "choice":
        return _choice(line, sentence, options)
    if kind == "number" and _UNKNOWN.match(line):
        return UNDECIDED
    if kind == "number" and "=" in sentence:
        equation = solved(sentence[:LONGEST])
        if equation:
            value = equation.result
            if value is None or equation.tautology:
                return UNDECIDED if equation.tautology else None
            found = _Value(value.start(), value.end(), number(value))
            return UNDECIDED if _hedged(line, found, kind) else found.canonical
    first = _first(line, kind)
    if not first or first.end > LONGEST:
        return first and first.canonical
    if _denied(line, first.start):
        return _but(sentence, first.end, kind, options)
    return UNDECIDED if _hedged(line, first, kind) else first.canonical


def _choice(line: str, sentence: str, options: Sequence[str]) -> str | None:
    whole = read(line, "choice", options)
    if whole and options:
        return whole
    first = _first_choice(line, options)
    if not first:
        return whole or dated(line, options, last=False)
    if first.end > LONGEST:
        return first.letter
    row = series(line[: 2 * LONGEST], first, options)
    if _denied(line, first.start):
        return _but(sentence, row.end, "choice", options)
    return UNDECIDED if row.undecided else first.letter


def _first_choice(line: str, options: Sequence[str]) -> Named | None:
    lower_letter = _LOWER_LETTER_FIRST.match(line)
    one = letter(lower_letter[1], options) if lower_letter else None
    if lower_letter and one:
        return Named(lower_letter.start(1), lower_letter.end(1), one)
    return named(line, options, last=False)


def _first(line: str, kind: str) -> _Value | None:
    if kind == "number":
        match = first_number(line)
    elif kind == "yes_no":
        match = first_yes_no(line)
    elif kind == "date":
        match = next((it for it in DATE.finditer(line) if date(it)), None)
    else:
        raise ValueError(f"no statement of kind {kind!r}; there are {', '.join(KINDS)}")
    return _value(match, kind) if match else None


def _value(match: re.Match[str], kind: str) -> _Value:
    if kind == "yes_no":
        return _Value(match.start(1), match.end(1), yes_or_no(match[1]))
    return _Value(match.start(), match.end(), (number if kind == "number" else date)(match))


def _denied(line: str, start: int) -> bool:
    before = line[max(0, start - _NEAR) : start]
    return bool(before and _DENIED.search(before))


def _but(sentence: str, end: int, kind: str, options: Sequence[str]) -> str:
    """What is said instead of an answer that is denied."""
    but = _BUT.match(sentence, end)
    rest = sentence[but.end() : LONGEST].lstrip() if but else ""
    return stated(rest, rest, kind, options) or UNDECIDED


def _hedged(line: str, first: _Value, kind: str) -> bool:
    """Whether another value is said beside the first one."""
    before = line[max(0, first.start - _NEAR) : first.start]
    between = bool(before and _BETWEEN.search(before))
    pattern = {"number": NUMBER, "yes_no": YES_NO}.get(kind, DATE)
    end = first.end
    for _ in range(_MOST):
        joint = _JOINT.match(line, end)
        match = pattern.match(line, joint.end()) if joint else None
        if not joint or not match:
            return False
        how = "or" if joint["slash"] else (joint["how"] or "").lower()
        if how == "and" and not between and kind != "yes_no":
            return False
        if how == "to" and joint["unit"]:
            return False
        if how:
            return not _same(line, first, _value(match, kind), kind)
        end = match.end()
    return False


def _same(line: str, one: _Value, other: _Value, kind: str) -> bool:
    if kind != "number" or None in (one.canonical, other.canonical):
        return one.canonical == other.canonical
    a, b = (_amount(line, it) for it in (one, other))
    return abs(a - b) <= RELATIVE_TOLERANCE * max(abs(a), abs(b))


def _amount(line: str, value: _Value) -> Fraction:
    percent = line[value.end : value.end + 3].lstrip(" \\").startswith("%")
    return Fraction(value.canonical or 0) / (100 if percent else 1)
