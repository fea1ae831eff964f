"""Equations in a text that do not hold, as far as they can be told from prose.

It is better to miss one than to accuse wrongly: what is not plainly one calculation with one number
behind its sign is passed over, such as sums of unlike units, remainders and running chains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

LONGEST = 50_000
"""Characters of a text that are read."""
_BACK = 40
_BITS = 4_000
_TOKEN = re.compile(
    r"""
    (?P<odd>(?<![\w.])[0-9]+(?::[0-9]+)+|[^\W\d_]+[0-9]\w*|[0-9]+(?:st|nd|rd|th)\b)
  | (?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)
  | (?P<times>(?<=[0-9)\s])[xX](?=\s?[$(0-9])|\\(?:times|cdot)(?![a-zA-Z])|[*\u00d7\u00b7])
  | (?P<over>\\div(?![a-zA-Z])|[/\u00f7])
  | (?P<minus>[-\u2212])
  | (?P<plus>\+) | (?P<power>\^) | (?P<open>\() | (?P<close>\)) | (?P<equals>=) | (?P<percent>%)
  | (?P<word>[^\W\d_]+)
  | (?P<blank>[ \t\u00a0$\u20ac\u00a3\u00a5\u20b9]+)
  | (?P<odds>.|\n)
    """,
    re.VERBOSE,
)
_LETTER = {
    "number": "N", "times": "O", "over": "O", "plus": "O", "power": "O", "minus": "M",
    "open": "(", "close": ")", "equals": "=", "percent": "%", "word": "W",
}  # fmt: skip
_OPERAND = r"\(*M?N%?W{0,2}\)*"
_CALCULATION = re.compile(rf"(?:{_OPERAND}[OM])+{_OPERAND}$")
# what makes the numbers beside it mean something else, or belongs to the calculation itself
_SCALES = re.compile(
    r"(?:dozen|hundred|thousand|million|billion|trillion|pair|percent|half|halve|third|quarter|twice"
    r"|double|triple|remainder|rem|r|mod|of|times|by|plus|minus|over|per|squared|cubed|and|or|to"
    r"|about|almost|approximately)s?",
    re.IGNORECASE,
)


class Token(NamedTuple):
    """`letter` stands for its kind; anything that ends a calculation is a full stop."""

    letter: str
    text: str
    start: int
    end: int


def false_equation(text: str) -> str | None:
    """The first equation that does not hold, as it is written; None where there is none.

    "3 + 4 = 8" does not; "10 / 3 = 3.33" does, since a result may be rounded, or cut to the places
    that are given.
    """
    tokens = list(_tokens(text[:LONGEST]))
    for at, token in enumerate(tokens):
        if token.letter == "=":
            found = _read(tokens, at)
            if found and not any(_holds(*found, percent) for percent in (1, 100)):
                left, right = found
                return text[left[0].start : right[-1].end]
    return None


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "blank":
            yield Token(_LETTER.get(kind, "."), match[0], *match.span())


def _read(tokens: Sequence[Token], at: int) -> tuple[list[Token], list[Token]] | None:
    """The calculation before a sign and the number behind it; None where they are not plain."""
    before = tokens[max(0, at - _BACK) : at]
    found = _CALCULATION.search("".join(token.letter for token in before))
    if not found:
        return None
    left = list(before[found.start() :])
    if found.start():
        prior = before[found.start() - 1]
        odd = (
            prior.letter == "." and prior.text not in ".,;:!?\n<>*\"'"
        ) or prior.letter in "NOM%()"
        word = prior.letter == "W" and (len(prior.text) == 1 or _SCALES.fullmatch(prior.text))
        if (
            odd
            or word
            or (prior.letter == "." and prior.end == left[0].start and prior.text in ".:")
        ):
            return None
    right = _result(tokens, at + 1)
    if not right or not _alike(left) or _depths(left):
        return None
    return left, right


def _result(tokens: Sequence[Token], at: int) -> list[Token]:
    letters = "".join(token.letter for token in tokens[at : at + 8])
    match = re.match(r"M?N%?", letters)
    if not match:
        return []
    end = match.end()
    if (
        letters[end : end + 2] == "ON"
        and tokens[at + end].text == "/"
        and tokens[at + end - 1].end == tokens[at + end].start
        and "%" not in match[0]
    ):
        end += 2
    follows = letters[end : end + 1]
    if follows and follows in "OM(NW%":
        behind = tokens[at + end]
        # "= 5 - that is" goes on with words, "= 5 - 2" with the calculation
        dash = follows == "M" and letters[end + 1 : end + 2] not in ("N", "(")
        plain = follows == "W" and len(behind.text) > 1 and not _SCALES.fullmatch(behind.text)
        joined = behind.text.lower() in ("and", "or", "to", "by", "about")
        if not (dash or plain or joined):
            return []
    if follows == "." and tokens[at + end].text == ":" and letters[end + 1 : end + 2] == "N":
        return []
    return list(tokens[at : at + end])


def _alike(left: Sequence[Token]) -> bool:
    """Whether its units can be left out: none that scales, and like ones where it adds."""
    units: list[str] = []
    adds = False
    for token, after in zip(left, [*left[1:], None], strict=True):
        if token.letter == "W":
            if _SCALES.fullmatch(token.text):
                return False
            units[-1] += token.text.lower().rstrip("s") + " "
        elif token.letter == "N":
            units.append("")
        adds |= token.text == "+" or (token.letter == "M" and after is not None and bool(units))
    told = set(units) - {""}
    return not adds or (len(told) <= 1 and ("" not in units[:-1] or not any(units[:-1])))


def _depths(left: Sequence[Token]) -> bool:
    """Whether brackets are left open, or closed twice."""
    depth = 0
    for token in left:
        depth += {"(": 1, ")": -1}.get(token.letter, 0)
        if depth < 0:
            return True
    return depth != 0


def _holds(left: Sequence[Token], right: Sequence[Token], percent: int) -> bool:
    """Whether both sides agree; a percentage is a share of a hundred, or of `percent`."""
    try:
        value = _Sum([it for it in left if it.letter != "W"], percent).value()
        stated = _Sum(list(right), percent).value()
    except (ValueError, ZeroDivisionError, OverflowError):
        return True  # it cannot be told
    last = right[-1].text if right[-1].letter != "%" else right[-2].text
    places = len(last.partition(".")[2])
    scale = percent if right[-1].letter == "%" else 1
    room = Fraction(1, 10**places * scale)
    if not places:
        whole = value.denominator == 1 or any(token.text == "/" for token in right)
        room = Fraction(0) if whole else room / 2
    return abs(value - stated) <= room


class _Sum:
    """Evaluates tokens by the usual precedence; powers bind most, signs next."""

    def __init__(self, tokens: list[Token], percent: int) -> None:
        self.tokens, self.at, self.percent = tokens, 0, percent

    def value(self) -> Fraction:
        made = self._sum()
        if self.at < len(self.tokens):
            raise ValueError("something is left over")
        return made

    def _next(self, letters: str, texts: str = "") -> Token | None:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.letter in letters and (not texts or token.text in texts):
                self.at += 1
                return token
        return None

    def _sum(self) -> Fraction:
        made = self._product()
        while token := self._next("M") or self._next("O", "+"):
            made = made - self._product() if token.letter == "M" else made + self._product()
        return made

    def _product(self) -> Fraction:
        made = self._signed()
        while self.at < len(self.tokens) and self.tokens[self.at].text not in "+^":
            token = self._next("O")
            if not token:
                break
            over = token.text in ("/", "\u00f7", "\\div")
            made = made / self._signed() if over else made * self._signed()
            if made.numerator.bit_length() + made.denominator.bit_length() > _BITS:
                raise OverflowError
        return made

    def _signed(self) -> Fraction:
        if self._next("M"):
            return -self._signed()
        base = self._atom()
        if self._next("O", "^"):
            power = self._signed()
            if power.denominator != 1 or abs(power) > 64:
                raise ValueError("no power that is told")
            base = base**power.numerator
        return base

    def _atom(self) -> Fraction:
        if self._next("("):
            made = self._sum()
            if not self._next(")"):
                raise ValueError("a bracket is open")
            return made
        token = self._next("N")
        if not token or len(token.text) > 100:
            raise ValueError("no number")
        made = Fraction(token.text.replace(",", ""))
        return made / self.percent if self._next("%") else made
