"""Whether two splits share a question, in memory that does not grow with the questions' length."""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Iterator
from hashlib import blake2b

BUCKET = 100_000
"""Questions compared at a time."""

# Signs that can be all that tells two questions apart; other marks only part words.
_BRACKETS = r"()\[\]{}<>"
_OPERATORS = r"+\-*/^=|&~\u00ac\u00b1\u00d7\u00f7\u2190-\u22ff"
_MARKS = re.compile(rf"[^\w{_BRACKETS}{_OPERATORS}]+")
_SIGN = re.compile(rf"[{_BRACKETS}{_OPERATORS}]")
_OPTION = re.compile(r"\( ?([^\W\d_]) ?\)")
# A number, a bracket, or a letter by itself that is not the article.
_OPERATION = re.compile(
    rf"[{_OPERATORS}](?: ?[{_OPERATORS}])*"
    rf"(?P<operand>(?= ?(?:[\d{_BRACKETS}]|(?!a [^\W\d_]{{2}})[^\W\d_](?![^\W_]))))?"
)
_OPTIONS = re.compile(r"Answer Choices:|^Options:", re.MULTILINE)
_NUMBER = re.compile(r"\d[\d.,:/]*")
_CAPITALISED = re.compile(r"(?<!\w)[A-Z][a-z]+")
# Capitals that begin a sentence or name no person; whatever else has one is taken for a name.
_NO_NAME = """
A After All Although An And Are As At Because Before But By Can Did Do Does During Each Every
Find Finally First For From Given Has Have How However If In Is It Its Later Let Next No Not
Note Now Of On Once One Only Or Over Q Since So Some Suppose Take That The Their Then There
These They This Those Three Through To Today Tomorrow Two Was We Were What When Where Which
While Who Why Will With Would Yesterday You Your
"""
_PRONOUN = re.compile(r"(?<!\w)(he|she|him|her|his|hers|himself|herself)(?!\w)")


def normalised(question: str) -> str:
    """What tells a question from another: letters and digits in lower case, and signs of formulas.

    Brackets count, but for those around an option's letter; operators count where an operand
    follows, since elsewhere they are hyphens, dashes and bullets.
    """
    text = _MARKS.sub(" ", question.casefold().replace("_", " ").replace("\u2212", "-"))
    if _SIGN.search(text):
        text = _OPTION.sub(r" \1 ", text)
        text = _OPERATION.sub(lambda match: " " if match["operand"] is None else match[0], text)
        text = " ".join(_SIGN.sub(r" \g<0> ", text).split())
    return text.strip()


def template_of(question: str) -> str:
    """The question with what varies masked: numbers, names and the pronouns that go with them.

    Questions that differ in nothing else come from one question template (Ho et al. 2022,
    appendix E.3). Options that are listed behind it do not count.
    """
    listed = deque(_OPTIONS.finditer(question), maxlen=1)
    stem = question[: listed[0].start()] if listed else ""
    question = stem if stem.strip() else question
    named = set(_CAPITALISED.findall(question)) - set(_NO_NAME.split())
    masked = question
    for name in named:
        masked = re.sub(rf"(?<!\w){name}(?!\w)", "@", masked)
    masked = _PRONOUN.sub("@", _NUMBER.sub("0", masked.casefold()))
    return re.sub(r"[^\w@]+", " ", masked).strip()


def fingerprint(question: str) -> bytes:
    """64 bits of the question as it is compared."""
    return blake2b(normalised(question).encode(errors="replace"), digest_size=8).digest()


class Seen:
    """The questions of each split, as 64-bit hashes."""

    def __init__(self) -> None:
        self._hashes: dict[str, array[int]] = {}

    def add(self, split: str, question: str) -> None:
        """Note the next question of a split."""
        self._hashes.setdefault(split, array("Q")).frombytes(fingerprint(question))

    def shared(self) -> Iterator[tuple[str, str, list[int]]]:
        """(earlier split, later split, numbers of the later one's rows) of what both hold."""
        buckets = 1 + sum(map(len, self._hashes.values())) // BUCKET
        found: dict[tuple[str, str], list[int]] = {}
        for bucket in range(buckets):
            first: dict[int, str] = {}
            for split, hashes in self._hashes.items():
                for number, value in enumerate(hashes):
                    if value % buckets == bucket:
                        earlier = first.setdefault(value, split)
                        if earlier != split:
                            found.setdefault((earlier, split), []).append(number)
        order = {split: place for place, split in enumerate(self._hashes)}
        for earlier, later in sorted(found, key=lambda pair: [order[name] for name in pair]):
            yield earlier, later, sorted(found[earlier, later])
