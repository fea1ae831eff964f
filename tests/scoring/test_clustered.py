"""Intervals and tests for several samples of an item, against brute force and simulation."""

from __future__ import annotations

import itertools
import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring import clustered
from stages.scoring.paired import Pairs, newcombe, newcombe_independent
from stages.scoring.paired import sign_flips as flips_of_outcomes
from stages.scoring.stats import wilson

outcomes = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40)
quarters = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=40)


@given(outcomes)
def test_one_sample_is_wilson(shares: list[float]) -> None:
    assert clustered.effective(shares, 1) == pytest.approx(len(shares))
    right = int(sum(shares))
    assert clustered.interval(shares, 1) == pytest.approx(wilson(right, len(shares)))


@given(outcomes, st.integers(2, 64))
def test_samples_that_agree_are_worth_one(shares: list[float], samples: int) -> None:
    assert clustered.effective(shares, samples) == pytest.approx(len(shares))


@given(quarters)
def test_the_worth_lies_between_items_and_answers(shares: list[float]) -> None:
    n = clustered.effective(shares, 4)
    assert len(shares) <= n <= 4 * len(shares)
    low, high = clustered.interval(shares, 4)
    assert 0.0 <= low <= fmean(shares) <= high <= 1.0
    narrow, wide = wilson(4 * sum(shares), 4 * len(shares)), wilson(sum(shares), len(shares))
    assert wide[0] - 1e-12 <= low <= narrow[0] + 1e-12
    assert narrow[1] - 1e-12 <= high <= wide[1] + 1e-12


def test_by_hand() -> None:
    # with an item of 0 and one of 1: mean 1/2, variance (4 * 0 + 2 / 4) / 6 = 1/12
    assert clustered.effective([0.5] * 4, 16) == pytest.approx(4 * 0.25 / (1 / 12))
    assert clustered.effective([0.5] * 4, 2) == 8.0
    # one right answer of 800 moves the interval a little, not from 7 % to 1 %
    none, one = ([0.0] * 50, [0.0] * 49 + [1 / 16])
    assert clustered.interval(none, 16) == wilson(0, 50)
    assert clustered.interval(one, 16)[1] == pytest.approx(wilson(0, 50)[1], abs=0.01)
    assert clustered.interval([], 4) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("alpha", "beta", "n"), [(0.05, 0.95, 20), (0.2, 0.8, 50), (0.3, 0.1, 50), (5.0, 5.0, 100)]
)
def test_the_interval_covers_what_the_items_were_drawn_from(
    alpha: float, beta: float, n: int
) -> None:
    generator = np.random.default_rng(0)
    trials = 400
    chances = generator.beta(alpha, beta, (trials, n))
    shares = generator.binomial(16, chances) / 16
    limits = [clustered.interval(list(map(float, row)), 16) for row in shares]
    held = fmean(low <= alpha / (alpha + beta) <= high for low, high in limits)
    assert held >= 0.93
    # as if all answers were independent: far too narrow
    apart = [wilson(16 * float(row.sum()), 16 * n) for row in shares]
    assert fmean(low <= alpha / (alpha + beta) <= high for low, high in apart) < held


def test_macro() -> None:
    tasks = [[0.0, 0.25, 1.0, 0.75] * 5, [0.5, 0.5] * 10]
    middle, low, high = clustered.macro(tasks, 4)
    assert middle == 0.5
    (a, b), (c, d) = (clustered.interval(task, 4) for task in tasks)
    assert low == pytest.approx(0.5 - math.hypot(0.5 - a, 0.5 - c) / 2)
    assert high == pytest.approx(0.5 + math.hypot(b - 0.5, d - 0.5) / 2)
    assert clustered.macro(tasks[:1], 4) == pytest.approx((0.5, a, b))
    none = clustered.macro([[0.0] * 50] * 4, 16)
    assert none == pytest.approx((0.0, 0.0, wilson(0, 50)[1] / 2))
    for bad in ([], [[1.0], []]):
        with pytest.raises(ValueError, match="needs at least one group, and items in each"):
            clustered.macro(bad, 4)


def test_the_interval_of_a_difference() -> None:
    then, now = [0.0, 1.0] * 30, [0.0, 1.0, 1.0, 1.0] * 15
    assert clustered.difference([(then, now)], (1, 1)) == pytest.approx(
        newcombe([Pairs(both=30, gained=15, lost=0, neither=15)])
    )
    # what does not correlate is as far apart as independent items
    flat = [1.0, 1.0, 0.0, 0.0] * 15
    assert clustered.difference([(then, flat)], (1, 1)) == pytest.approx(
        newcombe_independent([(30, 60)], [(30, 60)])
    )
    alone = clustered.difference([(then, now)], (4, 4))
    four = clustered.difference([(then, now)] * 4, (4, 4))
    assert four[1] - four[0] == pytest.approx((alone[1] - alone[0]) / 2)
    low, high = clustered.difference([(now, then)], (4, 4))
    assert (low, high) == pytest.approx((-alone[1], -alone[0]))
    # items that keep their share show a small change that the items' own spread would hide
    spread = [0.0, 0.25, 0.5, 0.75] * 15
    low, high = clustered.difference([(spread, [share + 0.25 for share in spread])], (16, 16))
    assert 0.1 < low < 0.25 < high < 0.4


tables = st.builds(Pairs, *[st.integers(0, 8)] * 4).filter(lambda counts: counts.n > 0)


def sides_of(counts: Pairs) -> tuple[list[float], list[float]]:
    then = [1.0] * (counts.both + counts.lost) + [0.0] * (counts.gained + counts.neither)
    now = [1.0] * counts.both + [0.0] * counts.lost
    return then, now + [1.0] * counts.gained + [0.0] * counts.neither


@given(st.lists(tables, min_size=1, max_size=3))
def test_one_sample_is_newcombe(tasks: list[Pairs]) -> None:
    sides = list(map(sides_of, tasks))
    assert clustered.difference(sides, (1, 1)) == pytest.approx(newcombe(tasks), abs=1e-9)


def test_the_bootstrap_of_a_difference() -> None:
    task = ([0.0, 0.5, 1.0], [0.5, 0.5, 0.75])
    every = [sum(drawn) / 3 for drawn in itertools.product([0.5, 0.0, -0.25], repeat=3)]
    wanted = np.quantile(every, [0.025, 0.975], method="inverted_cdf")
    assert clustered.bootstrap([task]) == pytest.approx(tuple(wanted))


def by_hand(tasks: list[tuple[list[float], list[float]]]) -> float:
    """P value over every sign of every item's change."""
    changes = [
        (now - then) / len(side[0]) for side in tasks for then, now in zip(*side, strict=True)
    ]
    seen = abs(math.fsum(changes))
    every = [
        abs(math.fsum(sign * change for sign, change in zip(signs, changes, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(changes))
    ]
    return sum(value >= seen - 1e-9 for value in every) / len(every)


@pytest.mark.parametrize(
    "tasks",
    [
        [([0.0, 0.25, 0.5, 0.0, 1.0, 0.5], [0.5, 0.5, 0.25, 0.75, 1.0, 1.0])],
        [([1 / 3, 2 / 3, 0.0], [2 / 3, 1.0, 1 / 3]), ([0.5] * 4, [0.5, 0.75, 0.25, 1.0])],
        [([0.5, 1.0], [0.5, 1.0])],
    ],
)
def test_sign_flips_are_over_every_sign(tasks: list[tuple[list[float], list[float]]]) -> None:
    found = clustered.sign_flips(tasks)
    assert found == pytest.approx(by_hand(tasks), abs=0.015)
    assert found == clustered.sign_flips(tasks)
    assert type(found) is float


def test_sign_flips_of_single_samples_are_those_of_outcomes() -> None:
    changes = [Pairs(3, 9, 2, 4), Pairs(1, 4, 1, 0)]
    sides = list(map(sides_of, changes))
    assert clustered.sign_flips(sides) == pytest.approx(flips_of_outcomes(changes), abs=0.01)
