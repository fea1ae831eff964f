"""Two runs on the same items: how far apart they are, and whether that can be chance.

Pairing takes the difficulty of the items out of the comparison, so that a difference is seen with
far fewer items than two independent samples would need. Differences are "now" minus "then", as
shares; tests are two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.scoring.stats import wilson

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True)
class Pairs:
    """The items of one task by their two outcomes.

    Args:
        both: Items right then and now.
        gained: Items right only now.
        lost: Items right only then.
        neither: Items wrong both times.
    """

    both: int
    gained: int
    lost: int
    neither: int

    @property
    def n(self) -> int:
        """Number of items."""
        return self.both + self.gained + self.lost + self.neither

    @property
    def difference(self) -> float:
        """Accuracy now minus accuracy then; 0 for no items."""
        return (self.gained - self.lost) / self.n if self.n else 0.0


@dataclass(frozen=True)
class Bootstrap:
    """A percentile interval, with what is needed to draw it again."""

    difference: float
    low: float
    high: float
    confidence: float
    resamples: int
    seed: int


def pairs(then: Mapping[str, bool], now: Mapping[str, bool]) -> Pairs:
    """Pair outcomes by item.

    Args:
        then: Whether the item of that id was right.
        now: The same of the other run.

    Raises:
        ValueError: An id is in one of the two only.
    """
    if alone := then.keys() ^ now.keys():
        raise ValueError(f"paired runs need the same items: {min(alone)!r} is in one run only")
    outcomes = [(right, now[name]) for name, right in then.items()]
    return Pairs(
        both=sum(1 for a, b in outcomes if a and b),
        gained=sum(1 for a, b in outcomes if b and not a),
        lost=sum(1 for a, b in outcomes if a and not b),
        neither=sum(1 for a, b in outcomes if not a and not b),
    )


def mcnemar(counts: Pairs) -> float:
    """Exact two-sided p value: of the items that changed, half would be gains by chance.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12, by the binomial distribution itself, as in
    Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification
    Learning Algorithms", section 3.1, where its chi-square approximation is.
    """
    changed = counts.gained + counts.lost
    if not changed:
        return 1.0
    from scipy.stats import binomtest

    return min(1.0, float(binomtest(counts.gained, changed, 0.5).pvalue))


def newcombe(tasks: Sequence[Pairs], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of the macro difference of paired items; has a width where no item changed.

    Raises:
        ValueError: There is no task, or one without items.

    Source: for one task, Newcombe 1998, "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17, 2635-2650, method 10;
    for their mean, Zou, Huang and Zhang 2009, as in `newcombe_independent`.
    """
    middle = down = up = 0.0
    for counts, n in zip(tasks, _sizes(tasks), strict=True):
        right, before = counts.both + counts.gained, counts.both + counts.lost
        p, (p_low, p_high) = right / n, wilson(right, n, confidence)
        q, (q_low, q_high) = before / n, wilson(before, n, confidence)
        product = float(counts.both * counts.neither - counts.gained * counts.lost)
        if product > 0:
            product = max(product - n / 2, 0.0)
        margins = right * (n - right) * before * (n - before)
        phi = product / math.sqrt(margins) if margins else 0.0
        middle += p - q
        down += square(p - p_low, q_high - q, phi)
        up += square(p_high - p, q - q_low, phi)
    return limits(middle, down, up, len(tasks))


def newcombe_independent(
    then: Sequence[tuple[float, int]],
    now: Sequence[tuple[float, int]],
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of the macro difference where items cannot be paired.

    Args:
        then: Right answers and items of each task.
        now: The same of the other run, in the same order.

    Raises:
        ValueError: There is no task, one without items, or not the same number of them.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions:
    comparison of eleven methods", Statistics in Medicine 17, 873-890, method 10; for a mean over
    tasks, Zou, Huang and Zhang 2009, "A note on confidence interval estimation for a linear
    function of binomial proportions", Computational Statistics & Data Analysis 53, 1080-1085.
    """
    if not then or len(then) != len(now) or not all(n for _, n in (*then, *now)):
        raise ValueError("a difference needs the same tasks, and items in each")
    middle = down = up = 0.0
    for (before, m), (right, n) in zip(then, now, strict=True):
        q, (q_low, q_high) = before / m, wilson(before, m, confidence)
        p, (p_low, p_high) = right / n, wilson(right, n, confidence)
        middle += p - q
        down += square(p - p_low, q_high - q)
        up += square(p_high - p, q - q_low)
    return limits(middle, down, up, len(then))


def bootstrap(
    tasks: Sequence[Pairs],
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Bootstrap:
    """Percentile bootstrap of the macro difference: items are drawn anew within each task.

    One task gives the paired bootstrap of its difference. Drawing n pairs with replacement is a
    multinomial draw, which is what is drawn. A task without changed items adds no width, so that
    on few items `newcombe` is the more honest interval.

    Raises:
        ValueError: There is no task, or one without items.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", sections 8.3 and 13.3.
    """
    sizes = _sizes(tasks)
    import numpy as np

    generator = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for counts, n in zip(tasks, sizes, strict=True):
        shares = [counts.gained / n, counts.lost / n, (counts.both + counts.neither) / n]
        drawn = generator.multinomial(n, shares, size=resamples)
        total += (drawn[:, 0] - drawn[:, 1]) / n
    total /= len(tasks)
    low, high = np.quantile(total, [(1 - confidence) / 2, (1 + confidence) / 2])
    middle = sum(counts.difference for counts in tasks) / len(tasks)
    return Bootstrap(middle, float(low), float(high), confidence, resamples, seed)


def sign_flips(tasks: Sequence[Pairs], resamples: int = RESAMPLES, seed: int = SEED) -> float:
    """Two-sided p value of the macro difference: McNemar's test over several tasks.

    Were the runs alike, each item could as well have had its two outcomes the other way round.
    Estimated from `resamples` such exchanges, so that it is never below 1 / (resamples + 1).

    Raises:
        ValueError: There is no task, or one without items.

    Source: Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses", chapter 2; for the
    added one, Davison and Hinkley 1997, "Bootstrap Methods and their Application", equation 4.11.
    """
    sizes = _sizes(tasks)
    import numpy as np

    changed = np.array([counts.gained + counts.lost for counts in tasks])
    gained = np.array([counts.gained for counts in tasks])
    generator = np.random.default_rng(seed)
    drawn = generator.binomial(changed, 0.5, (resamples, len(tasks)))
    seen = abs(((2 * gained - changed) / sizes).sum())
    # sums of the same fractions in another order may differ in the last digit
    far = abs(((2 * drawn - changed) / sizes).sum(axis=1)) >= seen - 1e-9
    return float((1 + far.sum()) / (1 + resamples))


def holm(values: Sequence[float]) -> list[float]:
    """P values corrected for their number, in the order given: below 0.05 all hold at 95 %.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
    Journal of Statistics 6, section 3.
    """
    corrected, floor = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        floor = max(floor, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = floor
    return corrected


def square(a: float, b: float, phi: float = 0.0) -> float:
    """The squared length of two deviations that correlate by `phi`."""
    # rounding can take the difference of two like squares below 0
    return max(0.0, a * a - 2 * phi * a * b + b * b)


def limits(middle: float, down: float, up: float, count: int) -> tuple[float, float]:
    """The interval of a mean, from the sum of `count` differences and of their squares each way."""
    low, high = (middle - math.sqrt(down)) / count, (middle + math.sqrt(up)) / count
    return max(-1.0, low), min(1.0, high)


def _sizes(tasks: Sequence[Pairs]) -> list[int]:
    sizes = [counts.n for counts in tasks]
    if not sizes or not all(sizes):
        raise ValueError("a macro difference needs at least one task, and items in each")
    return sizes
