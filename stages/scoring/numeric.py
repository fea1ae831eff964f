"""Answers that are one number: an integer, a decimal, a fraction or a mixed number, with a unit.

Every pattern here runs in linear time on any input, because models do emit a megabyte of one
character: no quantified group may match the same text in two ways.
"""

from __future__ import annotations

import re
from fractions import Fraction

from stages.scoring.texts import QUOTES, SPACE

RELATIVE_TOLERANCE = Fraction(1, 1_000_000)
# Longer than any answer, shorter than Python's limit on converting digits to an integer.
MAX_NUMBER_CHARS = 400

_WRAPPING = SPACE + QUOTES + "()[]{}_:"

# Only ASCII digits: the canonical form is ASCII, and other digits would need a table.
_NUMBER = r"""
    (?<![^\W_])
    (?P<sign>(?<![)\]])[-+\u2212](?:\\?[$€£¥₹][ ]?)?)?
    (?:
        (?:(?P<whole>[0-9]+)[ ])?
        (?P<top>[0-9]+)/(?P<bottom>0*[1-9][0-9]*)(?![0-9/]|[.,][0-9])
      |
        (?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)
        (?:
            [eE](?P<exponent>[-+]?[0-9]+)(?![^\W_])
          | \s?[x\u00d7*]\s?10\^\{?(?P<power>[-+\u2212]?[0-9]+)\}?
        )?
    )
"""
NUMBER = re.compile(_NUMBER, re.VERBOSE)
_LATEX_FRACTION = re.compile(
    r"([0-9]?)\\[dtc]?frac(?:\{ ?([0-9]+) ?\}\{ ?([0-9]+) ?\}| ?([1-9])([1-9])(?![0-9]))"
)
# Without a comma, so that only groups of exactly three digits tell one number from several.
_BLANK = r"(?:[ \u00a0\u2009\u202f]|\\,|\{,\})"
_BLANK_IN_NUMBER = re.compile(rf"[0-9]{_BLANK}[0-9]{{3}}")
_BLANK_GROUPS = re.compile(
    rf"(?<![0-9.,/])(?<![0-9][ .,/])[1-9][0-9]{{0,2}}(?:{_BLANK}[0-9]{{3}})+(?![0-9/-]|[ ,][0-9])"
)
_NO_DIGIT = re.compile(r"[^0-9]+")
_ONLY_NUMBER = re.compile(
    rf"""
    (?:(?:USD|EUR|GBP|JPY|CNY|INR|Rs\.?)\s|[A-Z]{{0,2}}\\?[$€£¥₹]\s?)?
    {_NUMBER}
    (?:\s?\\?[%°$€£¥₹])?
    (?:[\s-]?[^\W\d_]+)?(?:[\s/-][^\W\d_]+){{0,4}}[²³]?
    """,
    re.VERBOSE,
)


def read_number(text: str) -> str | None:
    """The canonical form of a text that is one number, with its unit or currency."""
    bare = text.strip(_WRAPPING).rstrip(_WRAPPING + ".,;!?")
    if bare.isascii() and bare.isdigit() and bare[0] != "0" and len(bare) <= MAX_NUMBER_CHARS:
        return bare
    if len(bare) > 2 * MAX_NUMBER_CHARS:
        return None
    bare = plain(text.strip(SPACE)).strip(_WRAPPING).rstrip(_WRAPPING + ".,;!?")
    match = _ONLY_NUMBER.fullmatch(bare)
    return number(match) if match else None


def number(match: re.Match[str]) -> str | None:
    """The canonical form of a match of `NUMBER`: an integer, a finite decimal, or a fraction."""
    if match.end() - match.start() > MAX_NUMBER_CHARS:
        return None
    if match[0].isdigit():
        return match[0].lstrip("0") or "0"
    if not (match["top"] or match["exponent"] or match["power"]):
        return _plain(match["digits"], match["sign"])
    if match["top"]:
        value = Fraction(int(match["top"]), int(match["bottom"]))
        if match["whole"]:
            # "2021 7/3" is two numbers, not one mixed number.
            if value >= 1:
                return None
            value += int(match["whole"])
    else:
        power = int((match["exponent"] or match["power"] or "0").replace("\u2212", "-"))
        if abs(power) > MAX_NUMBER_CHARS:
            return None
        value = Fraction(match["digits"].replace(",", "")) * Fraction(10) ** power
    if match["sign"] and match["sign"][0] != "+":
        value = -value
    text = _decimal(value)
    return text if len(text) <= MAX_NUMBER_CHARS else None


def plain(text: str) -> str:
    """With fractions of LaTeX as ``1/2``, and without the blanks that part thousands."""
    if "frac" in text:
        text = _LATEX_FRACTION.sub(
            lambda it: f"{it[1] and it[1] + ' '}{it[2] or it[4]}/{it[3] or it[5]}", text
        )
    if _BLANK_IN_NUMBER.search(text):
        text = _BLANK_GROUPS.sub(lambda it: _NO_DIGIT.sub("", it[0]), text)
    return text


def close(ours: str, theirs: str) -> bool:
    """Whether two canonical numbers are one: equal, or a decimal that was rounded.

    They may differ by one part in a million where a side is a decimal that is no integer, so that
    rounding a third is no mistake while 1000001 is not 1000000.
    """
    if ours == theirs:
        return True
    if not ("." in ours or "." in theirs):
        return False
    a, b = Fraction(ours), Fraction(theirs)
    return abs(a - b) <= RELATIVE_TOLERANCE * max(abs(a), abs(b))


def _plain(digits: str, sign: str | None) -> str:
    """What `_decimal` gives, twenty times as quick: most numbers are written so."""
    whole, _, part = digits.replace(",", "").partition(".")
    whole, part = whole.lstrip("0"), part.rstrip("0")
    text = f"{whole or '0'}.{part}" if part else whole or "0"
    return f"-{text}" if sign and sign[0] != "+" and text != "0" else text


def _decimal(value: Fraction) -> str:
    places, rest = 0, value.denominator
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest //= prime
            power += 1
        places = max(places, power)
    if rest != 1 or places == 0:
        return str(value)
    digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
