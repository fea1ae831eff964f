"""Whether two mathematical answers are one: tuples, sets and intervals by their items.

What text alone decides is decided here: numbers, words, the order of items, and which equations
may be read as a value. The rest goes to math-verify, in a process that can be killed
(`stages.scoring.workers`). Kept from it for what it gets wrong: a bare equation such as ``0 = 0``
or ``2 + 3 = 5``, which it takes for its right side; two numbers side by side, which it adds; a
word, which it takes for a product of its letters; decimals beyond the sixth place; the items of
sets, which it pairs by a sorting order that may differ between equal sets.

An answer ``x = 5`` is the value 5 to a gold that is no equation, and to a gold ``x = 5`` so is an
answer ``5``. A list without brackets is a set. ``50%`` is both 50 and 0.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from stages.scoring import workers
from stages.scoring.latex import numeral
from stages.scoring.numeric import close

MAX_ITEMS = 20
"""A set of more items is compared in its order only."""

_VARIABLE = re.compile(
    r"(?:[a-zA-Z]|\\[a-z]+|\\(?:text|vec|overline)\{[a-zA-Z ]+\}|[A-Z]{2,3})"
    r"(?:_(?:[a-zA-Z0-9]|\{[a-zA-Z0-9]+\}))?'?(?:\([a-zA-Z](?:,[a-zA-Z])*\))?"
)
_EQUALS = re.compile(r"(?<![<>!\\])=")
_RELATION = re.compile(r"[<>]|\\(?:le|ge|ne|in|subset|equiv|mid|to|Rightarrow)(?![a-z])")
_SIDE_BY_SIDE = re.compile(r"(?<![_0-9])[0-9.]+\s+(?:[0-9.]|\\frac)")
_BASE = re.compile(r"(?P<digits>[0-9A-Fa-f]+)_\{?(?P<base>[0-9]{1,2})\}?")
_LETTERS = re.compile(r"[a-zA-Z]+|\\text\{[^{}]*\}")
_INTERVALS = {"()", "[]", "(]", "[)", "\\cup"}
_OPEN, _CLOSE = "([{", ")]}"


def same(answer: str, gold: str) -> bool:
    """Compare canonical forms of `latex.read_maths`; a comparison that takes too long is a no."""
    if answer == gold:
        return True
    (kind, ours), (wanted, theirs) = _shape(answer), _shape(gold)
    if kind == wanted and len(ours) == len(theirs):
        if len(ours) == 1 and kind in ("", "\\cup"):
            return _same_item(ours[0], theirs[0])
        if kind in ("\\{\\}", "\\cup"):
            return _in_any_order(ours, theirs)
        return all(map(same, ours, theirs))
    if len(ours) == len(theirs) == 1 and {kind, wanted} == {"", "\\{\\}"}:
        return _same_item(ours[0], theirs[0])
    described = bool(_RELATION.search(answer)) != bool(_RELATION.search(gold))
    if (described and {kind, wanted} & _INTERVALS) or "\\cup" in (kind, wanted):
        return workers.same("relation", [answer], [gold])
    return False


def _shape(text: str) -> tuple[str, list[str]]:
    """The brackets around a text with items in it, and the items; "" around a single one."""
    if "\\pm" in text and "," not in text:
        signs = (text.replace("\\pm", sign).replace("\\mp", other) for sign, other in ("+-", "-+"))
        return "\\{\\}", [signed.removeprefix("+") for signed in signs]
    for opening, ending in (("\\{", "\\}"), *((a, b) for a in "([" for b in ")]")):
        if text.startswith(opening) and text.endswith(ending):
            inner = text[len(opening) : -len(ending)]
            items = _parts(inner, ",")
            if items and (len(items) > 1 or opening == "\\{"):
                return opening + ending, items
    union = _parts(text, "\\cup")
    if union and len(union) > 1:
        return "\\cup", union
    items = _parts(text.replace(";", ","), ",")
    if items and len(items) > 1:
        if all(map(_RELATION.search, items)):
            return "\\cup", items  # "x < 1 or x > 2"
        named = [sides[0] for sides in map(_EQUALS.split, items) if len(sides) > 1]
        # "x = 1, y = 2" says more than the set of 1 and 2.
        return ("=" if len(set(named)) > 1 else "\\{\\}"), sorted(items) if named else items
    return "", [text]


def _parts(text: str, separator: str) -> list[str] | None:
    """The parts between separators outside all brackets; None where brackets do not match up."""
    parts, depth, start, position = list[str](), 0, 0, 0
    while position < len(text):
        if not depth and text.startswith(separator, position):
            parts.append(text[start:position].strip())
            start = position = position + len(separator)
            continue
        depth += (text[position] in _OPEN) - (text[position] in _CLOSE)
        if depth < 0:
            return None
        position += 1
    parts.append(text[start:].strip())
    return None if depth or not all(parts) else parts


def _in_any_order(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    if len(ours) > MAX_ITEMS:
        return list(ours) == list(theirs)
    left = list(theirs)
    for item in ours:
        found = next((other for other in left if same(item, other)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _same_item(answer: str, gold: str) -> bool:
    ours, theirs = _EQUALS.split(answer), _EQUALS.split(gold)
    if len(ours) == 1 and len(theirs) == 1:
        return _same_value(answer, gold)
    value, wanted = _value(ours), _value(theirs)
    if len(theirs) == 1:
        return value is not None and same(value, gold)
    if len(ours) == 1:
        return wanted is not None and same(answer, wanted)
    if value and wanted and ours[0].strip() == theirs[0].strip() and same(value, wanted):
        return True
    return len(ours) == len(theirs) == 2 and workers.same("equation", ours, theirs)


def _value(sides: Sequence[str]) -> str | None:
    """What an equation says that its left side is, when that is a name and no part of the rest."""
    name, last = sides[0].strip(), sides[-1].strip()
    if len(sides) == 1 or not last or not _VARIABLE.fullmatch(name):
        return None
    return None if re.search(rf"(?<![a-zA-Z\\]){re.escape(name)}(?![a-zA-Z])", last) else last


def _same_value(answer: str, gold: str) -> bool:
    rules: Sequence[Callable[[str, str], bool | None]] = (_numbers, _words, _based)
    for rule in rules:
        found = rule(answer, gold)
        if found is not None:
            return found
    if _SIDE_BY_SIDE.search(answer) or _SIDE_BY_SIDE.search(gold):
        return False
    if _RELATION.search(answer) or _RELATION.search(gold):
        return workers.same("relation", [answer], [gold])
    return workers.same("value", [answer.removesuffix("%")], [gold.removesuffix("%")])


def _numbers(answer: str, gold: str) -> bool | None:
    ours, theirs = numeral(answer.removesuffix("%")), numeral(gold.removesuffix("%"))
    if ours is None or theirs is None:
        return None
    if close(ours, theirs):
        return True
    if answer.endswith("%") == gold.endswith("%"):
        return False
    share = (ours, theirs) if answer.endswith("%") else (theirs, ours)
    return Fraction(share[0]) / 100 == Fraction(share[1])


def _words(answer: str, gold: str) -> bool | None:
    """Letters alone are a word, unless one side is a formula of a single letter or more."""
    if not (_LETTERS.fullmatch(answer) and _LETTERS.fullmatch(gold)):
        return False if any(map(_is_word, (answer, gold))) else None
    ours, theirs = _plain(answer), _plain(gold)
    if len(ours) == len(theirs) == 1:
        return ours == theirs
    return ours.casefold() == theirs.casefold()


def _is_word(text: str) -> bool:
    return bool(_LETTERS.fullmatch(text)) and len(_plain(text)) > 2


def _plain(text: str) -> str:
    return " ".join(text.removeprefix("\\text{").removesuffix("}").split()).rstrip(".")


def _based(answer: str, gold: str) -> bool | None:
    """Digits in a written base, such as 1011_2; the base may be left out."""
    ours, theirs = _BASE.fullmatch(answer), _BASE.fullmatch(gold)
    if not ours and not theirs:
        return None
    bases = {match["base"] for match in (ours, theirs) if match}
    digits = {
        (match["digits"] if match else text).casefold()
        for match, text in ((ours, answer), (theirs, gold))
    }
    return len(bases) == len(digits) == 1
