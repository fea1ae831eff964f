"""One typed verifier per answer type: `read` gives a canonical form, `verify` compares two.

Every pattern here runs in linear time on any input, because models do emit a megabyte of one
character: no quantified group may match the same text in two ways.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, get_args

AnswerType = Literal["number", "choice", "yes_no", "exact", "string", "letters"]
ANSWER_TYPES: tuple[AnswerType, ...] = get_args(AnswerType)

RELATIVE_TOLERANCE = Fraction(1, 1_000_000)
# Longer than any answer, shorter than Python's limit on converting digits to an integer.
MAX_NUMBER_CHARS = 400

_SPACE = string.whitespace + "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
_SPACE += "".join(map(chr, range(0x2000, 0x200B)))
_QUOTES = "\"'`*\u201c\u201d\u2018\u2019\u00ab\u00bb"
_WRAPPING = _SPACE + _QUOTES + "()[]{}_:"

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
_ONLY_NUMBER = re.compile(
    rf"""
    (?:(?:USD|EUR|GBP|JPY|CNY|INR|Rs\.?)\s|[A-Z]{{0,2}}\\?[$€£¥₹]\s?)?
    {_NUMBER}
    (?:\s?\\?[%°$€£¥₹])?
    (?:[\s-]?[^\W\d_]+)?(?:[\s/-][^\W\d_]+){{0,4}}[²³]?
    """,
    re.VERBOSE,
)
_LEADING_YES_NO = re.compile(r"[\W_]*(yes|no)(?![^\W_])", re.IGNORECASE)
_LETTER_ALONE = re.compile(r"\(?\s?([A-Za-z])\s?[).:]*")
_LETTER_AND_TEXT = re.compile(r"(?:\(([A-Za-z])\)|([A-Za-z])[).:])[ \t]*(\S[^\n]*)")


def read(text: str, answer_type: str, options: Sequence[str] = ()) -> str | None:
    """The canonical form of an answer.

    Args:
        text: The answer alone, not a completion that contains it.
        answer_type: One of `ANSWER_TYPES`.
        options: For a choice, the option texts; the first is A.

    Returns:
        None when `text` is not an answer of that type.

    Raises:
        ValueError: The answer type does not exist.
    """
    if answer_type == "number":
        return _read_number(text)
    if answer_type == "choice":
        return _read_choice(text, options)
    if answer_type == "yes_no":
        found = _LEADING_YES_NO.match(text)
        return yes_or_no(found[1]) if found else None
    if answer_type == "exact":
        return _bare(text) or None
    if answer_type == "string":
        return _folded(text) or None
    if (
        answer_type == "letters"
    ):  # the cleansing of Kojima et al. (arXiv 2205.11916) for last letters
        return "".join(sign for sign in text.casefold() if sign.isalnum()) or None
    raise ValueError(f"no answer type {answer_type!r}; there are {', '.join(ANSWER_TYPES)}")


def verify(extracted: str | None, gold: str, answer_type: str, options: Sequence[str] = ()) -> bool:
    """Whether an extracted answer is the gold answer: equal canonical forms.

    Numbers may differ by one part in a million where a side is a decimal that is no integer, so
    that rounding a third is no mistake while 1000001 is not 1000000.
    """
    if extracted is None:
        return False
    ours, theirs = read(extracted, answer_type, options), read(gold, answer_type, options)
    if ours is None or theirs is None:
        return False
    if ours == theirs:
        return True
    if answer_type != "number" or not ("." in ours or "." in theirs):
        return False
    a, b = Fraction(ours), Fraction(theirs)
    return abs(a - b) <= RELATIVE_TOLERANCE * max(abs(a), abs(b))


def number(match: re.Match[str]) -> str | None:
    """The canonical form of a match of `NUMBER`: an integer, a finite decimal, or a fraction."""
    if match.end() - match.start() > MAX_NUMBER_CHARS:
        return None
    if match[0].isdigit():
        return match[0].lstrip("0") or "0"
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


def yes_or_no(word: str) -> str:
    """Case folding by hand: re.IGNORECASE also matches letters that do not lower to ASCII."""
    return "yes" if word[0] in "yY" else "no"


def letter(found: str, options: Sequence[str]) -> str | None:
    """The option letter in upper case, or None when there is no such option."""
    upper = found.upper()
    return upper if not options or ord(upper) - ord("A") < len(options) else None


def _read_number(text: str) -> str | None:
    bare = text.strip(_WRAPPING).rstrip(_WRAPPING + ".,;!?")
    if bare.isascii() and bare.isdigit() and bare[0] != "0" and len(bare) <= MAX_NUMBER_CHARS:
        return bare
    if len(bare) > 2 * MAX_NUMBER_CHARS:
        return None
    match = _ONLY_NUMBER.fullmatch(bare)
    return number(match) if match else None


def _read_choice(text: str, options: Sequence[str]) -> str | None:
    bare = text.strip(_SPACE + _QUOTES)
    alone = _LETTER_ALONE.fullmatch(bare)
    named = letter(alone[1], options) if alone else None
    if named:
        return named
    folded = _folded(bare)
    texts = [_folded(option) for option in options]
    if folded and folded in texts:
        return chr(ord("A") + texts.index(folded))
    both = _LETTER_AND_TEXT.fullmatch(bare)
    if not both:
        return None
    found = letter(both[1] or both[2], options)
    # A letter beside the text of another option states two answers.
    if found and options and _folded(both[3]) != texts[ord(found) - ord("A")]:
        return None
    return found


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


def _bare(text: str) -> str:
    return text.lstrip(_SPACE + _QUOTES).rstrip(_SPACE + _QUOTES + ".")


def _folded(text: str) -> str:
    return _bare(" ".join(text.casefold().split()))
