"""What several trainings come to."""

from __future__ import annotations

from typing import Any

import pytest

from stages.scoring.items import Item
from stages.scoring.paired import newcombe, pairs
from stages.scoring.stats import wilson
from stages.sweeping.chart import HEIGHT, LEFT, RIGHT, WIDTH, charts, series, told
from stages.sweeping.design import Point, Sweep
from stages.sweeping.summary import Estimate, Trained, accuracies, over_seeds, summarised


def estimate(right: int, n: int = 100) -> Estimate:
    return Estimate(right / n, *wilson(right, n), n)


def test_of_one_training_the_interval_is_its_own() -> None:
    mean = over_seeds([estimate(40)])
    assert (mean.value, mean.sd, mean.seeds, mean.n) == (0.4, None, 1, 100)
    assert (mean.low, mean.high) == wilson(40, 100)


def test_alike_seeds_leave_the_interval_of_the_items() -> None:
    mean = over_seeds([estimate(40)] * 3)
    low, high = wilson(40, 100)
    assert mean.sd == 0
    # Student's quantile for 99 degrees of freedom is 1.984, the normal one 1.96
    assert mean.low == pytest.approx(0.4 - (0.4 - low) * 1.9842 / 1.96, abs=1e-4)
    assert mean.high == pytest.approx(0.4 + (high - 0.4) * 1.9842 / 1.96, abs=1e-4)


def test_seeds_that_differ_widen_it() -> None:
    close, far = (over_seeds([estimate(30 + step), estimate(30 - step)]) for step in (1, 20))
    assert close.value == far.value == pytest.approx(0.3)
    assert far.sd == pytest.approx(0.2 * 2**0.5)
    assert far.high - far.low > 2 * (close.high - close.low)
    more = over_seeds([estimate(50), estimate(10)] * 4)
    assert more.high - more.low < far.high - far.low


def test_limits_stay_in_range() -> None:
    assert over_seeds([estimate(0), estimate(0)]).low == 0
    assert over_seeds([estimate(99), estimate(60)]).high == 1
    loss = over_seeds([Estimate(-0.9, -0.99, -0.5, 9), Estimate(-0.1, -0.6, 0.4, 9)], -1.0)
    assert loss.low == -1


def trained(point: int, seed: int, right: dict[str, str], run: str = "steps") -> Trained:
    """A training by task, with a 1 for each item that is right."""
    items = {
        task: {str(at): Item(float(mark), f"q{at}") for at, mark in enumerate(marks)}
        for task, marks in right.items()
    }
    metrics: Any = {
        task: {
            "accuracy": marks.count("1") / len(marks), "n": len(marks),
            "ci_low": wilson(marks.count("1"), len(marks))[0],
            "ci_high": wilson(marks.count("1"), len(marks))[1],
        }
        for task, marks in right.items()
    }  # fmt: skip
    macro = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n": 8}
    return Trained(point, seed, {run: {**metrics, "macro": macro}}, {run: items})


def test_differences_are_paired_within_a_seed() -> None:
    made = summarised(
        [
            trained(0, 1, {"t": "1100"}), trained(1, 1, {"t": "1110"}),
            trained(0, 2, {"t": "0001"}), trained(1, 2, {"t": "0111"}),
        ]
    )  # fmt: skip
    assert [(line.run, line.task, line.point, line.accuracy.value) for line in made] == [
        ("steps", "t", 0, 0.375), ("steps", "t", 1, 0.75)
    ]  # fmt: skip
    assert made[0].gain is None
    gain = made[1].gain
    assert gain
    assert (gain.value, gain.seeds, gain.n) == (0.375, 2, 4)
    assert gain.sd == pytest.approx(0.125 * 2**0.5)


def test_one_seed_gives_newcombes_interval() -> None:
    then, now = "11000000", "11111100"
    made = summarised([trained(0, 1, {"t": then}), trained(1, 1, {"t": now})])
    counts = pairs(
        {str(at): mark == "1" for at, mark in enumerate(then)},
        {str(at): mark == "1" for at, mark in enumerate(now)},
    )
    assert made[1].gain
    assert (made[1].gain.low, made[1].gain.high) == newcombe([counts])


def test_several_tasks_have_a_mean() -> None:
    two = {"t": "1100", "u": "1000"}
    made = summarised([trained(0, 1, two), trained(1, 1, {"t": "1111", "u": "1000"})])
    assert [line.task for line in made] == ["t", "t", "u", "u", "macro", "macro"]
    assert made[5].gain
    assert made[5].gain.value == 0.25
    assert ("steps", "macro") not in accuracies(trained(0, 1, {"t": "1"}))


def test_a_seed_without_a_first_point_and_runs_without_items() -> None:
    bare = Trained(1, 1, trained(1, 1, {"t": "11"}).metrics)
    lines = summarised([trained(0, 1, {"t": "10"}), bare, trained(1, 2, {"t": "11"})])
    assert [line.gain for line in lines] == [None, None]
    assert lines[1].accuracy.seeds == 2


def sweep(values: list[float | None], log: bool = False) -> Sweep:
    document: Any = None
    points = tuple(Point(str(value), value, document) for value in values)
    return Sweep("s", "S", points, (1,), "x", log)


def test_places_on_the_axis() -> None:
    def across(values: list[float | None], log: bool = False) -> list[float]:
        lines = summarised([trained(0, 1, {"t": "10"})])
        (chart,) = charts(sweep(values, log), lines, {})
        assert [label for _, label in chart.across] == [str(value) for value in values]
        return [place for place, _ in chart.across]

    left, right = LEFT + 24, WIDTH - RIGHT - 24
    assert across([1, 2, 4], log=True) == pytest.approx([left, (left + right) / 2, right])
    assert across([0, 1, 4]) == pytest.approx([left, left + (right - left) / 4, right])
    assert across([None, None, None]) == pytest.approx([left, (left + right) / 2, right])
    assert across([8]) == [(left + right) / 2]


def test_curves_hold_their_intervals_and_trainings() -> None:
    made = [
        trained(0, 1, {"t": "1000"}),
        trained(0, 2, {"t": "1100"}),
        trained(1, 1, {"t": "1111"}),
    ]
    lines = summarised(made)
    single = series(
        ((key, each.point), found.value) for each in made for key, found in accuracies(each).items()
    )
    (chart,) = charts(sweep([2, 1]), lines, single)
    (curve,) = chart.curves
    assert [mark.x for mark in curve.marks] == sorted(mark.x for mark in curve.marks)
    one, two = curve.marks  # the second point stands at the smaller value
    assert (len(one.seeds), len(two.seeds)) == (1, 2)
    assert 0 <= one.high <= one.y <= one.low <= HEIGHT
    assert one.y < two.y
    assert chart.up[0][0] > chart.up[-1][0]
    assert chart.up[-1][1] == "100 %"
    assert one.about == f"1: {told(lines[1])}" == "1: 100.0 % (51 to 100), n=4"
    assert told(lines[0]).startswith("37.5 % ± 17.7 (")
