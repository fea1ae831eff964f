"""Find the answer that a completion states, by a task's ordered rules."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stages.scoring.verify import NUMBER, letter, number, read, yes_or_no

# Every number lies in one such run, but for the sign, currency and point before its first digit.
# Python scans for a plain character set far quicker than for `NUMBER`.
_DIGITS = re.compile(r"[0-9][-+\u22120-9.,/\seExX\u00d7*^{}]*")
_BEFORE_DIGIT = 5
_YES_NO = re.compile(r"(?<![^\W_])(yes|no)(?![^\W_])", re.IGNORECASE)
# A capital alone is an option letter, unless it reads as the article or the pronoun.
_LETTER = re.compile(
    r"""
    \(\s?([A-Za-z])\s?\)
  | (?<![^\W_])(?<!['\u2019-])([a-z])\)
  | (?<![^\W_])(?<!['\u2019-])
    ([A-Z])
    (?![^\W_]|['\u2019-]\w|\.\w)
    (?!(?<=[AI])\s(?!\s?(?:is|because|since|as|and|or|which)(?![^\W_]))\s?[^\W\d_])
    """,
    re.VERBOSE,
)
_LOWER_LETTER_FIRST = re.compile(r"[\"'*]*([a-z])(?=[.:,](?:\s|$))")
_LINE = re.compile(r"[^\r\n]*")
_BEHIND_MARKER = re.compile(r"[\s*]*:?[\s*]*")
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[.!?][\"'\u201d\u2019*)\]]*(?=\s|$)"
)


@dataclass(frozen=True)
class Extraction:
    """What a completion answers.

    Args:
        answer: Canonical form, or None when no rule found one.
        start: Where the statement of the answer begins, so that `completion[:start]` is the
            rationale; None unless an `after` rule fired.
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
        rules: `{after: marker}`, `{first: kind}`, `{last: kind}` or `{whole: true}`, where kind
            is number, choice or yes_no.
        answer_type: One of `stages.scoring.verify.ANSWER_TYPES`.
        options: For a choice, the option texts; the first is A.

    Raises:
        ValueError: A rule, kind or answer type does not exist.
    """
    for index, rule in enumerate(rules):
        name, value = next(iter(rule.items()), ("", ""))
        if len(rule) != 1 or name not in ("after", "first", "last", "whole"):
            raise ValueError(f"no extraction rule {dict(rule)!r}")
        start: int | None = None
        found: str | None = None
        if name == "after":
            start = _last_marker(completion, value)
            if start is not None:
                found = _behind(completion, start + len(value), answer_type, options)
        elif name == "whole":
            found = read(completion, answer_type, options) if value else None
        else:
            item = _item(completion, value, options, last=name == "last")
            found = None if item is None else read(item, answer_type, options)
        if found is not None:
            return Extraction(found, start, index)
    return Extraction(None)


def follows_format(extraction: Extraction) -> bool:
    """Whether the completion states its answer as the task asks, which is what rule 0 reads."""
    return extraction.rule == 0


def _last_marker(completion: str, marker: str) -> int | None:
    text, wanted = _lower(completion), _lower(marker)
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


def _behind(completion: str, position: int, answer_type: str, options: Sequence[str]) -> str | None:
    gap = _BEHIND_MARKER.match(completion, position)
    start = gap.end() if gap else position
    line = _LINE.match(completion, start)
    text = line[0] if line else ""
    if answer_type in ("exact", "string", "letters"):
        end = _SENTENCE_END.search(text)
        return read(text[: end.end()] if end else text, answer_type)
    if answer_type == "choice":
        stated = read(text, "choice", options)
        lower = _LOWER_LETTER_FIRST.match(text)
        if stated is None and lower:
            stated = letter(lower[1], options)
        if stated is not None:
            return stated
    return _item(text, answer_type, options, last=False)


def _item(text: str, kind: str, options: Sequence[str], *, last: bool) -> str | None:
    if kind == "number":
        match = _last_number(text) if last else _first_number(text)
        return number(match) if match else None
    if kind == "yes_no":
        match = _pick(_YES_NO.finditer(text), last)
        return yes_or_no(match[1]) if match else None
    if kind == "choice":
        spans = [*_letters(text, options, last), *_option_texts(text, options, last)]
        if not spans:
            return None
        # The longer of two texts at one place: "green ball" is not the option "ball".
        if last:
            return max(spans, key=lambda span: (span[1], span[1] - span[0]))[2]
        return min(spans, key=lambda span: (span[0], span[0] - span[1]))[2]
    raise ValueError(f"nothing to find of kind {kind!r}; there are number, choice, yes_no")


def _first_number(text: str) -> re.Match[str] | None:
    digit = _DIGITS.search(text)
    return NUMBER.search(text, max(0, digit.start() - _BEFORE_DIGIT)) if digit else None


def _last_number(text: str) -> re.Match[str] | None:
    for start, end in reversed([run.span() for run in _DIGITS.finditer(text)]):
        low, high = max(0, start - _BEFORE_DIGIT), end + 2
        kept = deque(NUMBER.finditer(text, low, high), maxlen=1)
        # A match that ends before the run is the tail of an earlier number.
        if kept and kept[0].end() > start:
            return kept[0]
    return None


def _pick(matches: Iterator[re.Match[str]], last: bool) -> re.Match[str] | None:
    if not last:
        return next(matches, None)
    kept = deque(matches, maxlen=1)
    return kept[0] if kept else None


def _letters(text: str, options: Sequence[str], last: bool) -> Iterator[tuple[int, int, str]]:
    named = ((m, letter(m[1] or m[2] or m[3], options)) for m in _LETTER.finditer(text))
    spans = ((m.start(), m.end(), name) for m, name in named if name)
    yield from deque(spans, maxlen=1) if last else islice(spans, 1)


def _option_texts(text: str, options: Sequence[str], last: bool) -> Iterator[tuple[int, int, str]]:
    lowered = _lower(text) if options else ""
    for index, option in enumerate(options):
        wanted = _lower(option.strip())
        if not wanted:
            continue
        low, high = 0, len(lowered)
        while True:
            at = lowered.rfind(wanted, 0, high) if last else lowered.find(wanted, low)
            if at < 0:
                break
            end = at + len(wanted)
            if not (lowered[max(at - 1, 0) : at].isalnum() or lowered[end : end + 1].isalnum()):
                yield at, end, chr(ord("A") + index)
                break
            low, high = at + 1, end - 1


def _lower(text: str) -> str:
    """Lower case that keeps every position, which `str.lower` does not for a few letters."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
