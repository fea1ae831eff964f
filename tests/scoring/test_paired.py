"""Paired tests and intervals against published values, brute force and scipy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.scoring.differences import LeftOut, Row, paired_rows, unpaired_rows
from stages.scoring.items import Item, reported, tally
from stages.scoring.paired import (
    RESAMPLES,
    Bootstrap,
    Pairs,
    bootstrap,
    holm,
    mcnemar,
    newcombe,
    newcombe_independent,
    pairs,
    sign_flips,
)

small = st.integers(0, 6)
tables = st.builds(Pairs, small, small, small, small).filter(lambda counts: counts.n > 0)


def items(counts: Pairs) -> list[tuple[bool, bool]]:
    """(then, now) of each item."""
    return (
        [(True, True)] * counts.both
        + [(False, True)] * counts.gained
        + [(True, False)] * counts.lost
        + [(False, False)] * counts.neither
    )


def test_pairs_are_found_by_id() -> None:
    then = {"a": True, "b": True, "c": False, "d": False, "e": False}
    now = {"e": True, "d": False, "c": True, "b": False, "a": True}
    counts = pairs(then, now)
    assert counts == Pairs(both=1, gained=2, lost=1, neither=1)
    assert (counts.n, counts.difference) == (5, 0.2)
    assert pairs({}, {}) == Pairs(0, 0, 0, 0)
    assert Pairs(0, 0, 0, 0).difference == 0.0


@pytest.mark.parametrize(("then", "now"), [("ab", "ac"), ("b", "bb2"), ("b", "")])
def test_pairs_need_the_same_items(then: str, now: str) -> None:
    with pytest.raises(ValueError, match=r"same items: '[b2]' is in one run only"):
        pairs(dict.fromkeys(then, True), dict.fromkeys(now, True))


@settings(deadline=None)
@given(tables)
def test_mcnemar_is_exact(counts: Pairs) -> None:
    changed = counts.gained + counts.lost
    far = abs(counts.gained - counts.lost)
    flips = itertools.product((-1, 1), repeat=changed)
    by_hand = sum(abs(sum(signs)) >= far for signs in flips) / 2**changed
    assert mcnemar(counts) == pytest.approx(by_hand)


def test_mcnemar_on_many_items() -> None:
    assert mcnemar(Pairs(0, 5000, 5000, 0)) == 1.0
    assert mcnemar(Pairs(0, 5000, 0, 0)) == 0.0
    assert mcnemar(Pairs(100, 0, 0, 100)) == 1.0


# Rows: Cavo et al. 2012 and Bentur et al. 2009 as in Fagerland, Lydersen and Laake 2017,
# "Statistical Analysis of Contingency Tables", chapter 8, by the R package contingencytables.
@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [(Pairs(59, 6, 16, 80), -0.1186, -0.0046), (Pairs(1, 1, 7, 12), -0.507, -0.026)],
)
def test_newcombe_paired_as_published(counts: Pairs, low: float, high: float) -> None:
    assert newcombe([counts]) == pytest.approx((low, high), abs=5e-4)


@given(tables)
def test_newcombe_paired_holds_the_difference(counts: Pairs) -> None:
    low, high = newcombe([counts])
    assert -1.0 <= low <= counts.difference <= high <= 1.0
    turned = newcombe([Pairs(counts.both, counts.lost, counts.gained, counts.neither)])
    assert turned == pytest.approx((-high, -low))
    wide = newcombe([counts], confidence=0.99)
    assert wide[0] <= low + 1e-12
    assert high <= wide[1] + 1e-12


def test_newcombe_paired_at_the_ends() -> None:
    low, high = newcombe([Pairs(20, 0, 0, 0)])
    assert low == pytest.approx(-high)
    assert 0 < high < 0.25
    assert newcombe([Pairs(0, 10, 0, 0)])[1] == 1.0
    # agreement between the runs is what pairing gains
    paired = newcombe([Pairs(40, 5, 0, 55)])
    apart = newcombe_independent([(40, 100)], [(45, 100)])
    assert apart[0] < 0 < paired[0] < paired[1] < apart[1]


# Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10.
@pytest.mark.parametrize(
    ("now", "then", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_newcombe_independent_as_published(
    now: tuple[int, int], then: tuple[int, int], low: float, high: float
) -> None:
    assert newcombe_independent([then], [now]) == pytest.approx((low, high), abs=5e-5)


def test_newcombe_of_several_tasks() -> None:
    # no agreement beyond chance, so that pairing changes nothing
    counts = Pairs(20, 30, 20, 30)
    half = [(high - low) / 2 for low, high in (newcombe([counts]), newcombe([counts] * 4))]
    assert half[1] == pytest.approx(half[0] / 2)
    assert newcombe([counts]) == newcombe_independent([(40, 100)], [(50, 100)])
    mixed = newcombe([Pairs(20, 30, 20, 30), Pairs(50, 20, 10, 20)])
    drawn = bootstrap([Pairs(20, 30, 20, 30), Pairs(50, 20, 10, 20)])
    assert mixed == pytest.approx((drawn.low, drawn.high), abs=0.01)


def test_newcombe_independent_of_several_tasks() -> None:
    one = newcombe_independent([(40, 100)], [(50, 100)])
    four = newcombe_independent([(40, 100)] * 4, [(50, 100)] * 4)
    assert sum(four) / 2 == pytest.approx(0.1, abs=2e-3)
    assert (four[1] - four[0]) * 2 == pytest.approx(one[1] - one[0])
    for then, now in [([], []), ([(1, 2)], []), ([(1, 2)], [(0, 0)])]:
        with pytest.raises(ValueError, match="the same tasks, and items in each"):
            newcombe_independent(then, now)


def test_the_bootstrap_draws_pairs() -> None:
    counts = Pairs(1, 3, 1, 1)
    changes = [now - then for then, now in items(counts)]
    every = [sum(drawn) / 6 for drawn in itertools.product(changes, repeat=6)]
    low, high = np.quantile(every, [0.025, 0.975])
    drawn = bootstrap([counts])
    assert drawn == Bootstrap(pytest.approx(1 / 3), drawn.low, drawn.high, 0.95, 10_000, 0)
    assert (drawn.low, drawn.high) == pytest.approx((low, high))
    assert drawn == bootstrap([counts])
    assert bootstrap([counts], resamples=30, seed=1) != bootstrap([counts], resamples=30, seed=2)
    assert all(type(value) is float for value in (drawn.difference, drawn.low, drawn.high))


def test_the_macro_bootstrap_keeps_to_its_tasks() -> None:
    tasks = [Pairs(30, 40, 20, 10), Pairs(100, 30, 50, 20)]
    drawn = bootstrap(tasks)
    assert drawn.difference == pytest.approx((0.2 - 0.1) / 2)
    # the normal approximation of the same interval
    variances = [(0.6 - 0.2**2) / 100, (0.4 - 0.1**2) / 200]
    half = 1.96 * sum(variances) ** 0.5 / 2
    assert (drawn.low, drawn.high) == pytest.approx((0.05 - half, 0.05 + half), abs=0.005)
    still = bootstrap([Pairs(3, 0, 0, 2), Pairs(0, 4, 0, 0)])
    assert (still.difference, still.low, still.high) == (0.5, 0.5, 0.5)


def by_exchange(tasks: list[Pairs]) -> float:
    """P value over every exchange of the outcomes of items that changed."""
    changes = [1 / counts.n for counts in tasks for _ in range(counts.gained + counts.lost)]
    seen = abs(sum((counts.gained - counts.lost) / counts.n for counts in tasks))
    every = [
        abs(sum(sign * change for sign, change in zip(signs, changes, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(changes))
    ]
    return sum(value >= seen - 1e-9 for value in every) / len(every)


@pytest.mark.parametrize(
    "tasks",
    [
        [Pairs(3, 5, 1, 2)],
        [Pairs(0, 4, 0, 6), Pairs(2, 3, 2, 0)],
        [Pairs(1, 0, 0, 1), Pairs(0, 6, 1, 0), Pairs(4, 1, 1, 4)],
        [Pairs(1, 0, 0, 1)],
    ],
)
def test_sign_flips_are_a_mcnemar_test_over_tasks(tasks: list[Pairs]) -> None:
    assert sign_flips(tasks) == pytest.approx(by_exchange(tasks), abs=0.015)
    assert sign_flips(tasks) == sign_flips(tasks)
    assert sign_flips(tasks[:1]) == pytest.approx(mcnemar(tasks[0]), abs=0.015)


def test_sign_flips_are_never_zero() -> None:
    assert sign_flips([Pairs(0, 100, 0, 0)] * 2) == 1 / (RESAMPLES + 1)
    assert type(sign_flips([Pairs(0, 1, 0, 0)])) is float


@pytest.mark.parametrize("tasks", [[], [Pairs(1, 0, 0, 0), Pairs(0, 0, 0, 0)]])
def test_macro_needs_items(tasks: list[Pairs]) -> None:
    for function in (bootstrap, sign_flips, newcombe):
        with pytest.raises(ValueError, match="at least one task, and items in each"):
            function(tasks)


def test_holm_as_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_closes_bonferroni(values: list[float]) -> None:
    """The largest Bonferroni p among all sets of hypotheses that hold this one."""
    places = range(len(values))
    sets = [s for size in places for s in itertools.combinations(places, size + 1)]
    closed = [
        max(min(1.0, len(s) * min(values[i] for i in s)) for s in sets if place in s)
        for place in places
    ]
    assert holm(values) == pytest.approx(closed)


def outcomes(right: int, wrong: int, start: int = 0) -> dict[str, Item]:
    return {f"i{start + i}": Item(float(i < right), f"q{start + i}") for i in range(right + wrong)}


def test_rows_pair_what_is_the_same_question() -> None:
    then: dict[str, Any] = {
        "base": {"x": outcomes(2, 8), "y": outcomes(5, 5)},
        "old": {"x": outcomes(1, 1)},
    }
    now: dict[str, Any] = {
        "base": {
            "x": {**outcomes(9, 2), "i0": Item(1.0, "another")},
            "y": outcomes(5, 3, start=2),
            "z": outcomes(1, 0),
        }
    }
    rows, left_out = paired_rows(then, now)
    assert left_out == [
        LeftOut("base", "x", 0, 1, 1),
        LeftOut("base", "y", 2, 0),
        LeftOut("base", "z", 0, 1),
        LeftOut("old", "x", 2, 0),
    ]
    assert [(row.run, row.task, row.n_then, row.n_now, row.verdict) for row in rows] == [
        ("base", "x", 9, 9, "gain"),
        ("base", "y", 8, 8, "within noise"),
        ("base", "macro", 17, 17, "gain"),
    ]
    # of x one was right and eight are; of y three were and five are
    assert (rows[0].accuracy_then, rows[0].accuracy_now) == (1 / 9, 8 / 9)
    assert rows[0].p == mcnemar(Pairs(1, 7, 0, 1)) == 0.015625
    assert rows[0].p_corrected == pytest.approx(0.03125)
    assert (rows[0].low, rows[0].high) == newcombe([Pairs(1, 7, 0, 1)])
    macro = rows[2]
    assert macro.difference == pytest.approx((7 / 9 + 2 / 8) / 2)
    changes = [Pairs(1, 7, 0, 1), Pairs(3, 2, 0, 3)]
    assert (macro.low, macro.high) == newcombe(changes)
    drawn = bootstrap(changes)
    assert (macro.bootstrap, macro.p) == ((drawn.low, drawn.high), sign_flips(changes))


def test_rows_of_numbers_alone() -> None:
    then = {"base": {"x": (10, 50), "y": (10, 20), "gone": (1, 4)}, "old": {"x": (1, 1)}}
    now = {"base": {"x": (40, 40), "y": (10, 20), "fresh": (3, 5)}}
    rows, left_out = unpaired_rows(then, now)
    assert list(map(str, left_out)) == [
        "left out of base, fresh: 5 only now",
        "left out of base, gone: 4 only then",
        "left out of old, x: 1 only then",
    ]
    x = newcombe_independent([(10, 50)], [(40, 40)])
    y = newcombe_independent([(10, 20)], [(10, 20)])
    both = newcombe_independent([(10, 50), (10, 20)], [(40, 40), (10, 20)])
    assert rows == [
        Row("base", "x", 50, 40, 0.2, 1.0, 0.8, *x, verdict="gain"),
        Row("base", "y", 20, 20, 0.5, 0.5, 0.0, *y, verdict="within noise"),
        Row("base", "macro", 70, 60, 0.35, 0.75, 0.4, *both, verdict="gain"),
    ]


def test_numbers_of_items_and_of_a_metrics_file() -> None:
    assert tally({"base": {"x": outcomes(2, 3), "y": {}}}) == {"base": {"x": (2, 5), "y": (0, 0)}}
    score = {"accuracy": 0.6438, "n": 160, "ci_low": 0.5}
    metrics = {"base": {"x": score, "none": {"accuracy": 0.0, "n": 0}, "macro": score}}
    assert reported(metrics) == {"base": {"x": (103, 160)}}


@pytest.mark.parametrize(
    "metrics",
    [[], {"base": 1}, {"base": {"x": {}}}, {"base": {"x": {"accuracy": 1.5, "n": 2}}},
     {"base": {"x": {"accuracy": None, "n": 2}}}, {"base": {"x": {"accuracy": 0.5, "n": -2}}}],
)  # fmt: skip
def test_what_is_no_metrics_file(metrics: Any) -> None:
    with pytest.raises(ValueError, match=r"no accuracies by run and task|an accuracy of"):
        reported(metrics)
