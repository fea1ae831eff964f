from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.compiler import overlap
from stages.compiler.overlap import Seen, normalised, template_of


def test_questions_are_compared_by_their_letters_and_digits() -> None:
    assert normalised(" Is  it, 'x_1'?\n") == normalised("is it X 1") == "is it x 1"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Close it. Input: [ { (", "Close it. Input: [ ( {"),
        ("Close it. Input: [", "Close it. Input: <"),
        ("not ( True and False ) is", "not True and ( False ) is"),
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("What is -3 + 4?", "What is 3 + 4?"),
        ("What is 3 - -4?", "What is 3 - 4?"),
        ("Is x = y?", "Is x > y?"),
        ("Is it a \u00d7 b?", "Is it a \u00f7 b?"),
    ],
)
def test_questions_that_differ_in_brackets_or_operators(one: str, two: str) -> None:
    assert normalised(one) != normalised(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Input: [ { (", "INPUT [{("),
        ("What is 3+4?", "what is 3 + 4 = ?"),
        ("What is 3 \u2212 4?", "What is 3 - 4"),
        ("A well-known town - a \u2018port\u2019", 'A well known town: a "port"'),
        ("Which?\nOptions:\n- Yes\n- No", "Which? Options: Yes, No"),
        ("Which? (A) 3 (B) 5", "Which? A. 3 B. 5"),
        ("**Which** one costs $5?", "Which one costs 5"),
        ("It rained...  Why\u2026", "it rained \u2014 why"),
    ],
)
def test_questions_that_differ_in_marks_alone(one: str, two: str) -> None:
    assert normalised(one) == normalised(two)


@given(st.text(max_size=80))
def test_what_is_compared_has_one_form(text: str) -> None:
    told = normalised(text)
    assert normalised(f"  {text.upper().lower()} ") == normalised(text.upper().lower())
    assert "  " not in told
    assert told == told.strip()


@pytest.mark.parametrize("unit", ["+ ", "( ", "a-", "1-", " ", "Options:\n", "_"])
def test_a_megabyte_is_compared_in_linear_time(unit: str) -> None:
    body = unit * (1_000_000 // len(unit))
    start = time.process_time()
    normalised(body)
    template_of(body)
    assert time.process_time() - start < 6


@pytest.mark.parametrize("bucket", [1, 3, 100_000])
def test_what_two_splits_share(monkeypatch: pytest.MonkeyPatch, bucket: int) -> None:
    monkeypatch.setattr(overlap, "BUCKET", bucket)
    seen = Seen()
    for split, questions in {
        "train": ["a", "b", "c", "A!"],
        "probe": ["d", "b"],
        "test": ["e", "c?", "B", "d", "e"],
    }.items():
        for question in questions:
            seen.add(split, question)
    assert list(seen.shared()) == [
        ("train", "probe", [1]),
        ("train", "test", [1, 2]),
        ("probe", "test", [3]),
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Faye had 34 books. If she sold 3, how many has she?",
         "Robin had 1,020 books. If he sold 7, how many has he?"),
        ("On 2 May 2015 it rained. What day?", "On 30 May 2099 it rained. What day?"),
        ("Is it even? 4", "is it EVEN... 6"),
        ("Adam gave Mary $5.50.", "Zoe gave Carl $7."),
        ("What day was 3 May?\nOptions:\n(A) a feast\n(B) none",
         "What day was 4 May?\nOptions:\n(A) no feast\n(B) many"),
        ("What day was 3 May? Answer Choices: (A) a feast", "What day was 4 May?"),
        ("What day was 3 May?\nOptions: a feast", "What day was 4 May? Answer Choices: none"),
    ],
)  # fmt: skip
def test_questions_of_one_template(one: str, two: str) -> None:
    assert template_of(one) == template_of(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Faye had 34 books. If she sold 3, how many has she?",
         "Faye had 34 books. If she lost 3, how many has she?"),
        ("How many are 3 and 4?", "How many were 3 and 4?"),
        ("Options:\n(A) a feast", "Options:\n(A) no feast"),
        ("The stock Options: one", "The stock Options: another"),
    ],
)  # fmt: skip
def test_questions_of_two_templates(one: str, two: str) -> None:
    assert template_of(one) != template_of(two)
