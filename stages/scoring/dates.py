"""Answers that are a calendar date, with ``MM/DD/YYYY`` as the canonical form.

That form is the one in which the gold answers of Date Understanding (BIG-bench, arXiv 2206.04615)
are written. A date in figures is read month first, so 05/06/2021 is the sixth of May; where the
first figure cannot be a month and the second can, as in 25/12/2021, it is read day first, since
there is no other reading. A year has four figures, and stands first (ISO 8601) or last; the 30th of
February is no date.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections import deque

from stages.scoring.texts import QUOTES, SPACE

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = rf"""
    (?<![^\W_])(?<![0-9][/.])
    (?:
        (?P<year_1>[0-9]{{4}})(?P<mark_1>[/.-])(?P<month_1>[0-9]{{1,2}})(?P=mark_1)
        (?P<day_1>[0-9]{{1,2}})(?=t[0-9]|[^\w]|_|$)
      | (?P<one>[0-9]{{1,2}})[ ]?(?P<mark_2>[/.-])[ ]?(?P<two>[0-9]{{1,2}})[ ]?(?P=mark_2)[ ]?
        (?P<year_2>[0-9]{{4}})(?![^\W_])
      | (?P<month_3>{_MONTH})[ ]{{0,2}}(?:the[ ])?(?P<day_3>[0-9]{{1,2}})(?:st|nd|rd|th)?
        (?:[ ]?,[ ]?|[ ]of[ ]|[ ])(?P<year_3>[0-9]{{4}})(?![^\W_])
      | (?P<day_4>[0-9]{{1,2}})(?:st|nd|rd|th)?(?:[ -]|[ ]day[ ])(?:of[ ])?
        (?P<month_4>{_MONTH})(?:[ ]?,[ ]?|[ ]of[ ]|[ -])(?P<year_4>[0-9]{{4}})(?![^\W_])
    )
    (?!/[0-9])
"""
DATE = re.compile(_DATE, re.VERBOSE | re.IGNORECASE | re.ASCII)
_ONLY_DATE = re.compile(
    rf"(?:on\s+)?(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?[.,]?\s+)?"
    rf"(?:the\s+)?{_DATE}(?:t[0-9:.]{{5,12}}z?)?",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_WRAPPING = SPACE + QUOTES + "()[]{}$.,;!?"
_LONGEST = 80


def read_date(text: str) -> str | None:
    """The canonical form of a text that is one date, with or without its weekday."""
    whole = text.strip(_WRAPPING)
    match = _ONLY_DATE.fullmatch(whole) if len(whole) <= _LONGEST else None
    return date(match) if match else None


def find_date(text: str, *, last: bool) -> str | None:
    """The first or last date in a text; what only looks like one is passed over."""
    found = (date(match) for match in DATE.finditer(text))
    real = (it for it in found if it)
    if not last:
        return next(real, None)
    kept = deque(real, maxlen=1)
    return kept[0] if kept else None


def date(match: re.Match[str]) -> str | None:
    """The canonical form of a match of `DATE`, or None when no calendar has that day."""
    if match["one"]:
        month, day, year = int(match["one"]), int(match["two"]), int(match["year_2"])
        if month > 12 >= day:
            month, day = day, month
    elif match["year_1"]:
        year, month, day = (int(match[name]) for name in ("year_1", "month_1", "day_1"))
    else:
        form = "3" if match["year_3"] else "4"
        day, year = int(match[f"day_{form}"]), int(match[f"year_{form}"])
        month = _MONTHS.index(match[f"month_{form}"][:3].lower()) + 1
    if not (1 <= month <= 12 and year > 0 and 1 <= day <= monthrange(year, month)[1]):
        return None
    return f"{month:02}/{day:02}/{year:04}"
