"""Answers that are mathematics: what a model wrote around them falls away, what they say stays.

Only text is rewritten here, so that a task's golds are read quickly and without a computer
algebra system; `stages.scoring.maths` compares. Fall away: delimiters and boxes, spacing commands,
the sizes of brackets, separators of thousands, a degree sign, a unit or currency, ``x \\in``, a
leading ``=`` or ``\\approx``. Units are not compared, as in the evaluation of MATH (Hendrycks et
al. 2021, arXiv 2103.03874). A sentence is no answer; a single word, or ``\\text{...}``, is one.
"""

from __future__ import annotations

import re

from stages.scoring.numeric import NUMBER, number
from stages.scoring.texts import SPACE

MAX_MATHS_CHARS = 1000
"""A longer text is no answer."""
_ROUNDS = 8
"""Boxes in delimiters in boxes: what is not stable after so many rounds is no answer."""

_SIGNS = {
    "\u2212": "-", "\u2013": "-", "\u00d7": r"\times ", "\u00b7": r"\cdot ",
    "\u22c5": r"\cdot ", "\u00f7": r"\div ", "\u03c0": r"\pi ", "\u03b8": r"\theta ",
    "\u221e": r"\infty ", "\u2264": r"\le ", "\u2265": r"\ge ", "\u2260": r"\ne ",
    "\u2248": r"\approx ", "\u00b1": r"\pm ", "\u222a": r"\cup ", "\u2229": r"\cap ",
    "\u2208": r"\in ", "\u2205": r"\emptyset ", "\u211d": r"\mathbb{R}",
    "\u00bd": r"\frac{1}{2}", "\u00bc": r"\frac{1}{4}", "\u00be": r"\frac{3}{4}",
    "\u00b2": "^2", "\u00b3": "^3", "\u00b0": "", "\u20ac": "", "\u00a3": "", "\u00a5": "",
}  # fmt: skip
_SIGN = re.compile("|".join(_SIGNS))
_ROOT = re.compile(r"\u221a(?:\((?P<inner>[^()]*)\)|(?P<plain>[0-9]+|[a-z]))")
_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|,?\\!,?)(?=[0-9]{3}(?![0-9]))")
_NAMES = r"sqrt|pi|theta|alpha|beta|sin|cos|tan|ln|log"
_SYNONYMS = [
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\[dtc]frac(?![a-z])", r"\\frac"),
        (r"([_^])\s*\{\s*([0-9])\s*\}(?![0-9a-zA-Z])", r"\1\2"),
        (r"\\frac\s+([0-9a-z])\s*([0-9a-z])(?![0-9a-z])", r"\\frac{\1}{\2}"),
        (r"\\(?:left|right|[bB]igg?[lr]?)(?![a-z])\.?", ""),
        (r"\\(?:displaystyle|textstyle|limits|boldsymbol)(?![a-z])", ""),
        (r"(?<!\\)\\[,;:! ]|~|\\q?quad(?![a-z])", " "),
        (r"\\operatorname\s*\{([a-z]+)\}", r"\\\1 "),
        (r"\\(?:text(?:bf|rm|it|normal)|mbox|mathrm|mathbf|rm)(?=\s*\{)", r"\\text"),
        (r"\\lbrace(?![a-z])", r"\\{"),
        (r"\\rbrace(?![a-z])", r"\\}"),
        (r"\\leq(?![a-z])", r"\\le"),
        (r"\\geq(?![a-z])", r"\\ge"),
        (r"\\neq(?![a-z])|!=", r"\\ne "),
        (r"\\le(?:slant|qslant)(?![a-z])|<=", r"\\le "),
        (r"\\geqslant(?![a-z])|>=", r"\\ge "),
        (r"\\lt(?![a-z])", "<"),
        (r"\\gt(?![a-z])", ">"),
        (r"\\%", "%"),
        (r"\\?\$|\\euro(?![a-z])", ""),
        (r"\^\s*(?:\\circ|\{\s*\\circ\s*\})(?![a-z])|\\degree(?![a-z])", ""),
        (r"\*\*(?=[0-9a-zA-Z({\\-])", "^"),
        (r"\*\*", ""),  # Markdown
        (r"\\text\s*\{\s*,?\s*(?:and|or)\s*\}|,?\s+(?:and|or)\s+", ", "),
        (rf"(?<![a-zA-Z\\])({_NAMES}|infinity|infty)(?![a-z])", r"\\\1"),
        (r"\\infinity", r"\\infty"),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    )
]  # fmt: skip
_DELIMITERS = ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), ("$", "$"))
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_LEADING = re.compile(r"(?:=|\\approx(?![a-z])|[a-zA-Z]\s*\\in(?![a-z]))\s*")
_NO_UNIT = rf"(?:or|and|not|no|more|less|if|than|except|only|mod|times|{_NAMES}|x|i|e)\b"
_TEXT_UNIT = re.compile(
    rf"(?<=[0-9}})a-z%])\s*\\text\s*\{{(?![^{{}}]*\b{_NO_UNIT})\s*[a-zA-Z./\s^0-9-]+\}}"
    r"(?:\s*\^\s*(?:[23]|\{[23]\}))?$"
)
# Not mg, which is a product in physics.
_SHORT = r"(?:cm|mm|km|kg|ft|in|lbs?|hrs?|min|mph|m/s|km/h|sec|deg)"
_WORD_UNIT = re.compile(
    rf"(?P<value>.*(?:[0-9}})%]|\\pi))(?:\s*{_SHORT}(?:\s*\^\s*(?:[23]|\{{[23]\}}))?"
    rf"|(?<=[0-9%}}])(?:\s+|-)(?!{_NO_UNIT})[a-zA-Z]{{3,}}"
    rf"(?:[ /-](?!{_NO_UNIT})[a-zA-Z]+){{0,3}})"
)
_FRACTION = re.compile(
    r"(-?)\s*([0-9]*)\s*\\frac\s*\{?((?<=\{)-?[0-9]+|[0-9])\}?\s*\{?((?<=\{)[0-9]+|[0-9])\}?"
)
_SINGLE = re.compile(r"\((?P<inner>[A-Za-z]|[0-9.]+)\)")
_WORDS = re.compile(r"\\text\s*\{\s*(?P<inner>[^{}]*?)\s*\}")
_ONE_WORD = re.compile(r"[A-Za-z]+|\([A-Za-z0-9.]+\)|[A-Za-z](?:\s?,\s?[A-Za-z])+")
_SAID = re.compile(r"\\text\s*\{[^{}]*\}|\\(?:begin|end|mathbb|mathcal)\s*\{[^{}]*\}|\\[a-zA-Z]+")
# A word between spaces; letters beside digits or signs are variables.
_PROSE = re.compile(r"(?<![^\s,;:])[A-Za-z]?[a-z'\u2019]{2,}(?![^\s,;:.!?])")
_MARKS = '"`\u201c\u201d'
_GAP = re.compile(r"(?<![A-Za-z0-9])\s+|\s+(?![A-Za-z0-9])")


def read_maths(text: str) -> str | None:
    """The canonical form, or None when the text is empty, prose, or too long."""
    bare = text.strip(SPACE)
    if not bare or len(bare) > MAX_MATHS_CHARS:
        return None
    plain = numeral(bare)
    if plain is not None:
        return plain
    for _ in range(_ROUNDS):
        shorter = _round(bare)
        if shorter == bare:
            said = any(map(str.isalnum, bare)) or bare == "\\{\\}"
            return bare if said and not _is_prose(bare) else None
        bare = shorter
    return None


def last_box(text: str) -> str | None:
    """What the last balanced ``\\boxed{...}`` or ``\\fbox{...}`` holds."""
    for match in reversed(list(_BOX.finditer(text))):
        end = closing(text, match.end() - 1)
        if end is not None:
            return text[match.end() : end]
    return None


def closing(text: str, opening: int) -> int | None:
    """Where the brace closes that opens at `opening`, within the longest possible answer."""
    depth, position = 0, opening
    limit = min(len(text), opening + MAX_MATHS_CHARS)
    while position < limit:
        sign = text[position]
        if sign == "\\":
            position += 1
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    return None


def numeral(text: str) -> str | None:
    """The canonical number that a text is, with nothing beside it, or None."""
    written = _FRACTION.fullmatch(text)
    if written:
        sign, whole, top, bottom = written.groups()
        text = f"{sign}{whole} {top}/{bottom}" if whole else f"{sign}{top}/{bottom}"
    match = NUMBER.fullmatch(text)
    return number(match) if match else None


def _round(text: str) -> str:
    text = text.strip(SPACE + _MARKS).rstrip(SPACE + ".,;:")
    text = _unwrapped(text.strip("*") if text.startswith("*") else text)
    text = _SIGN.sub(lambda match: _SIGNS[match[0]], text)
    text = _ROOT.sub(lambda match: rf"\sqrt{{{match['inner'] or match['plain']}}}", text)
    text = _THOUSANDS.sub("", text)
    for pattern, new in _SYNONYMS:
        text = pattern.sub(new, text)
    text = text.strip()
    text = text[led.end() :] if (led := _LEADING.match(text)) else text
    text = _TEXT_UNIT.sub("", text)
    with_unit = _WORD_UNIT.fullmatch(text)
    text = with_unit["value"] if with_unit else text
    alone = _SINGLE.fullmatch(text) or _WORDS.fullmatch(text)
    if alone and (alone.re is _SINGLE or _ONE_WORD.fullmatch(alone["inner"])):
        text = alone["inner"]
    percent = "%" if text.endswith("%") else ""
    value = numeral(text.removesuffix("%").strip())
    return f"{value}{percent}" if value is not None else _GAP.sub("", text)


def _unwrapped(text: str) -> str:
    for opening, ending in _DELIMITERS:
        if text.startswith(opening) and text.endswith(ending) and len(text) > len(opening + ending):
            inner = text[len(opening) : -len(ending)]
            if opening not in inner and ending not in inner:
                return inner
    box = _BOX.match(text)
    if box and closing(text, box.end() - 1) == len(text) - 1:
        return text[box.end() : -1]
    if text.startswith("{") and closing(text, 0) == len(text) - 1:
        inner = text[1:-1]
        # Braces around several items are a set whose backslashes were left out.
        return rf"\{{{inner}\}}" if "," in inner else inner
    return text


def _is_prose(text: str) -> bool:
    """Whether words stand among the signs, or several words stand alone."""
    words = _PROSE.findall(_SAID.sub(" ", text))
    return len(words) > 1 or bool(words and words[0] != text)
