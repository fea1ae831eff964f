"""Several worked solutions of one question, put together from phrases that say the same.

They stand for the D samples of a teacher at a temperature above 0: diverse reasoning, Ho et al.,
*Large Language Models Are Reasoning Teachers* (arXiv 2212.10071), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

COUNT = 8
"""Solutions of a question under one strategy, where its phrases give as many."""

Phrases = Mapping[str, Sequence[Sequence[str]]]
"""By strategy and stretch of a solution, the phrases that can stand there."""


def worked(question: str, end: str, phrases: Phrases) -> dict[str, Any]:
    """Distinct solutions by strategy, all finishing with `end`; under ``direct`` it stands alone.

    The first solution takes the first phrase of each stretch. Which of the others follow, and in
    which order, is drawn by the question: were it the same for all rows, two samples of each would
    only ever show two manners.
    """
    rng = Random(question)
    made: dict[str, Any] = {"direct": end}
    for strategy, stretches in phrases.items():
        first, *others = dict.fromkeys(" ".join(chosen) for chosen in product(*stretches, (end,)))
        made[strategy] = [first, *rng.sample(others, min(COUNT - 1, len(others)))]
    return made
