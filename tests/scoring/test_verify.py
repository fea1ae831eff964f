"""Golden tables of what is an answer of each type, and what is the same answer."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.verify import ANSWER_TYPES, read, verify

OPTIONS = ("Karl", "Helga", "Lola")

READ: list[tuple[str, str, str | None]] = [
    ("number", "12", "12"),
    ("number", " 12. ", "12"),
    ("number", "12.0", "12"),
    ("number", "$12.00", "12"),
    ("number", "\\$12", "12"),
    ("number", "USD 12", "12"),
    ("number", "US$12", "12"),
    ("number", "12 €", "12"),
    ("number", "1,200", "1200"),
    ("number", "1,234,567.50", "1234567.5"),
    ("number", "007", "7"),
    ("number", "-5", "-5"),
    ("number", "\u22125", "-5"),
    ("number", "-$20", "-20"),
    ("number", "+5", "5"),
    ("number", "-0", "0"),
    ("number", "-0.0", "0"),
    ("number", ".5", "0.5"),
    ("number", "50%", "50"),
    ("number", "**12**", "12"),
    ("number", '"48".', "48"),
    ("number", "(7)", "7"),
    ("number", "12 apples", "12"),
    ("number", "12cm", "12"),
    ("number", "60 km/h", "60"),
    ("number", "7 square feet", "7"),
    ("number", "3/4", "0.75"),
    ("number", "-3/4", "-0.75"),
    ("number", "6/3", "2"),
    ("number", "2/6", "1/3"),
    ("number", "1 1/2", "1.5"),
    ("number", "1 1/12 miles", "13/12"),
    ("number", "1e3", "1000"),
    ("number", "2.5e-3", "0.0025"),
    ("number", "3 x 10^5", "300000"),
    ("number", "3 \u00d7 10^{-2}", "0.03"),
    ("number", "12 000", "12000"),
    ("number", "$1 234 567.50", "1234567.5"),
    ("number", "12\u202f000 km", "12000"),
    ("number", "12\\,000", "12000"),
    ("number", "12 0000", None),
    ("number", "1234 567", None),
    ("number", "\\frac{1}{2}", "0.5"),
    ("number", "$-\\dfrac{3}{4}$", "-0.75"),
    ("number", "1\\frac12", "1.5"),
    ("number", "", None),
    ("number", "twelve", None),
    ("number", "0 = 0", None),
    ("number", "3 or 4", None),
    ("number", "not 5", None),
    ("number", "5 + 5", None),
    ("number", "3/0", None),
    ("number", "1e999999999", None),
    ("number", "9" * 401, None),
    ("number", "5 10/2", None),
    ("number", "$", None),
    ("number", ".", None),
    ("choice", "A", "A"),
    ("choice", "(a)", "A"),
    ("choice", "A.", "A"),
    ("choice", "(D).", None),
    ("choice", "(B) Helga", "B"),
    ("choice", "b: helga.", "B"),
    ("choice", "(B) Karl", None),
    ("choice", "Helga", "B"),
    ("choice", '"Lola."', "C"),
    ("choice", "Helga and Lola", None),
    ("choice", "", None),
    ("yes_no", "Yes", "yes"),
    ("yes_no", "NO.", "no"),
    ("yes_no", '"Yes".', "yes"),
    ("yes_no", "**no**", "no"),
    ("yes_no", "Yes, the coin is still heads up.", "yes"),
    ("yes_no", "Noah", None),
    ("yes_no", "no_one", "no"),
    ("yes_no", "maybe yes", None),
    ("yes_no", "", None),
    ("letters", "y a j o", "yajo"),
    ("letters", ' "Y-a, j; o". ', "yajo"),
    ("letters", "yajo\n", "yajo"),
    ("letters", " . ", None),
    ("letters", "", None),
    ("exact", ' "nk". ', "nk"),
    ("exact", "\u201cNK\u201d", "NK"),
    ("exact", "New  York", "New  York"),
    ("exact", ".", None),
    ("exact", "", None),
    ("string", " New \n  YORK. ", "new york"),
    ("string", "Stra\u00dfe", "strasse"),
    ("string", '""', None),
]

SAME: list[tuple[str, str, str, bool]] = [
    ("number", "12.0", "12", True),
    ("number", "$12.00", "12", True),
    ("number", "1,200", "1200", True),
    ("number", "3/4", "0.75", True),
    ("number", "1/3", "0.3333333333333333", True),
    ("number", "0.8333333333333334", "0.833333", True),
    ("number", "-0.8333333333333334", "-0.833333", True),
    ("number", "0.8333", "0.833333", False),
    ("number", "0.8333333333333334", "-0.833333", False),
    ("number", "1000000001", "1000000000", False),
    ("number", "1/3", "3333333/9999998", False),
    ("number", "0", "0.0000001", False),
    ("number", "12", "twelve", False),
    ("number", "", "", False),
    ("choice", "(B) Helga", "B", True),
    ("choice", "Helga", "b", True),
    ("choice", "Karl", "B", False),
    ("yes_no", "Yes.", "yes", True),
    ("yes_no", "No", "yes", False),
    ("exact", "nk", "NK", False),
    ("string", "nk.", "NK", True),
]


@pytest.mark.parametrize(("answer_type", "text", "expected"), READ)
def test_read(answer_type: str, text: str, expected: str | None) -> None:
    assert read(text, answer_type, OPTIONS) == expected


@pytest.mark.parametrize(("answer_type", "ours", "gold", "expected"), SAME)
def test_verify(answer_type: str, ours: str, gold: str, expected: bool) -> None:
    assert verify(ours, gold, answer_type, OPTIONS) is expected
    assert verify(gold, ours, answer_type, OPTIONS) is expected


def test_choice_without_option_texts() -> None:
    assert read("(D).", "choice") == "D"
    assert read("(B) Helga", "choice") == "B"
    assert read("A green ball", "choice") is None


def test_an_option_may_be_a_letter() -> None:
    assert read("X", "choice", ("X", "Y")) == "A"


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_no_answer_never_verifies(answer_type: str) -> None:
    for gold in ("12", "A", "yes", "None", ""):
        assert not verify(None, gold, answer_type)
        assert not verify("", gold, answer_type)


def test_unknown_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="no answer type 'colour'"):
        read("12", "colour")


def test_shuffled_golds_are_accepted_only_by_coincidence() -> None:
    draw = random.Random(0)
    golds = [str(draw.randint(0, 99)) for _ in range(4000)]
    shuffled = draw.sample(golds, len(golds))
    accepted = sum(verify(f"${a}.00", b, "number") for a, b in zip(golds, shuffled, strict=True))
    equal = sum(a == b for a, b in zip(golds, shuffled, strict=True))
    assert accepted == equal
    assert 0.005 < accepted / len(golds) < 0.015


NUMBERISH = st.text(alphabet="0123456789.,/-+$%eE ^x*()", max_size=24)
TEXTS = st.one_of(
    st.text(alphabet=st.characters(), max_size=40),
    st.text(alphabet=string.printable, max_size=40),
    NUMBERISH,
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from([text for _, text, _ in READ]),
)


@given(TEXTS, st.sampled_from(ANSWER_TYPES))
def test_read_is_idempotent_and_verifies_itself(text: str, answer_type: str) -> None:
    answer = read(text, answer_type, OPTIONS)
    if answer is not None:
        assert read(answer, answer_type, OPTIONS) == answer
        assert verify(answer, text, answer_type, OPTIONS)


@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_a_number_reads_alike_however_it_is_written(value: int, zeros: int) -> None:
    for text in (f"{value}", f"{value:,}", f"{value}.{'0' * zeros}", f"$ {value} apples."):
        assert read(text, "number") == str(value)
