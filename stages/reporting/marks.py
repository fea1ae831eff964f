"""Where in a completion the answer stands that was extracted from it, so that it can be marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.scoring.dates import DATE, date
from stages.scoring.extract import Extraction
from stages.scoring.latex import last_box
from stages.scoring.numeric import NUMBER, number
from stages.scoring.texts import lower

NEAR = 400
"""Characters around a rule's place in which the answer is looked for."""
_LINE = re.compile(r"[\s*:]*([^\n]*)")

Span = tuple[int, int]


def located(
    text: str,
    found: Extraction,
    rules: Sequence[Mapping[str, Any]],
    answer_type: str,
) -> Span | None:
    """Start and end of the answer in characters; None where none was found or it cannot be told.

    An answer whose very words are not found, such as a list in another order, is marked as the
    whole statement behind its marker.
    """
    if found.answer is None or found.rule is None:
        return None
    name, value = next(iter(rules[found.rule].items()))
    if name == "after" and found.start is not None:
        behind = found.start + len(value)
        line = _LINE.match(text, behind)
        start, end = line.span(1) if line else (behind, len(text))
        end = min(end, start + NEAR)
        inside = next(_values(text, start, end, found.answer, answer_type), None)
        return inside or _trimmed(text, start, end)
    if name == "boxed":
        inner = last_box(text)
        at = text.rfind(inner) if inner else -1
        return (at, at + len(inner)) if inner and at >= 0 else None
    if name == "whole":
        return _trimmed(text, 0, len(text))
    if name == "first":
        return next(_values(text, 0, min(len(text), 10 * NEAR), found.answer, value), None)
    start = max(0, len(text) - 10 * NEAR)
    return max(_values(text, start, len(text), found.answer, value), default=None)


def _values(text: str, start: int, end: int, answer: str, kind: str) -> Iterator[Span]:
    """Every place in which the answer stands."""
    if kind == "number":
        spans = (it.span() for it in NUMBER.finditer(text, start, end) if number(it) == answer)
    elif kind == "date":
        spans = (it.span() for it in DATE.finditer(text, start, end) if date(it) == answer)
    elif kind == "choice":
        pattern = re.compile(rf"\(?(?<!\w){re.escape(answer)}(?!\w)\)?")
        spans = (it.span() for it in pattern.finditer(text, start, end))
    else:
        pattern = re.compile(rf"(?<!\w){re.escape(lower(answer))}(?!\w)", re.IGNORECASE)
        spans = (it.span() for it in pattern.finditer(text, start, end))
    return spans


def _trimmed(text: str, start: int, end: int) -> Span | None:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    part = part.strip()
    return (start, start + len(part)) if part else None
