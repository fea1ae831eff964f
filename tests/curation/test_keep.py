from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.curation.choose import diverse, shortest
from stages.curation.judged import Rationale
from stages.curation.minhash import minima, signatures
from stages.curation.words import hashed
from tests.curation.making import TEXTS, Made, row, samples


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Path:
    """One token a byte."""
    return tiny / "tokenizer.json"


def test_the_longest_are_dropped_by_the_students_tokens(tokenizer: Path) -> None:
    case = samples(row(), "x" * 20, "é" * 11, "é" * 10, "")
    made = Made([case], tokenizer=tokenizer, max_tokens=20)
    assert made.names == [(0, 0), (0, 2), (0, 3)]
    assert made.reasons == [(0, 1, "too long")]


def test_the_shortest_of_each_row_are_kept_in_their_order(tokenizer: Path) -> None:
    cases = [samples(row(0), "xxx", "x", "xx", "x"), samples(row(1), "xxxx")]
    made = Made(cases, tokenizer=tokenizer, keep={"shortest": 2})
    assert made.names == [(0, 1), (0, 3), (1, 0)]
    assert made.reasons == [(0, n, "not among the shortest") for n in (0, 2)]


def test_wrong_rationales_do_not_take_the_place_of_right_ones(tokenizer: Path) -> None:
    case = samples(row(), "x", "xx", "xxx")
    case.items[0]["completion"] = "x The answer is 5."
    made = Made([case], tokenizer=tokenizer, keep={"shortest": 1})
    assert made.names == [(0, 1)]
    assert made.reasons == [(0, 0, "wrong answer"), (0, 2, "not among the shortest")]


def test_the_most_diverse_are_kept() -> None:
    close = TEXTS[0].replace("box", "bag")
    made = Made([samples(row(), TEXTS[0], close, TEXTS[1], TEXTS[0])], keep={"diverse": 2})
    assert made.names == [(0, 0), (0, 2)]
    assert made.reasons == [(0, n, "not among the most diverse") for n in (1, 3)]


def test_texts_without_words_are_alike() -> None:
    made = Made([samples(row(), "", "...", TEXTS[0], "")], keep={"diverse": 2})
    assert made.names == [(0, 0), (0, 2)]


def rationale(number: int, text: str) -> Rationale:
    (signature,) = signatures(minima([hashed(text)]))
    return Rationale("s", number, text, "", "", True, "kept", len(text), signature.tobytes())


@given(
    st.lists(st.text("ab c", max_size=30), max_size=12),
    st.integers(1, 14),
    st.sampled_from([shortest, diverse]),
)
def test_at_most_so_many_and_never_fewer_than_there_are(
    texts: list[str], most: int, choose: type[object]
) -> None:
    given_ones = [rationale(number, text) for number, text in enumerate(texts)]
    chosen = choose(given_ones, most)  # type: ignore[call-arg]
    numbers = [one.sample for one in chosen]  # type: ignore[attr-defined]
    assert len(numbers) == min(most, len(texts))
    assert numbers == sorted(set(numbers))


@given(st.lists(st.text("x", max_size=9), min_size=1, max_size=9), st.integers(1, 9))
def test_nothing_dropped_is_shorter_than_what_is_kept(texts: list[str], most: int) -> None:
    chosen = shortest([rationale(n, text) for n, text in enumerate(texts)], most)
    names = {one.sample for one in chosen}
    left = [len(text) for number, text in enumerate(texts) if number not in names]
    assert max(one.tokens for one in chosen) <= min(left, default=9)
