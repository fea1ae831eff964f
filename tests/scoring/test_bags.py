"""The F1 of DROP: scores as the official script gives them, and what counts as right.

The figures of `SCORES` are those of ``allennlp_rc/eval/drop_eval.py``, run on the same pairs, a
predicted list written here with ``|``.
"""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.bags import F1_RIGHT, best_sum
from stages.scoring.extract import extract
from stages.scoring.verify import read, score, verify

SCORES: list[tuple[str, str, float]] = [
    ("5", "5", 1.0),
    ("5.0", "5", 1.0),
    ("1,200", "1200", 1.0),
    ("$5", "5", 1.0),
    ("12%", "12", 1.0),
    ("5 yards", "5", 0.67),
    ("5 yards", "5 yards", 1.0),
    ("4 touchdowns", "4 interceptions", 0.5),
    ("6", "5", 0.0),
    ("6 yards", "5 yards", 0.0),
    ("yards", "5 yards", 0.0),
    ("five", "5", 0.0),
    ("Tom Brady", "Tom Brady", 1.0),
    ("tom brady.", "Tom Brady", 1.0),
    ("the Tom Brady", "Tom Brady", 1.0),
    ("QB Tom Brady", "Tom Brady", 0.8),
    ("Brady", "Tom Brady", 0.67),
    ("Brady Tom", "Tom Brady", 1.0),
    ("Manning", "Tom Brady", 0.0),
    ("Brady's", "Bradys", 1.0),
    ("U.S.", "US", 1.0),
    ("23-yard field goal", "23 yard field goal", 1.0),
    ("23-yard", "23-yard field goal", 0.67),
    ("12 May 1998", "May 12, 1998", 1.0),
    ("13 May 1998", "12 May 1998", 0.67),
    ("1998", "12 May 1998", 0.5),
    ("Bears | Lions", "Lions | Bears", 1.0),
    ("Bears", "Bears | Lions", 0.5),
    ("Bears | Lions | Packers", "Bears | Lions", 0.67),
    ("Chicago Bears | Lions", "Bears | Lions", 0.83),
    ("Bears | Lions", "Colts | Jets", 0.0),
]


@pytest.mark.parametrize(("answer", "gold", "expected"), SCORES)
def test_score(answer: str, gold: str, expected: float) -> None:
    assert score(answer, gold, "f1") == expected
    assert verify(answer, gold, "f1") is (
        expected >= F1_RIGHT or (answer, gold) == ("5 yards", "5")
    )


SAID: list[tuple[str, str, float]] = [
    ("Bears and Lions", "Bears | Lions", 1.0),
    ("the Bears, Lions and Packers", "Bears | Lions | Packers", 1.0),
    ("Bears, Lions, and Packers", "Bears | Lions | Packers", 1.0),
    ("Bears; Lions", "Bears | Lions", 1.0),
    ("Bears\nLions", "Bears | Lions", 1.0),
    ("Trinidad and Tobago", "Trinidad and Tobago", 1.0),
    ("Smith, Jr. | Jones", "Jones | Smith, Jr.", 1.0),
    ("Bears | Lions", "Bears", 0.67),
    ("fifty", "50\nfifty", 1.0),
    ("50", "50\nfifty", 1.0),
    ("Brady", "Manning\nTom Brady\nBrady", 1.0),
    ("Brady", "Manning\n\nTom Brady", 0.67),
]


@pytest.mark.parametrize(("answer", "gold", "expected"), SAID)
def test_spans_as_a_text_says_them_and_several_golds(
    answer: str, gold: str, expected: float
) -> None:
    assert score(answer, gold, "f1") == expected


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("5 yards", "5", True),
        ("$5", "5", True),
        ("5.0 yards in all", "5\nfive", True),
        ("5 million", "5", False),
        ("6 yards", "5", False),
        ("5 yards", "5 points", False),
        ("5 or 6", "5", False),
        ("The answer is 5. No, 6.", "5", False),
        ("The answer is 5. No, 6.", "6", False),
        ("0 = 0", "0", False),
        ("x = x", "x", False),
        ("", "5", False),
        ("the", "5", False),
        ("5 | 6 | 7", "5", False),
        (" ".join(map(str, range(10_000))), "5", False),
        (" | ".join(map(str, range(10_000))), "5 | 6", False),
    ],
)
def test_right(answer: str, gold: str, expected: bool) -> None:
    assert verify(answer, gold, "f1") is expected


@pytest.mark.parametrize("text", ["", " ", "the", "a | the -", "...", "'\"", "-", "5\nthe"])
def test_what_says_nothing_is_no_answer(text: str) -> None:
    assert read(text, "f1") is None
    assert score(text, "5", "f1") == score("5", text, "f1") == 0.0


def test_scores_of_the_other_types_are_verdicts() -> None:
    assert score("$12.00", "12", "number") == 1.0
    assert score("13", "12", "number") == score(None, "12", "number") == score(None, "5", "f1") == 0
    assert score("Karl", "B", "choice", ("Helga", "Karl")) == 1.0


def test_a_statement_is_a_sentence() -> None:
    rules = [{"after": "The answer is"}]
    found = extract("The answer is the Bears and Lions. They won.", rules, "f1")
    assert verify(found.answer, "Lions | Bears", "f1")
    assert extract("The answer is the Bears. No, the Lions.", rules, "f1").answer is None


MATRICES = st.integers(1, 5).flatmap(
    lambda wide: st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 0.67, 0.8, 1.0]), min_size=wide, max_size=wide),
        min_size=1,
        max_size=5,
    )
)


@given(MATRICES)
def test_the_best_sum_by_enumeration(scores: list[list[float]]) -> None:
    tall = (
        scores if len(scores) <= len(scores[0]) else [list(it) for it in zip(*scores, strict=True)]
    )
    every = itertools.permutations(range(len(tall[0])), len(tall))
    best = max(sum(tall[row][column] for row, column in enumerate(taken)) for taken in every)
    assert best_sum(scores) == pytest.approx(best)


WORDS = "Tom Brady 5 5.0 12% the 23-yard U.S. $1,200.50 Bears \u00e9 no."
SPANS = st.lists(
    st.sampled_from(WORDS.split()),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(SPANS, SPANS)
def test_a_score_is_a_share_and_the_same_either_way_but_for_numbers(one: str, other: str) -> None:
    if read(one, "f1") and read(other, "f1"):
        assert 0 <= score(one, other, "f1") <= 1
        assert score(one, one, "f1") == 1
        if not any(map(str.isdigit, one + other)):
            assert score(one, other, "f1") == score(other, one, "f1")


@given(SPANS, st.sampled_from(["  ", "\t", " \u00a0"]))
def test_white_space_does_not_matter(gold: str, gap: str) -> None:
    if read(gold, "f1"):
        assert verify(gap + gold.replace(" ", gap) + gap, gold, "f1")


def test_another_row_s_spans_are_not_accepted() -> None:
    draw = random.Random(0)
    names = [f"{a} {b}" for a in ("Tom", "Ann", "Bo", "Eve") for b in ("Brady", "Lee", "Ng", "Ray")]
    for gold, other in itertools.permutations(names, 2):
        assert not verify(other, gold, "f1")
        assert not verify(f"{other} and {draw.choice(names)}", f"{gold} | Kim Su", "f1")
