"""Wrong answers by kind; the first that holds counts."""

from __future__ import annotations

from typing import Any

import pytest

from stages.reporting import mistakes
from stages.reporting.mistakes import kind, loops, stands
from stages.scoring.extract import extract

RULES = [{"after": "The answer is"}, {"last": "number"}]
NUMBER = [{"after": "The answer is"}]
LOOP = "The coin is flipped again and so it is tails. " * 4


def of(
    text: str, gold: str = "7", rules: Any = RULES, answer_type: str = "number", **more: Any
) -> str:
    options = more.pop("options", ())
    found = extract(text, rules, answer_type, options)
    return kind(text, found, gold, answer_type, options, **more)


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("", {}, mistakes.REFUSED),
        (" \n", {}, mistakes.REFUSED),
        ("The answer is 8.", {"error": "400"}, mistakes.REFUSED),
        (LOOP, {"finish_reason": "length"}, mistakes.LOOP),
        ("First we count the", {"finish_reason": "length"}, mistakes.CUT),
        ("We have 7 of 9.", {}, mistakes.FORMAT),
        ("So it is 7", {"rules": NUMBER}, mistakes.FORMAT),
        ("I do not know.", {}, mistakes.SILENT),
        ("3 + 4 = 8. The answer is 8.", {}, mistakes.SUM),
        ("3 + 5 = 8. The answer is 8.", {}, mistakes.OTHER),
        ("7 is too small. The answer is 8.", {}, mistakes.OTHER),
    ],
)
def test_the_first_kind_that_holds_counts(text: str, more: dict[str, Any], expected: str) -> None:
    assert of(text, **more) == expected


@pytest.mark.parametrize(
    ("line", "gold", "answer_type", "options", "expected"),
    [
        ("the coin is, yes, still up", "yes", "yes_no", (), True),
        ("it is (B)", "B", "choice", ("red", "blue"), True),
        ("it is (A)", "B", "choice", ("red", "blue"), False),
        ("surely Ann Lee won", "ann lee", "string", (), True),
        ("surely Annie Leeds won", "ann lee", "string", (), False),
        ("on 05/06/2020", "05/06/2020", "date", (), True),
        (r"so \boxed{x+1}", "x+1", "maths", (), True),
        ("7\nno more of it", "7", "number", (), False),  # only the last line
    ],
)
def test_the_gold_answer_in_the_last_line(
    line: str, gold: str, answer_type: str, options: tuple[str, ...], expected: bool
) -> None:
    assert stands(line, gold, answer_type, options) == expected


def test_a_loop_is_three_times_the_same_at_the_end() -> None:
    once = "Then he gives one of the apples to his sister. "
    assert not loops(once * 2)
    assert loops(once * 3)
    assert loops("At first all is well. " + once * 3 + once[:20])  # broken off
    assert not loops(once * 3 + "At last he has none of them left, and goes home to eat some.")
    assert not loops("no no no ")  # too short to be more than emphasis
    names = ("Ann", "Bob", "Cy", "Di", "Ed")
    assert not loops("".join(f"{name} does not flip the coin. " for name in names))
    assert loops("x" * 1_000_000)


def test_every_kind_is_explained() -> None:
    names = {value for name, value in vars(mistakes).items() if name.isupper() and name in (
        "REFUSED", "LOOP", "CUT", "FORMAT", "SILENT", "SUM", "OTHER")}  # fmt: skip
    assert set(mistakes.KINDS) == names
