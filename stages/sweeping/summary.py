"""A sweep's results: a row for each training, and what several seeds of a point come to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev, variance

from stages.scoring.differences import paired_rows
from stages.scoring.items import Items
from stages.scoring.paired import CONFIDENCE
from stages.sweeping.results import Metrics

Key = tuple[str, str]
"""Run and task."""


@dataclass(frozen=True)
class Estimate:
    """A number of one training with its interval over test items, all as shares."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Mean:
    """What the seeds of a point come to.

    Args:
        value: Mean over seeds.
        sd: Standard deviation over seeds; None of one.
        low: Lower end of the 95 % interval of the mean.
        high: Upper end.
        n: Test items, the same for each seed.
        seeds: How many.
    """

    value: float
    sd: float | None
    low: float
    high: float
    n: int
    seeds: int


@dataclass(frozen=True)
class Trained:
    """One training's results, for `summarised`."""

    point: int
    seed: int
    metrics: Metrics
    items: Mapping[str, Items] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One point under one run and task. `gain` is the difference to the first point."""

    run: str
    task: str
    point: int
    accuracy: Mean
    gain: Mean | None = None


def accuracies(trained: Trained) -> dict[Key, Estimate]:
    """By run and task, ``macro`` among them where there are several tasks."""
    return {
        (run, task): Estimate(score["accuracy"], score["ci_low"], score["ci_high"], score["n"])
        for run, tasks in trained.metrics.items()
        for task, score in tasks.items()
        if task != "macro" or len(tasks) > 2
    }


def differences(first: Trained, other: Trained) -> dict[Key, Estimate]:
    """By run and task, other minus first on the items that both answered, paired."""
    rows, _ = paired_rows(first.items, other.items)
    return {
        (row.run, row.task): Estimate(row.difference, row.low, row.high, row.n_now) for row in rows
    }


def over_seeds(
    estimates: Sequence[Estimate], floor: float = 0.0, confidence: float = CONFIDENCE
) -> Mean:
    """The mean of several trainings on the same test items; `floor` is the least it can be.

    Its interval is of another draw of both, items and seeds. The items' share of the variance is
    read off the trainings' own intervals, so that it keeps their shape near 0 and 1, and is not
    divided by the number of seeds, which all answered the same items. The seeds' share is their
    variance over their number. Of one training the interval is its own, and says nothing of seeds.

    Source: Welch 1947, "The generalization of Student's problem when several different population
    variances are involved", Biometrika 34, with Satterthwaite's degrees of freedom.
    """
    value, n = fmean(each.value for each in estimates), min(each.n for each in estimates)
    if len(estimates) == 1:
        return Mean(value, None, estimates[0].low, estimates[0].high, n, 1)
    from scipy.stats import t

    z = NormalDist().inv_cdf((1 + confidence) / 2)
    values = [each.value for each in estimates]
    seeds = variance(values) / len(values)

    def reach(margins: Sequence[float]) -> float:
        items = fmean((margin / z) ** 2 for margin in margins)
        total = items + seeds
        if not total:
            return 0.0
        degrees = total**2 / (items**2 / max(n - 1, 1) + seeds**2 / (len(values) - 1))
        return float(t.ppf((1 + confidence) / 2, degrees)) * math.sqrt(total)

    low = value - reach([each.value - each.low for each in estimates])
    high = value + reach([each.high - each.value for each in estimates])
    return Mean(value, stdev(values), max(floor, low), min(1.0, high), n, len(values))


def summarised(trainings: Sequence[Trained]) -> list[Line]:
    """A line for each run, task and point, in that order; the points that have any training."""
    found: dict[tuple[Key, int], list[Estimate]] = {}
    gains: dict[tuple[Key, int], list[Estimate]] = {}
    firsts = {each.seed: each for each in trainings if each.point == 0}
    for each in trainings:
        for key, estimate in accuracies(each).items():
            found.setdefault((key, each.point), []).append(estimate)
        first = firsts.get(each.seed)
        if each.point and first:
            for key, estimate in differences(first, each).items():
                gains.setdefault((key, each.point), []).append(estimate)
    keys = list(dict.fromkeys(key for key, _ in found))
    points = sorted({point for _, point in found})
    return [
        Line(
            *key, point, over_seeds(found[key, point]),
            over_seeds(gains[key, point], -1.0) if (key, point) in gains else None,
        )
        for key in keys
        for point in points
        if (key, point) in found
    ]  # fmt: skip
