"""Find the answer that a completion states, by a task's ordered rules.

| rule | yields |
|---|---|
| `after: words` | what follows their last occurrence, by the answer type: the number, choice, yes or no, or date that `stages.scoring.statement` reads in that line; for exact, string, letters and f1 the sentence; for a list the sentence or the bulleted lines; for maths the sentence, the displayed formula, or the formula or number that the sentence begins with |
| `first_after: words` | the first number, choice, yes or no, or date behind their last occurrence, whatever else is said with it, as published evaluations read a reply; for the other types as `after` |
| `first: kind`, `last: kind` | that number, choice, yes or no, or date of the whole completion |
| `boxed: true` | what the last balanced `\\boxed{...}` or `\\fbox{...}` holds |
| `whole: true` | the completion, when it is an answer and nothing else |

A statement that the next sentence takes back ("The answer is 5. No, 6.") yields nothing, so that the
next rule is tried. One that leaves the answer open ("3 or 4", "not B") ends the search: what else
stands in the completion is not what it answers.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import Any

from stages.scoring.find import KINDS, item
from stages.scoring.numeric import plain
from stages.scoring.statement import LONGEST, UNDECIDED, stated
from stages.scoring.texts import lower
from stages.scoring.verify import read

RULES = ("after", "first_after", "first", "last", "boxed", "whole")

_LINE = re.compile(r"[^\r\n]*")
_BEHIND_MARKER = re.compile(r"[\s*]*:?[\s*]*")
_BULLET = re.compile(r"[ \t]*(?:[-*\u2022]|\(?[0-9]{1,3}[.)])[ \t]+\S")
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[.!?][\"'\u201d\u2019*)\]]*(?=\s|$)"
)
_TAKEN_BACK = re.compile(
    r"\s*(?:(?:oh |but |hmm,? )?"
    r"(?:no|nope|wait|sorry|oops|correction|hold on|scratch that|i mean|on second thought)"
    r"\s?[,.:;!\u2026\u2014\u2013-]|actually\b|that(?:'s| is) (?:wrong|not right))",
    re.IGNORECASE,
)
_MORE = re.compile(r",?\s*(?:(?:or|and|to|through|times)\b|[-=+<>/^0-9$\\(])")
_REASON = re.compile(
    r"[,;]?\s(?:because|since|as|so|which|where|when|for|by|if|that|after|per)\s", re.IGNORECASE
)
_NUMBER_AND_WORDS = re.compile(
    r"(?!.*\b(?:or|nor|not|times|plus|minus|divided|over|to|mod|[b-zB-Z])\b)"
    r"(?P<number>\\?\$?-?[0-9][0-9,./]*%?)(?:[\s,]+[^\W\d_]+)+\W*"
)


@dataclass(frozen=True)
class Extraction:
    """What a completion answers.

    Args:
        answer: Canonical form, or None when no rule found one.
        start: Where the statement of the answer begins, so that `completion[:start]` is the
            rationale; None unless a rule with a marker fired.
        rule: Index of the rule that fired.
    """

    answer: str | None
    start: int | None = None
    rule: int | None = None


def extract(
    completion: str,
    rules: Sequence[Mapping[str, Any]],
    answer_type: str,
    options: Sequence[str] = (),
) -> Extraction:
    """The answer by the first rule that yields one of the type asked for.

    Args:
        completion: What the model wrote.
        rules: Each a mapping of one of `RULES` to its value; the module says what they yield.
        answer_type: One of `stages.scoring.verify.ANSWER_TYPES`.
        options: For a choice, the option texts; the first is A.

    Raises:
        ValueError: A rule, kind or answer type does not exist.
    """
    for index, rule in enumerate(rules):
        name, value = next(iter(rule.items()), ("", ""))
        if len(rule) != 1 or name not in RULES:
            raise ValueError(f"no extraction rule {dict(rule)!r}")
        start: int | None = None
        found: str | None = None
        if name in ("after", "first_after"):
            start = _last_marker(completion, value)
            if start is not None:
                end = start + len(value)
                if name == "first_after" and answer_type in KINDS:
                    found = item(completion[end:], answer_type, options, last=False)
                else:
                    found = _behind(completion, end, answer_type, options)
        elif name == "whole":
            found = read(completion, answer_type, options) if value else None
        else:
            text = _boxed(completion) if name == "boxed" else item(
                completion, value, options, last=name == "last"
            )  # fmt: skip
            found = None if text is None else read(text, answer_type, options)
        if found == UNDECIDED:
            break
        if found is not None:
            return Extraction(found, start, index)
    return Extraction(None)


def follows_format(extraction: Extraction) -> bool:
    """Whether the completion states its answer as the task asks, which is what rule 0 reads."""
    return extraction.rule == 0


def _last_marker(completion: str, marker: str) -> int | None:
    text, wanted = lower(completion), lower(marker)
    if not wanted:
        raise ValueError("the marker of an `after` rule is empty")
    end = len(text)
    while (start := text.rfind(wanted, 0, end)) >= 0:
        behind = start + len(wanted)
        # "The answer isn't 4" does not state an answer.
        if not (wanted[-1].isalnum() and text[behind : behind + 1].isalnum()):
            return start
        end = behind - 1
    return None


def _boxed(completion: str) -> str | None:
    from stages.scoring.latex import last_box

    return last_box(completion)


def _behind(completion: str, position: int, answer_type: str, options: Sequence[str]) -> str | None:
    gap = _BEHIND_MARKER.match(completion, position)
    start = gap.end() if gap else position
    line = _LINE.match(completion, start)
    text = line[0] if line else ""
    sentence = _sentence(text)
    taken_back = _TAKEN_BACK.match(completion, start + len(sentence))
    if taken_back and answer_type != "yes_no":
        return None
    if answer_type in ("exact", "string", "letters", "f1"):
        return read(sentence, answer_type)
    if answer_type == "list":
        return read(_bulleted(completion[position : position + LONGEST]) or sentence, answer_type)
    if answer_type == "maths":
        shown = _formulas(completion, start, sentence[:LONGEST])
        return next((it for it in (read(each, "maths") for each in shown) if it), None)
    if answer_type == "number":
        head = plain(text[:LONGEST])
        if head != text[:LONGEST]:
            text, sentence = head + text[LONGEST:], _sentence(head)
    found = stated(text, sentence, answer_type, options)
    # "The answer is no. No, it is not." takes nothing back.
    agrees = taken_back and found == "no" and taken_back[0].lstrip()[:2].lower() == "no"
    return None if taken_back and not agrees else found


def _sentence(line: str) -> str:
    ending = _SENTENCE_END.search(line)
    return line[: ending.end()] if ending else line


def _bulleted(text: str) -> str:
    """The lines of a bulleted or numbered list, where the text begins with one of two or more."""
    lines = dropwhile(lambda line: not line.strip(" \t*:"), text.splitlines())
    items = list(takewhile(_BULLET.match, lines))
    return "\n".join(items) if len(items) > 1 else ""


def _formulas(completion: str, start: int, sentence: str) -> Iterator[str]:
    """What of a statement may be its formula, the most first."""
    for opening, ending in (("\\[", "\\]"), ("$$", "$$")):
        if completion.startswith(opening, start):
            inside = completion[start + 2 : start + LONGEST].partition(ending)
            if inside[1] and "\n" in inside[0]:
                yield inside[0]
    yield sentence
    reason = _REASON.search(sentence)
    if reason:
        yield sentence[: reason.start()]
    for opening, ending in (("$", "$"), ("\\(", "\\)")):
        if sentence.startswith(opening):
            inner, closed, rest = sentence[len(opening) :].partition(ending)
            if closed and not _MORE.match(rest):
                yield inner
    words = _NUMBER_AND_WORDS.fullmatch(sentence)
    if words:
        yield words["number"]
