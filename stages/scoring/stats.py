"""Intervals and tests for accuracies: what a difference between two runs is worth."""

from __future__ import annotations

import math
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


def chance(answer_type: str, options: int) -> float:
    """Accuracy of guessing, given how many options an item has."""
    if answer_type == "yes_no":
        return 0.5
    return 1 / options if answer_type == "choice" and options > 0 else 0.0
