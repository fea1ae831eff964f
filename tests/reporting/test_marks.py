"""The words that are marked as the answer."""

from __future__ import annotations

from typing import Any

import pytest

from stages.reporting.marks import located
from stages.scoring.extract import extract

AFTER: list[dict[str, Any]] = [{"after": "The answer is"}]


@pytest.mark.parametrize(
    ("text", "rules", "answer_type", "marked"),
    [
        ("3 of 5. The answer is $1,234.50, so.", AFTER, "number", "1,234.50"),
        ("It is 5. The answer is 3.\nThe answer is 5.", AFTER, "number", "5"),
        ("The answer is:\n**12** apples", AFTER, "number", "12"),
        ("The answer is (B) blue.", AFTER, "choice", "(B)"),
        ("The answer is Yes, it is.", AFTER, "yes_no", "Yes"),
        ("The answer is May 6, 2020.", AFTER, "date", "May 6, 2020"),
        ("The answer is Ann Lee.", AFTER, "string", "Ann Lee"),
        ("5 and 3 and 5", [{"first": "number"}], "number", "5"),
        ("5 and 3 and 5.", [{"last": "number"}], "number", "5"),
        (r"so \boxed{x+1}.", [{"boxed": True}], "maths", "x+1"),
        ("  42 ", [{"whole": True}], "number", "42"),
        ("I do not know", AFTER, "number", None),
    ],
)
def test_the_answer_is_marked_where_it_was_read(
    text: str, rules: list[dict[str, Any]], answer_type: str, marked: str | None
) -> None:
    options = ("red", "blue") if answer_type == "choice" else ()
    span = located(text, extract(text, rules, answer_type, options), rules, answer_type)
    assert (text[slice(*span)] if span else None) == marked


def test_of_the_same_number_twice_the_rule_decides() -> None:
    text = "5 and 3 and 5"
    for rule, at in (("first", 0), ("last", 12)):
        rules: list[dict[str, Any]] = [{rule: "number"}]
        assert located(text, extract(text, rules, "number"), rules, "number") == (at, at + 1)
