"""Choose, for one task, the strategy that serves the student best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.scoring.stats import wilson


@dataclass(frozen=True)
class Evidence:
    """How the student did on the probe items under one strategy."""

    strategy: str
    correct: int
    n: int
    accuracy: float
    ci_low: float
    ci_high: float
    mean_tokens: float

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
    outcomes: Mapping[str, Sequence[tuple[bool, int]]], chance: float, fallback: str
) -> Choice:
    """The most accurate strategy; among equals the tersest, then the first given.

    Args:
        outcomes: By strategy, whether each probe item was right and how many tokens it took.
        chance: Accuracy of guessing on this task.
        fallback: The strategy to take when no strategy is above chance, where the order of the
            accuracies is noise.
    """
    evidence = tuple(_evidence(strategy, items) for strategy, items in outcomes.items())
    if not any(item.ci_low > chance for item in evidence):
        return Choice(fallback, _floor_reason(evidence, chance, fallback), True, evidence)
    ranked = sorted(evidence, key=lambda item: (-item.accuracy, item.mean_tokens))
    return Choice(ranked[0].strategy, _reason(ranked), False, evidence)


def _evidence(strategy: str, items: Sequence[tuple[bool, int]]) -> Evidence:
    correct, n = sum(1 for right, _ in items if right), len(items)
    low, high = wilson(correct, n)
    accuracy = correct / n if n else 0.0
    tokens = sum(count for _, count in items) / n if n else 0.0
    return Evidence(strategy, correct, n, accuracy, low, high, tokens)


def _figures(evidence: Sequence[Evidence]) -> str:
    first, *rest = map(str, evidence)
    return ", ".join([first, *(text.replace(" solves ", " ", 1) for text in rest)])


def _reason(ranked: Sequence[Evidence]) -> str:
    reason = _figures(ranked)
    best = ranked[0]
    level = [item for item in ranked[1:] if item.accuracy == best.accuracy]
    if not level:
        return reason
    if level[0].mean_tokens == best.mean_tokens:
        return f"{reason}; of equals, {best.strategy} comes first in the task"
    tokens = f"{best.mean_tokens:.0f} tokens against {level[0].mean_tokens:.0f}"
    return f"{reason}; of equals, {best.strategy} is the shortest ({tokens})"


def _floor_reason(evidence: Sequence[Evidence], chance: float, fallback: str) -> str:
    if not evidence:
        return f"no strategy was probed, so the fallback {fallback} is taken"
    return (
        f"no strategy is surely above guessing ({100 * chance:.0f} %), so the probe cannot rank "
        f"them and the fallback {fallback} is taken: {_figures(evidence)}"
    )
