"""An answer that is stated as an equation: what its last sign gives is the answer."""

from __future__ import annotations

import re
from typing import NamedTuple

from stages.scoring.numeric import NUMBER
from stages.scoring.texts import SPACE

_SIGNS = r"-+*/^\u00d7\u00b7\u00f7\u2212"
_OPERATOR = rf"(?:[{_SIGNS}]|\\(?:times|cdot|div)(?![a-z]))"
_CURRENCY = re.compile(r"\s*(?:\\?[$€£¥₹]\s?)?")
# "3 apples + 4 apples": what is counted stands behind its number.
_UNIT = re.compile(rf"(?<=[0-9])(?:[\s-]?[^\W\d_]{{2,}}){{1,2}}(?=\s*(?:[)x=]|{_OPERATOR}|$))")
_EXPRESSION = re.compile(
    rf"(?:[\]0-9\s.,%$€£¥()\[{{}}_{_SIGNS[1:]}-]"
    r"|\\[a-zA-Z]+(?![a-zA-Z])|(?<![^\W\d_])[^\W\d_](?![^\W\d_]))*"
)
_CALCULATES = re.compile(rf"[0-9)}}\]%a-zA-Z]\s*{_OPERATOR}|[0-9)]\s?[xX]\s?[(0-9]")
_GOES_ON = re.compile(rf"\s?(?:{_OPERATOR}|x)\s?[$(]?[0-9]")


class Equation(NamedTuple):
    """One equation.

    Args:
        result: The number behind the last sign; None where something else stands there.
        tautology: Whether it only says that a number is itself.
    """

    result: re.Match[str] | None
    tautology: bool = False


def solved(sentence: str) -> Equation | None:
    """The equation that a sentence is; None where it is none, or one without a calculation.

    "x = 5" is read as any other words before a number. A sentence of several equations has no
    result.
    """
    *sides, last = sentence.split("=")
    bare = [_UNIT.sub("", side) for side in sides]
    if not _EXPRESSION.fullmatch(bare[0]):
        return None
    at = len(sentence) - len(last)
    begin = _CURRENCY.match(sentence, at)
    result = NUMBER.match(sentence, begin.end() if begin else at)
    if len(sides) == 1 and result and sides[0].strip(SPACE + "$(*") == result[0]:
        return Equation(result, tautology=True)
    if not any(map(_calculates, bare)):
        return None
    if not result or _GOES_ON.match(sentence, result.end()):
        return Equation(None)
    return Equation(result if all(map(_EXPRESSION.fullmatch, bare)) else None)


def _calculates(side: str) -> bool:
    plain = side.strip(SPACE + "$")
    return NUMBER.fullmatch(plain) is None and _CALCULATES.search(plain) is not None
