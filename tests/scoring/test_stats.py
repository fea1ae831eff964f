"""Intervals and tests against published values and against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.stats import chance, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_matches_newcombe_1998(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = wilson(successes, n)
    assert 0.0 <= low <= successes / n <= high <= 1.0
    wide = wilson(successes, n, confidence=0.99)
    assert wide[0] <= low
    assert high <= wide[1]


def test_wilson_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="5 successes of 4"):
        wilson(5, 4)


def test_chance() -> None:
    assert chance("yes_no", 0) == 0.5
    assert chance("choice", 4) == 0.25
    assert chance("choice", 0) == 0.0
    assert chance("number", 5) == 0.0
