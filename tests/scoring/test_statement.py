"""Statements that hedge, deny, calculate or contradict themselves, and such as only seem to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.extract import Extraction, extract
from stages.scoring.verify import verify

AFTER: dict[str, Any] = {"after": "The answer is"}
VALUES, BALLS = ("3", "5", "6", "7", "14"), ("red ball", "blue ball", "white ball")
DAYS = ("12/11/1937", "12/25/1937", "01/04/1938")

NUMBERS = [
    ("3 or 4.", None),
    ("either 3 apples or 4 apples", None),
    ("$3 or $4", None),
    ("**3** or **4**", None),
    ("\\boxed{3} or \\boxed{4}", None),
    ("3, 4, or 5.", None),
    ("3 to 4 days.", None),
    ("between 3 and 5.", None),
    ("somewhere between $3 and $5.", None),
    ("40 - 8 = 32 or 33", None),
    ("not 3.", None),
    ("certainly not 3.", None),
    ("neither 3 nor 4.", None),
    ("not 3. It is 4.", None),
    ("unknown; it may be 5.", None),
    ("not known.", None),
    ("0 = 0", None),
    ("7c + 60 - 6c / 14 =", None),
    ("3/5, or 0.6.", "0.6"),
    ("8/10 or 4/5.", "0.8"),
    ("1/6, or 0.166666666666667.", "1/6"),
    ("4/5 or 80%.", "0.8"),
    ("12, or a dozen.", "12"),
    ("3.98, or about 4.", "3.98"),
    ("3 or more.", "3"),
    ("5, since 2 or 3 came.", "5"),
    ("5 because 3 or 4 would be odd", "5"),
    ("5 apples to 3 friends", "5"),
    ("8, not 9.", "8"),
    ("3 (not 4).", "3"),
    ("not 3 but 7.", "7"),
    ("not 3, but rather 7 apples.", "7"),
    ("not less than 3.", "3"),
    ("unclear, maybe 9.", "9"),
    ("3 + 4 = 7.", "7"),
    ("6-3=3.", "3"),
    ("$35,000 + $450 = $35,450", "35450"),
    ("3 apples + 4 apples = 7 apples, all told", "7"),
    ("3 dollars x 4 = $12.", "12"),
    ("$2 \\times 3 = 6$", "6"),
    ("x = 3 + 4 = 7.", "7"),
    ("3/4 - 1/4 = 2/4 = 1/2.", "0.5"),
    ("1 + 1/12 = 1 1/12 miles.", "13/12"),
    ("m+n = 204.", "204"),
    ("x = 10/3 = 3.33", "10/3"),
    ("10/3 = 3.33", "10/3"),
    ("5 = 2 + 3", "5"),
    ("12 because 3 * 4 = 12", "12"),
    ("7, as 2 * 3 = 6 is too little", "7"),
    ("\\frac{1}{2}.", "0.5"),
    ("$-\\dfrac{3}{4}$", "-0.75"),
    ("1\\frac{1}{2} cups", "1.5"),
    ("12 000 dollars.", "12000"),
    ("$352 000.", "352000"),
    ("12\u2009000", "12000"),
    ("3 100-metre races", "3"),
    ("1 3 6.", "1"),
]
CHOICES = [
    (VALUES, "A or B.", None),
    (VALUES, "most likely A, B, or D.", None),
    (VALUES, "(A), (B), (C), (D) or (E).", None),
    (VALUES, "A, B, C, D, E", None),
    (VALUES, "A and C.", None),
    (VALUES, "(D) 7 or (E) 14", None),
    (VALUES, "3 or 5", None),
    (VALUES, "not B.", None),
    (VALUES, "neither A nor B.", None),
    (VALUES, "(D) 14.", None),
    (VALUES, "D. 14", None),
    (VALUES, "d) 14", None),
    (VALUES, "D, 14, because 2x = 14", None),
    (VALUES, "14 (D).", None),
    (VALUES, "(D) 15.", "D"),
    (VALUES, "(D) 3.5", "D"),
    (VALUES, "(D) 14 / 2 = 7", "D"),
    (VALUES, "D. 7 is what is left.", "D"),
    (VALUES, "D. E is too big.", "D"),
    (VALUES, "D, which is 7.", "D"),
    (VALUES, "B or 5.", "B"),
    (VALUES, "B, C is wrong.", "B"),
    (VALUES, "A because B or C would be too small", "A"),
    (VALUES, "E (not D)", "E"),
    (VALUES, "not B but C.", "C"),
    (("A", "B", "A or B"), "A or B.", "C"),
    (BALLS, "the red ball or the blue ball.", None),
    (BALLS, "(A) blue ball", None),
    (BALLS, "A, the blue ball.", None),
    (BALLS, "not the red ball.", None),
    (BALLS, "A, the red ball.", "A"),
    (BALLS, "the red ball, not the blue ball.", "A"),
    (DAYS, "December 25, 1937.", "B"),
    (DAYS, "Saturday, the 25th of December 1937, as told.", "B"),
    (DAYS, "December 26, 1937.", None),
    ((), "A or B.", None),
    ((), "(A) or (B).", None),
    ((), "(B) Helga.", "B"),
    ((), "not B.", None),
]
YES_NO = [
    ("yes or no.", None),
    ("either yes or no.", None),
    ("yes/no", None),
    ("yes and no.", None),
    ("not yes.", None),
    ("no one knows.", None),
    ("that there is no air.", None),
    ("that there is no air, so yes.", "yes"),
    ("no doubt yes", "yes"),
    ("not no but yes", "yes"),
    ("No, not yes.", "no"),
    ("No, there is no air.", "no"),
    ("no because there is none", "no"),
    ("No the coin is up", "no"),
    ("that it is no", "no"),
    ("yes, or no one would", "yes"),
]
DATES = [
    ("05/06/2021 or 05/07/2021", None),
    ("not 05/06/2021", None),
    ("May 6, 2021 or 05/06/2021", "05/06/2021"),
    ("not 05/06/2021 but 05/07/2021", "05/07/2021"),
]
CASES = [
    *(("number", (), said, expected) for said, expected in NUMBERS),
    *(("choice", options, said, expected) for options, said, expected in CHOICES),
    *(("yes_no", (), said, expected) for said, expected in YES_NO),
    *(("date", (), said, expected) for said, expected in DATES),
]


@pytest.mark.parametrize(("kind", "options", "said", "expected"), CASES)
def test_what_a_statement_comes_to(
    kind: str, options: tuple[str, ...], said: str, expected: str | None
) -> None:
    found = extract(f"The answer is {said}", [AFTER], kind, options).answer
    assert verify(found, expected, kind, options) if expected else found is None


def test_an_open_statement_ends_the_search() -> None:
    rules = [AFTER, {"last": "number"}]
    assert extract("2 + 2 = 4. The answer is 3 or 4.", rules, "number") == Extraction(None)
    assert extract("The answer is not 3.", rules, "number") == Extraction(None)
    # what was to be calculated may be told elsewhere
    assert extract("The answer is 2 + 2 =\n4", rules, "number").answer == "4"


LISTS = [
    ("(A) 3 (B) 5 (C) 6 (D) 7 (E) 14", None, None),
    ("A, B, C, D, E", None, None),
    ("It is B. Options: (A) 3 (B) 5 (C) 6 (D) 7 (E) 14.", None, "B"),
    ("(A) 3\n(B) 5\n(C) 6\n(D) 7\n(E) 14\nI choose B", "B", None),
    ("(A) 3 (B) 5, so (E) 14", "E", "A"),
]


@pytest.mark.parametrize(("text", "last", "first"), LISTS)
def test_a_list_of_all_options_is_no_choice(text: str, last: str | None, first: str | None) -> None:
    assert extract(text, [{"last": "choice"}], "choice", VALUES).answer == last
    assert extract(text, [{"first": "choice"}], "choice", VALUES).answer == first


@pytest.mark.parametrize("text", ["I cannot say yes or no.", "It is not yes.", "No one knows."])
def test_a_yes_that_is_none(text: str) -> None:
    assert extract(text, [{"last": "yes_no"}], "yes_no").answer is None


@given(st.integers(-999, 9999), st.integers(-999, 9999), st.sampled_from(["{} or {}", "{}, or {}"]))
def test_two_numbers_are_one_only_where_they_are_equal(one: int, other: int, form: str) -> None:
    found = extract(f"The answer is {form.format(one, other)}.", [AFTER], "number").answer
    assert found == (str(one) if one == other else None)


@given(st.lists(st.integers(0, 999), min_size=2, max_size=5))
def test_a_sum_is_read(terms: list[int]) -> None:
    said = f"{' + '.join(map(str, terms))} = {sum(terms)}"
    assert extract(f"The answer is {said}.", [AFTER], "number").answer == str(sum(terms))


@given(st.integers(1000, 10**12))
def test_thousands_are_read_however_they_are_parted(value: int) -> None:
    for mark in (" ", ",", "\u202f", "\\,"):
        said = f"{value:,}".replace(",", mark)
        assert extract(f"The answer is {said}.", [AFTER], "number").answer == str(value)


@given(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"))
def test_a_letter_counts_with_its_own_text(one: str, other: str) -> None:
    said = f"The answer is ({one}) {VALUES['ABCDE'.index(other)]}."
    assert extract(said, [AFTER], "choice", VALUES).answer == (one if one == other else None)
