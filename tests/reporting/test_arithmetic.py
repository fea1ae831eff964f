"""Equations that hold, that do not, and what only looks like one."""

from __future__ import annotations

import pytest

from stages.reporting.arithmetic import false_equation

WRONG = [
    ("6310 + 4518 = 11630", "6310 + 4518 = 11630"),
    ("That means she has $109 - $35 = $75 left.", "109 - $35 = $75"),
    ("So 3 apples + 4 apples = 8 apples.", "3 apples + 4 apples = 8"),
    ("3 x 4 = 13", "3 x 4 = 13"),
    (r"$3 \times 4 = 13$", r"3 \times 4 = 13"),
    ("(2 + 3) * 4 = 21", "(2 + 3) * 4 = 21"),
    ("2 + 3 * 4 = 20", "2 + 3 * 4 = 20"),
    ("2 ^ 3 = 9", "2 ^ 3 = 9"),
    ("10 / 4 = 3.5", "10 / 4 = 3.5"),
    ("1,000 + 1 = 2,001", "1,000 + 1 = 2,001"),
    ("it is 3 + 4 = 7, then 7 + 2 = 10.", "7 + 2 = 10"),
    ("5 - 8 = 3", "5 - 8 = 3"),
    ("<<16-3-4=8>>", "16-3-4=8"),
    ("25% * 80 = 30", "25% * 80 = 30"),
    ("1/2 + 1/4 = 2/4", "1/2 + 1/4 = 2/4"),
]
RIGHT = [
    "6310 + 4518 = 10828",
    "So 109 - 35 = 74 and 7 * 6 = 42",
    "10 / 3 = 3.33", "10 / 3 = 3.3333", "20 / 3 = 6.66", "100 / 3 = 33",
    "25% * 80 = 20", "3 / 4 = 75%", "3 / 4 * 100 = 75%",
    "5 - 8 = -3", "-5 + 8 = 3", "1/2 + 1/4 = 3/4", "2 ^ 10 = 1,024",
    "3 boxes * 4 apples = 12 apples",
]  # fmt: skip
NOT_TOLD = [
    "x + 3 * 4 = 20",  # what x is would decide
    "2 dozen + 3 = 27", "2 hours + 30 minutes = 150 minutes", "5 feet + 3 inches = 63 inches",
    "half of 3 + 5 = 4", "20% of 50 + 10 = 20",
    "3 + 4 = 7 + 2 = 9",  # a running chain; its last part holds
    "17 / 5 = 3 remainder 2", "17 / 5 = 3 R 2",
    "3:00 + 2 = 5:00", "x = 5", "5 = 5", "a + b = c", "2(3 + 4) = 14", "2 1/2 + 3 = 5 1/2",
    "4 / 0 = 1", "9 ^ 9 ^ 9 ^ 9 = 1", "", "=", "= 3", "3 + = 4",
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), WRONG)
def test_an_equation_that_does_not_hold_is_shown_as_written(text: str, found: str) -> None:
    assert false_equation(text) == found


@pytest.mark.parametrize("text", [*RIGHT, *NOT_TOLD])
def test_what_holds_or_cannot_be_told_is_passed_over(text: str) -> None:
    assert false_equation(text) is None


@pytest.mark.parametrize("part", ["1+", "(", "= ", "1 a a ", "9^", "1=", "%", "x 1"])
def test_hostile_text_is_no_equation(part: str) -> None:
    found = false_equation(part * (1_000_000 // len(part)))
    assert found is None or part == "1="
