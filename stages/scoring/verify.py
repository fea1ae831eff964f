"""One typed verifier per answer type: `read` gives a canonical form, `verify` compares two."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, get_args

from stages.scoring import bags
from stages.scoring.dates import read_date
from stages.scoring.numeric import close, read_number
from stages.scoring.texts import QUOTES, SPACE, bare, folded, letters, read_list

AnswerType = Literal[
    "number", "choice", "yes_no", "exact", "string", "letters", "maths", "list", "date", "f1"
]
ANSWER_TYPES: tuple[AnswerType, ...] = get_args(AnswerType)

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
        return read_number(text)
    if answer_type == "choice":
        return _read_choice(text, options)
    if answer_type == "yes_no":
        found = _LEADING_YES_NO.match(text)
        return yes_or_no(found[1]) if found else None
    if answer_type == "exact":
        return bare(text) or None
    if answer_type == "string":
        return folded(text) or None
    if answer_type == "letters":
        return letters(text) or None
    if answer_type == "list":
        return read_list(text)
    if answer_type == "date":
        return read_date(text)
    if answer_type == "f1":
        return bags.read_spans(text)
    if answer_type == "maths":
        # Its patterns are compiled for tasks of this type only: `make check` is to start at once.
        from stages.scoring.latex import read_maths

        return read_maths(text)
    raise ValueError(f"no answer type {answer_type!r}; there are {', '.join(ANSWER_TYPES)}")


def verify(extracted: str | None, gold: str, answer_type: str, options: Sequence[str] = ()) -> bool:
    """Whether an extracted answer is the gold answer.

    Canonical forms are equal, or `numeric.close` for numbers, `maths.same` for maths, and
    `bags.right` for f1, which is an F1 of at least `bags.F1_RIGHT` (0.8).
    """
    if extracted is None:
        return False
    ours = read(extracted, answer_type, options)
    return ours is not None and agrees(ours, gold, answer_type, options)


def agrees(ours: str, gold: str, answer_type: str, options: Sequence[str] = ()) -> bool:
    """`verify` of an answer that is in canonical form already, as `extract` gives it."""
    theirs = read(gold, answer_type, options)
    if theirs is None:
        return False
    if ours == theirs:
        return True
    if answer_type == "number":
        return close(ours, theirs)
    if answer_type == "f1":
        return bags.right(ours, theirs)
    if answer_type == "maths":
        from stages.scoring.maths import same

        return same(ours, theirs)
    return False


def score(extracted: str | None, gold: str, answer_type: str, options: Sequence[str] = ()) -> float:
    """How right an extracted answer is, from 0 to 1, for a metric: the F1, or else 0 or 1."""
    if answer_type != "f1":
        return float(verify(extracted, gold, answer_type, options))
    ours = None if extracted is None else read(extracted, answer_type)
    theirs = read(gold, answer_type)
    return 0.0 if ours is None or theirs is None else bags.f1(ours, theirs)


def stated(gold: str, answer_type: str) -> str:
    """How a completion is to state a gold answer, where the gold is written for the verifier.

    The items of a list, or the spans of the first acceptable answer of f1, with commas between.
    """
    if answer_type == "list" and (items := read_list(gold)):
        return ", ".join(json.loads(items))
    if answer_type == "f1" and (lines := bags.read_spans(gold)):
        return ", ".join(span.strip() for span in lines.split("\n")[0].split("|"))
    return gold


def yes_or_no(word: str) -> str:
    """Case folding by hand: re.IGNORECASE also matches letters that do not lower to ASCII."""
    return "yes" if word[0] in "yY" else "no"


def letter(found: str, options: Sequence[str]) -> str | None:
    """The option letter in upper case, or None when there is no such option."""
    upper = found.upper()
    return upper if not options or ord(upper) - ord("A") < len(options) else None


def _read_choice(text: str, options: Sequence[str]) -> str | None:
    bared = text.strip(SPACE + QUOTES)
    alone = _LETTER_ALONE.fullmatch(bared)
    named = letter(alone[1], options) if alone else None
    if named:
        return named
    whole = folded(bared)
    texts = [folded(option) for option in options]
    if whole and whole in texts:
        return chr(ord("A") + texts.index(whole))
    both = _LETTER_AND_TEXT.fullmatch(bared)
    if not both:
        return None
    found = letter(both[1] or both[2], options)
    # A letter beside the text of another option states two answers.
    if found and options and folded(both[3]) != texts[ord(found) - ord("A")]:
        return None
    return found
