"""Intervals and tests for accuracies: what a difference between two runs is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion: honest at 0 and at 1, and for small n.

    Both may be fractions, as effective sizes are; see `stages.scoring.clustered`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = successes / n, z * z / n
    centre = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # At the ends rounding would leave a bound just beside the exact 0 or 1.
    low = 0.0 if successes == 0 else (centre - half) / (1 + spread)
    high = 1.0 if successes == n else (centre + half) / (1 + spread)
    return max(0.0, low), min(1.0, high)


def macro(
    groups: Sequence[Sequence[bool]],
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean of the groups' accuracies, with a percentile bootstrap interval within groups.

    Resampling n outcomes with replacement is a binomial draw, which is what is drawn. A group
    that is all right or all wrong adds no width: read its own Wilson interval beside this one.

    Raises:
        ValueError: There is no group, or one without items.
    """
    if not groups or not all(groups):
        raise ValueError("a macro average needs at least one group, and items in each")
    import numpy as np

    sizes = np.array([len(group) for group in groups])
    shares = np.array([sum(map(bool, group)) for group in groups]) / sizes
    generator = np.random.default_rng(seed)
    means = (generator.binomial(sizes, shares, (resamples, len(groups))) / sizes).mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(shares.mean()), float(low), float(high)


def chance(answer_type: str, options: int) -> float:
    """Accuracy of guessing, given how many options an item has."""
    if answer_type == "yes_no":
        return 0.5
    return 1 / options if answer_type == "choice" and options > 0 else 0.0
