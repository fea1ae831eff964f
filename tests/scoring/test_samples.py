"""pass@k, avg@k and maj@k against every choice of k samples, and against published values."""

from __future__ import annotations

import itertools
from math import comb
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.samples import avg_at_k, maj_at_k, majority, pass_at_k

counts = st.integers(1, 9).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
)


def chosen(right: list[bool], k: int) -> list[tuple[bool, ...]]:
    return list(itertools.combinations(right, k))


@given(counts)
def test_pass_and_avg_are_means_over_every_choice(case: tuple[int, int, int]) -> None:
    n, right, k = case
    every = chosen([True] * right + [False] * (n - right), k)
    assert pass_at_k(n, right, k) == pytest.approx(fmean(map(any, every)))
    assert avg_at_k(n, right, k) == pytest.approx(fmean(map(fmean, every)))


@given(counts)
def test_pass_at_k_is_the_product_of_the_papers_listing(case: tuple[int, int, int]) -> None:
    # Chen et al. 2021, figure 3
    n, right, k = case
    missed = 1.0
    for i in range(n - right + 1, n + 1):
        missed *= 1 - k / i
    assert pass_at_k(n, right, k) == pytest.approx(1.0 if n - right < k else 1 - missed)


def test_pass_at_k_of_many_samples() -> None:
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01, rel=1e-12)
    assert pass_at_k(10_000, 0, 100) == 0.0
    assert pass_at_k(200, 200, 1) == 1.0


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        ([], None),
        ([None, None], None),
        ([None, "7", None, None], "7"),
        (["8", "7", "7"], "7"),
        (["8", "7", "7", "8"], "8"),
        (["9", "7", "8", "8", "7"], "7"),
        (["7", "8"], "7"),
    ],
)
def test_majority(answers: list[str | None], winner: str | None) -> None:
    assert majority(answers) == winner


def by_hand(votes: tuple[str | None, ...]) -> str | None:
    """The winner by the rule's words: most votes, then the earliest first vote."""
    best = None
    for answer in votes:
        if answer is not None and (best is None or votes.count(answer) > votes.count(best)):
            best = answer
    return best


voters = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=9)


@given(voters)
def test_majority_is_the_rule(answers: list[str | None]) -> None:
    assert majority(answers) == by_hand(tuple(answers))


@given(voters, st.sets(st.sampled_from("abcd")), st.data())
def test_maj_at_k_is_the_mean_over_every_choice(
    answers: list[str | None], good: set[str], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(answers)))
    every = [by_hand(votes) in good for votes in itertools.combinations(answers, k)]
    right = [answer in good for answer in answers]
    assert maj_at_k(answers, right, k) == sum(every) / comb(len(answers), k)


def test_maj_at_k_of_special_cases() -> None:
    answers = ["7", "8", None, "8", "7"]
    right = [True, False, False, False, True]
    assert maj_at_k(answers, right, 1) == avg_at_k(5, 2, 1) == 0.4
    assert maj_at_k(answers, right, 5) == 1.0  # a tie, and "7" came first
    assert maj_at_k([None, None], [False, False], 1) == 0.0


def test_maj_at_k_of_many_samples() -> None:
    answers = [str(i % 10) if i % 2 else "42" for i in range(64)]
    right = [answer == "42" for answer in answers]
    assert maj_at_k(answers, right, 64) == 1.0
    assert 0.999 < maj_at_k(answers, right, 32) < 1.0
    assert maj_at_k(answers, right, 1) == 0.5


@pytest.mark.parametrize(
    ("n", "right", "k", "message"),
    [
        (4, 2, 5, "k is 5, and there are 4 samples"),
        (4, 2, 0, "k is 0, and there are 4 samples"),
        (0, 0, 1, "k is 1, and there are 0 samples"),
        (4, 5, 1, "5 right of 4 samples"),
        (4, -1, 1, "-1 right of 4 samples"),
    ],
)
def test_impossible_counts(n: int, right: int, k: int, message: str) -> None:
    for estimate in (pass_at_k, avg_at_k):
        with pytest.raises(ValueError, match=message):
            estimate(n, right, k)


def test_impossible_samples() -> None:
    with pytest.raises(ValueError, match="2 answers, and 1 verdicts"):
        maj_at_k(["a", "b"], [True], 1)
    with pytest.raises(ValueError, match="k is 3, and there are 2 samples"):
        maj_at_k(["a", "b"], [True, False], 3)
    with pytest.raises(ValueError, match="the answer 'a' is both right and wrong"):
        maj_at_k(["a", "a"], [True, False], 1)
