"""Answers that are text: as it stands, folded, letters alone, or a list of items.

A list is ordered and compared item by item, each item as an answer of type `exact`. Its canonical
form is JSON, in which an item may hold a separator; a gold answer may be written so as well. In
other text the strongest separator that occurs parts the items: a new line, then ``;``, then ``,``,
then an ``and``, then white space. Bullets, numbering, brackets around the whole, and the ``and``
before the last item fall away.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Sequence

SPACE = string.whitespace + "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
SPACE += "".join(map(chr, range(0x2000, 0x200B)))
QUOTES = "\"'`*\u201c\u201d\u2018\u2019\u00ab\u00bb"

_AROUND, _BEHIND = SPACE + QUOTES, SPACE + QUOTES + "."

MAX_LIST_CHARS = 20_000
"""A longer text is no list: no answer has so many items."""

# Numbers stay as they are written: an item is text.
_READ = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).decode
_WRITE = json.JSONEncoder(ensure_ascii=False).encode
_BULLET = re.compile(r"(?:[-\u2013\u2022]|\(?[0-9]{1,3}[.)])[ \t]+")
_BRACKETS = {"[": "]", "(": ")", "{": "}", "<": ">"}
_AND = re.compile(r"(?:and|&)\s+", re.IGNORECASE)
_LAST_AND = re.compile(r"\s(?:and|&)\s", re.IGNORECASE)


def bare(text: str) -> str:
    """Without the quotes and white space around it, and the full stop behind it."""
    return text.lstrip(_AROUND).rstrip(_BEHIND)


def folded(text: str) -> str:
    """Bare, with case folded and each run of white space made one space."""
    return bare(" ".join(text.casefold().split()))


def letters(text: str) -> str:
    """The cleansing of Kojima et al. (arXiv 2205.11916) for last letters."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def lower(text: str) -> str:
    """Lower case that keeps every position, which `str.lower` does not for a few letters."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def read_list(text: str) -> str | None:
    """The items of a list as JSON, or None when there is none."""
    if len(text) > MAX_LIST_CHARS:
        return None
    held = _json(text)
    items = _parted(text) if held is None else held
    kept = [item for item in map(bare, items) if item.strip(",;")]
    return _WRITE(kept) if kept else None


def _json(text: str) -> list[str] | None:
    if not text.lstrip(SPACE).startswith("["):
        return None
    try:
        held = _READ(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(held, list) or any(isinstance(item, (list, dict)) for item in held):
        return None
    return [item if isinstance(item, str) else json.dumps(item) for item in held]


def _parted(text: str) -> Sequence[str]:
    whole = text.strip(SPACE)
    lines = [line for line in map(str.strip, whole.splitlines()) if line]
    if len(lines) > 1:
        return [_BULLET.sub("", line, count=1).rstrip(",;") for line in lines]
    whole = _unbracketed(bare(whole))
    for separator in (";", ","):
        if separator in whole:
            parts = [part.strip(SPACE) for part in whole.split(separator)]
            return [*parts[:-1], *_last(parts[-1])]
    two = _LAST_AND.split(whole)
    return two if len(two) > 1 else whole.split()


def _last(part: str) -> list[str]:
    """The last item, or the last two where only an `and` parts them."""
    led = _AND.match(part)
    return [part[led.end() :]] if led else _LAST_AND.split(part, maxsplit=1)


def _unbracketed(text: str) -> str:
    closing = _BRACKETS.get(text[:1])
    inner = text[1:-1]
    if closing and text.endswith(closing) and closing not in inner and text[0] not in inner:
        return inner
    return text
