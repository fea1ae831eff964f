"""What a completion is taken to answer, and that no completion can stall or crash the reader."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.extract import Extraction, extract, follows_format
from stages.scoring.find import KINDS
from stages.scoring.numeric import NUMBER, number
from stages.scoring.verify import ANSWER_TYPES, verify

AFTER: dict[str, Any] = {"after": "The answer is"}
OPTIONS = ("yellow ball", "ball", "green ball")

CASES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("So 3 x 4 = 12. The answer is 12.", AFTER, "number", "12"),
    ("the ANSWER is: 1,200 dollars.", AFTER, "number", "1200"),
    ("**The answer is:** $5", AFTER, "number", "5"),
    ("The answer is \\boxed{7}.", AFTER, "number", "7"),
    ("The answer is\n\n 3/4.", AFTER, "number", "0.75"),
    ("The answer is x = -5", AFTER, "number", "-5"),
    ("The answer is -$20.", AFTER, "number", "-20"),
    ("The answer is 3. No, the answer is 4.", AFTER, "number", "4"),
    ("The answer is four.\n5", AFTER, "number", None),
    ("The answer isn't 4.", AFTER, "number", None),
    ("The answer is", AFTER, "number", None),
    ("", AFTER, "number", None),
    ("I do not know.", AFTER, "number", None),
    ("The answer is (B).", AFTER, "choice", "B"),
    ("The answer is b.", AFTER, "choice", "B"),
    ("The answer is B because", AFTER, "choice", "B"),
    ("The answer is A because", AFTER, "choice", "A"),
    ("The answer is A: yellow ball", AFTER, "choice", "A"),
    ("The answer is A: ball", AFTER, "choice", None),
    ("The answer is a green ball.", AFTER, "choice", "C"),
    ("The answer is the ball", AFTER, "choice", "B"),
    ("The answer is unclear", AFTER, "choice", None),
    ("The answer is (Q).", AFTER, "choice", None),
    ("The answer is Yes, it is.", AFTER, "yes_no", "yes"),
    ("The answer is clearly no.", AFTER, "yes_no", "no"),
    ("The answer is known.", AFTER, "yes_no", None),
    ('The answer is "nk". It is spelt so.', AFTER, "exact", "nk"),
    ("The answer is y a j o. Done.", AFTER, "letters", "yajo"),
    ("The answer is Dr. Seuss. He wrote it.", AFTER, "string", "dr. seuss"),
    ("The answer is 3.5 Miles\nand more", AFTER, "string", "3.5 miles"),
    ("6-3=3.", {"last": "number"}, "number", "3"),
    ("6-3=3.", {"first": "number"}, "number", "6"),
    ("H2O and B12", {"last": "number"}, "number", None),
    ("0 = 0", {"whole": True}, "number", None),
    ("12 apples.", {"whole": True}, "number", "12"),
    ("It is 12 apples, I think.", {"whole": True}, "number", None),
    (" Yes. ", {"whole": True}, "yes_no", "yes"),
    ("yes, then no", {"last": "yes_no"}, "yes_no", "no"),
    ("yes, then no", {"first": "yes_no"}, "yes_no", "yes"),
    ("A coin. I chose (B) over C.", {"first": "choice"}, "choice", "B"),
    ("A coin. I chose (B) over C.", {"last": "choice"}, "choice", "C"),
    ("a yellow ball, then a green ball", {"last": "choice"}, "choice", "C"),
    ("a yellow ball, then a green ball", {"first": "choice"}, "choice", "A"),
    ("balls", {"last": "choice"}, "choice", None),
    ("It is 12.", {"last": "number"}, "string", "12"),
]


@pytest.mark.parametrize(("completion", "rule", "answer_type", "expected"), CASES)
def test_extract(
    completion: str, rule: dict[str, Any], answer_type: str, expected: str | None
) -> None:
    assert extract(completion, [rule], answer_type, OPTIONS).answer == expected


def test_the_first_rule_that_yields_an_answer_wins() -> None:
    rules = [AFTER, {"last": "number"}]
    stated = extract("7 of them. The answer is 8, not 9.", rules, "number")
    assert stated == Extraction("8", 11, 0)
    guessed = extract("7 of them. The answer is unclear, maybe 9.\n10", [AFTER], "number")
    assert guessed.answer == "9"
    fallen = extract("7 of them. The answer is unclear.", rules, "number")
    assert fallen == Extraction("7", None, 1)
    silent = extract("None.", rules, "number")
    assert silent == Extraction(None)
    assert [follows_format(it) for it in (stated, fallen, silent)] == [True, False, False]


@pytest.mark.parametrize(
    "before", ["", "So it is 3. ", "The answer is 3. No, ", "\u0130\u0130 3. "]
)
def test_start_splits_off_the_rationale(before: str) -> None:
    completion = before + "the answer is 4."
    found = extract(completion, [AFTER], "number")
    assert found.answer == "4"
    assert completion[: found.start] == before


def test_the_last_statement_counts_and_only_that() -> None:
    found = extract("The answer is 3. No, the answer is 4.", [AFTER], "number")
    assert verify(found.answer, "4", "number")
    assert not verify(found.answer, "3", "number")


@pytest.mark.parametrize(
    ("said", "answer_type", "published", "meant"),
    [
        ("3 + 4 = 7.", "number", "3", "7"),
        ("3 or 4.", "number", "3", None),
        ("not 3.", "number", "3", None),
        ("5. No, 6.", "number", "5", None),
        ("_____.\n\nSo it is 162.", "number", "162", None),
        ("B or C.", "choice", "B", None),
        ("yes or no.", "yes_no", None, None),
        ("yes, I think. Or no.", "yes_no", "yes", "yes"),
        ("ball. It is round.", "string", "ball", "ball"),
        ("unknown.", "number", None, None),
    ],
)
def test_the_first_value_behind_a_marker(
    said: str, answer_type: str, published: str | None, meant: str | None
) -> None:
    completion = f"8 of 9. The answer is 1. So, the answer is {said}"
    told = extract(completion, [{"first_after": "The answer is"}], answer_type, OPTIONS)
    assert told == (Extraction(published, 29, 0) if published else Extraction(None))
    assert extract(completion, [AFTER], answer_type, OPTIONS).answer == meant


@pytest.mark.parametrize(
    "rule", [{"behind": "x"}, {}, {"after": "x", "last": "number"}, {"last": "list"}, {"after": ""}]
)
def test_a_rule_that_does_not_exist_is_an_error(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rule|kind"):
        extract("12", [rule], "number")


def test_an_unknown_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="colour"):
        extract("The answer is 12", [AFTER], "colour")


RULES: list[dict[str, Any]] = [
    AFTER,
    {"first_after": "The answer is"},
    {"whole": True},
    {"boxed": True},
    *({name: kind} for name in ("first", "last") for kind in KINDS),
]


@given(
    st.text(alphabet=st.characters(), max_size=60),
    st.text(alphabet=st.characters(), max_size=60),
    st.sampled_from(RULES),
    st.sampled_from(ANSWER_TYPES),
)
def test_no_text_crashes(before: str, behind: str, rule: dict[str, Any], answer_type: str) -> None:
    completion = f"{before}The answer is{behind}"
    found = extract(completion, [rule], answer_type, OPTIONS)
    assert (found.answer is None) == (found.rule is None)
    if found.start is not None:
        assert completion[found.start :].lower().startswith("the answer is")


@pytest.mark.parametrize("text", ["\ud800", "The answer is \udfff", "\x00\x1b[2J", "\u202e12"])
@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_surrogates_and_control_characters(text: str, answer_type: str) -> None:
    for rule in RULES:
        extract(text, [rule], answer_type, OPTIONS)


@given(st.text(alphabet="0123456789 .,/-+$e*x^{}BC\\", max_size=40))
def test_the_quick_search_finds_what_a_plain_one_finds(text: str) -> None:
    plain = list(NUMBER.finditer(text))
    for name, match in zip(("first", "last"), (plain[:1], plain[-1:]), strict=True):
        expected = number(match[0]) if match else None
        assert extract(text, [{name: "number"}], "number").answer == expected


MEGABYTE = 1_000_000
UNITS = [
    "1",
    ",",
    "1,",
    "1,111",
    " ",
    '"',
    '."',
    "ball",
    "1 ",
    "1/",
    "0",
    "-",
    "$",
    "(A",
    "no_",
    "B1 ",
]
UNITS += ["the answer is", "x10^", "1/1/", "May 1 ", "\\boxed{", "a|", "\n"]
UNITS += ["1 = ", "1+", "3 or ", "A or ", "3, ", "(A) ball ", "not 3 but ", "not B but "]
UNITS += ["yes or no ", "no air ", "1 000 ", "\\frac{1}{2}", "between 3 and ", "5 a-b-"]


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_is_read_in_linear_time(unit: str) -> None:
    body = (unit * (MEGABYTE // len(unit) + 1))[:MEGABYTE]
    completion = f"The answer is {body}\u2603"
    for answer_type in ("number", "choice", "yes_no", "string", "list", "date", "f1", "maths"):
        # What reads a sentence or a date does so at the speed of the others.
        if answer_type in ("list", "date", "f1", "maths"):
            completion = completion[: MEGABYTE // 8]
        last = {"last": "date" if answer_type == "date" else "number"}
        # Processor time: other work on the machine must not fail the test.
        start = time.process_time()
        extract(completion, [AFTER, {"whole": True}, last], answer_type, OPTIONS)
        assert time.process_time() - start < 4, answer_type
