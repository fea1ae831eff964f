"""Several samples of one item: pass@k, avg@k and maj@k from n samples, k of them at most n.

Each is the mean over all ways to choose k of the n samples, which is unbiased for a model that is
asked k times and wastes no sample. The score of a task is the mean over its items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb


def pass_at_k(n: int, right: int, k: int) -> float:
    """Chance that at least one of k samples is right, when `right` of `n` were.

    Raises:
        ValueError: `k` is not between 1 and `n`, or `right` not between 0 and `n`.

    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", section 2.1,
    equation 1. Integers of any size stand where the paper multiplies floats for stability.
    """
    _check(n, right, k)
    return (comb(n, k) - comb(n - right, k)) / comb(n, k)


def avg_at_k(n: int, right: int, k: int) -> float:
    """Share of right ones among k samples, when `right` of `n` were: the same for every k.

    Raises:
        ValueError: `k` is not between 1 and `n`, or `right` not between 0 and `n`.

    Source: DeepSeek-AI 2025, "DeepSeek-R1", section 3, where it is called pass@1.
    """
    _check(n, right, k)
    return right / n


def majority(answers: Sequence[str | None]) -> str | None:
    """The answer given most often; among tied ones, the one that came first.

    Args:
        answers: What was extracted from each sample, in the order sampled, written alike where it
            means the same. None, an unanswered sample, does not vote.

    Returns:
        None when no sample has an answer.

    Source: Wang et al. 2022, "Self-Consistency Improves Chain of Thought Reasoning in Language
    Models", section 2: the unweighted sum, which leaves ties open.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    # a Counter keeps the order of first votes, and max takes the first of equals
    return max(votes, key=lambda answer: votes[answer]) if votes else None


def tied(answers: Sequence[str | None]) -> bool:
    """Whether another answer was given as often as the `majority`, so that order decided."""
    most = Counter(answer for answer in answers if answer is not None).most_common(2)
    return len(most) == 2 and most[0][1] == most[1][1]


def maj_at_k(answers: Sequence[str | None], right: Sequence[bool], k: int) -> float:
    """Chance that the majority of k samples is right; see `majority` for ties and silence.

    Computed exactly: every choice of k samples is counted by its winner, that winner's first
    sample and its number of votes.

    Args:
        answers: The answers of n samples, in the order sampled.
        right: Whether each is right; of length n.
        k: Samples that vote, from 1 to n.

    Raises:
        ValueError: The lengths differ, `k` is out of range, or one answer is both right and wrong.
    """
    n = len(answers)
    if len(right) != n:
        raise ValueError(f"{n} answers, and {len(right)} verdicts")
    _check(n, 0, k)
    given: dict[str, list[int]] = {}
    for place, answer in enumerate(answers):
        if answer is not None:
            given.setdefault(answer, []).append(place)
    for answer, places in given.items():
        if len({bool(right[place]) for place in places}) > 1:
            raise ValueError(f"the answer {answer!r} is both right and wrong")
    silent = n - sum(map(len, given.values()))
    won = 0
    for winner, places in given.items():
        if not right[places[0]]:
            continue
        others = [theirs for answer, theirs in given.items() if answer != winner]
        for index, first in enumerate(places):
            rest = len(places) - index - 1
            rivals = [(len(theirs), sum(1 for i in theirs if i > first)) for theirs in others]
            for votes in range(1, min(rest + 1, k) + 1):
                won += comb(rest, votes - 1) * _ways(rivals, silent, votes, k - votes, n)
    return won / comb(n, k)


def _ways(rivals: Sequence[tuple[int, int]], silent: int, votes: int, k: int, n: int) -> int:
    """Ways to choose k samples beside a winner's with that many votes.

    The coefficient of x^k in the product of one polynomial an answer, whose coefficient of x^i
    counts its ways to have i votes. A polynomial is one integer here, `n` + 1 bits a coefficient
    (none is above 2^n), so that Python multiplies it at once.

    Args:
        rivals: Of each other answer, its samples, and how many come after the winner's first.
        silent: Samples without an answer, any of which may be chosen.
        votes: Of the winner. A rival has fewer, or as many that all come later.
        k: Samples to choose.
        n: Samples there are.
    """
    bits = n + 1
    below = (1 << (k + 1) * bits) - 1
    ways = sum(comb(silent, chosen) << chosen * bits for chosen in range(min(silent, k) + 1))
    for size, later in rivals:
        fits = sum(
            comb(size, chosen) << chosen * bits for chosen in range(min(votes - 1, size, k) + 1)
        )
        if votes <= k and votes <= later:
            fits |= comb(later, votes) << votes * bits
        ways = ways * fits & below
    return ways >> k * bits


def _check(n: int, right: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}, and there are {n} samples")
    if not 0 <= right <= n:
        raise ValueError(f"{right} right of {n} samples")
