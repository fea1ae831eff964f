"""Choose, for one task, the strategy that serves the student best.

All strategies answer the same items, so that what is uncertain is how often each pattern of right
and wrong answers would come up among further items. Beside the items seen stand `IMAGINED` ones,
of which every pattern is as likely as any other: for two strategies that is one item right under
both, one wrong under both, and one right under the one or the other alone. Without them a single
item would prove that one strategy is better.

Source: Ferguson 1973, "A Bayesian Analysis of Some Nonparametric Problems", Annals of Statistics 1,
for the distribution over patterns; its limit without imagined items is the bootstrap of Rubin 1981,
"The Bayesian Bootstrap", Annals of Statistics 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

from stages.scoring.stats import wilson

IMAGINED = 4.0
TIE = 0.2
DRAWS = 10_000
SEED = 0
_CHUNK = 2_000
_PARTS = 32  # into which the imagined items are broken; (4/5)^32 of their weight is left out


class Outcome(NamedTuple):
    """One answer: whether it is right, its length in tokens, whether the limit ended it."""

    correct: bool
    tokens: int
    cut_short: bool = False


@dataclass(frozen=True)
class Evidence:
    """How the student did on the probe items under one strategy.

    Args:
        p_best: Probability that this is the best of the strategies, to about 0.01.
        p_better: Probability that this is better than the one that is most probably best.
        tied: Whether that is at least ``select.tie``; the most probably best is tied as well.
        cut_short: Answers that the limit in tokens ended.
    """

    strategy: str
    correct: int
    n: int
    accuracy: float
    ci_low: float
    ci_high: float
    mean_tokens: float
    cut_short: int
    p_best: float
    p_better: float
    tied: bool

    def __str__(self) -> str:
        interval = f"{100 * self.ci_low:.0f} to {100 * self.ci_high:.0f} %"
        return f"{self.strategy} solves {self.correct} of {self.n} ({interval})"


@dataclass(frozen=True)
class Choice:
    """The strategy chosen, and why.

    Args:
        strategy: The strategy's id.
        reason: One sentence with the figures that decided.
        at_floor: Whether no strategy beat guessing, so that the fallback was taken.
        evidence: One entry per strategy, in the order given.
    """

    strategy: str
    reason: str
    at_floor: bool
    evidence: tuple[Evidence, ...]


def choose(
    outcomes: Mapping[str, Mapping[str, Outcome]], chance: float, fallback: str, tie: float = TIE
) -> Choice:
    """The most probably best strategy, or the tersest of those that cannot be told from it.

    Of those as terse, the more accurate, then the first given.

    Args:
        outcomes: By strategy, the outcome of each probe item by its id.
        chance: Accuracy of guessing on this task.
        fallback: The strategy to take when no strategy is above chance, where the order of the
            accuracies is noise.
        tie: A strategy is tied with the most probably best one when the probability that it is
            the better of the two is at least this.

    Raises:
        ValueError: The strategies did not answer the same items.
    """
    leader, evidence = _evidence(outcomes, tie)
    if not any(item.ci_low > chance for item in evidence):
        return Choice(fallback, _floor_reason(evidence, chance, fallback), True, evidence)
    best = next(item for item in evidence if item.strategy == leader)
    chosen = min(
        (item for item in evidence if item.tied),
        key=lambda item: (item.mean_tokens, -item.accuracy),
    )
    return Choice(chosen.strategy, _reason(evidence, best, chosen), False, evidence)


def p_best(right: Mapping[str, Sequence[bool]], draws: int = DRAWS) -> dict[str, float]:
    """Probability that each strategy's accuracy over further items is the highest.

    Args:
        right: By strategy, whether each item was right; the same items in the same order.
        draws: From the distribution over patterns; the error is about 0.5 / sqrt(draws). They do
            not depend on the order of items or of strategies.
    """
    if not right:
        return {}
    import numpy as np

    names = sorted(right)
    table = np.array([right[name] for name in names], dtype=np.int8).T
    patterns, counts = np.unique(table, axis=0, return_counts=True)
    generator = np.random.default_rng(SEED)
    wins = np.zeros(len(names))
    for start in range(0, draws, _CHUNK):
        size = min(_CHUNK, draws - start)
        scores = generator.standard_gamma(counts, (size, len(counts))) @ patterns
        cuts = generator.beta(1, IMAGINED, (size, _PARTS))
        parts = cuts * np.cumprod(np.hstack([np.ones((size, 1)), 1 - cuts[:, :-1]]), axis=1)
        drawn = generator.integers(0, 2, (size, _PARTS, len(names)), dtype=np.int8)
        weight = generator.standard_gamma(IMAGINED, (size, 1))
        scores = scores + weight * np.einsum("dp,dps->ds", parts, drawn)
        wins += np.bincount(scores.argmax(axis=1), minlength=len(names))
    return {name: float(count) / draws for name, count in zip(names, wins, strict=True)}


def p_better(gained: int, lost: int) -> float:
    """Probability that one strategy is better than another, exactly.

    Only items that are right under one of the two alone say anything of it. With one imagined item
    on either side their share has the distribution Beta(gained + 1, lost + 1), of which this is
    what lies above one half: Bin(gained + lost + 1, 1/2) is at most `gained`.
    """
    trials = gained + lost + 1
    return sum(comb(trials, k) for k in range(gained + 1)) / (1 << trials)


def _evidence(
    outcomes: Mapping[str, Mapping[str, Outcome]], tie: float
) -> tuple[str, tuple[Evidence, ...]]:
    """The most probably best strategy, and all of them compared with it."""
    items = list(next(iter(outcomes.values()), ()))
    for strategy, answered in outcomes.items():
        if answered.keys() != set(items):
            raise ValueError(f"{strategy} did not answer the same items as the other strategies")
    right = {name: [answered[i].correct for i in items] for name, answered in outcomes.items()}
    chances = p_best(right) if items else dict.fromkeys(right, 0.0)
    leader = max(chances, key=lambda name: (chances[name], sum(right[name])), default="")
    made = []
    for name, answered in outcomes.items():
        correct, n = sum(right[name]), len(items)
        low, high = wilson(correct, n)
        pairs = list(zip(right[name], right[leader], strict=True))
        better = p_better(pairs.count((True, False)), pairs.count((False, True)))
        made.append(
            Evidence(
                strategy=name, correct=correct, n=n, accuracy=correct / n if n else 0.0,
                ci_low=low, ci_high=high,
                mean_tokens=sum(one.tokens for one in answered.values()) / n if n else 0.0,
                cut_short=sum(one.cut_short for one in answered.values()),
                p_best=round(chances[name], 3), p_better=round(better, 3),
                tied=name == leader or better >= tie,
            )
        )  # fmt: skip
    return leader, tuple(made)


def _figures(evidence: Sequence[Evidence]) -> str:
    first, *rest = map(str, evidence)
    return ", ".join([first, *(text.replace(" solves ", " ", 1) for text in rest)])


def _reason(evidence: Sequence[Evidence], best: Evidence, chosen: Evidence) -> str:
    ranked = sorted(evidence, key=lambda item: (item is not best, -item.accuracy))
    figures = _figures(ranked)
    others = [item for item in ranked if item.tied and item is not chosen]
    if not others:
        return f"it is the best with a probability of {100 * best.p_best:.0f} %: {figures}"
    level = " and ".join(item.strategy for item in others)
    if chosen is best:
        return (
            f"it is the best with a probability of {100 * best.p_best:.0f} %, and {level}, which "
            f"cannot be told from it, {'are' if len(others) > 1 else 'is'} no shorter: {figures}"
        )
    length = "no longer and no less accurate"
    if chosen.mean_tokens < best.mean_tokens:
        tokens = f"{chosen.mean_tokens:.0f} tokens against {best.mean_tokens:.0f}"
        length = f"the shortest such ({tokens})"
    return (
        f"it cannot be told from {best.strategy}, which is the best with a probability of "
        f"{100 * best.p_best:.0f} %, and is {length}: {figures}"
    )


def _floor_reason(evidence: Sequence[Evidence], chance: float, fallback: str) -> str:
    if not evidence:
        return f"no strategy was probed, so the fallback {fallback} is taken"
    return (
        f"no strategy is surely above guessing ({100 * chance:.0f} %), so the probe cannot rank "
        f"them and the fallback {fallback} is taken: {_figures(evidence)}"
    )
