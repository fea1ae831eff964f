"""Coin flip: is the coin still heads up after each person flips it or leaves it alone?

The symbolic task of Wei et al., *Chain-of-Thought Prompting Elicits Reasoning in Large Language
Models* (arXiv 2201.11903), in the four-person wording of Kojima et al., *Large Language Models are
Zero-Shot Reasoners* (arXiv 2205.11916), which Ho et al., *Large Language Models Are Reasoning
Teachers* (arXiv 2212.10071) reuse: each person flips with probability one half, names are drawn at
random. Names here come from the 1990 US Census, and no name occurs twice in a question.
"""

from __future__ import annotations

from random import Random
from typing import Any

from stages.data.draw import check_range, distinct, listed
from stages.data.names import names


def generate(seed: int, count: int, *, people: int = 4) -> list[dict[str, Any]]:
    """Distinct questions with gold answers and a worked solution for each strategy.

    Args:
        seed: Decides every row.
        count: How many rows; fewer come back when the questions run out.
        people: How many people meet the coin.
    """
    check_range("coin_flip", "people", people, 1, len(names()))

    def draw(rng: Random) -> dict[str, Any]:
        who = rng.sample(names(), people)
        return _row([(name, rng.random() < 0.5) for name in who])

    return distinct(seed, count, draw)


def _row(acts: list[tuple[str, bool]]) -> dict[str, Any]:
    told = " ".join(
        f"{name} flips the coin." if flips else f"{name} does not flip the coin."
        for name, flips in acts
    )
    flippers = [name for name, flips in acts if flips]
    answer = "no" if len(flippers) % 2 else "yes"
    return {
        "question": f"A coin is heads up. {told} Is the coin still heads up? "
        'Note that "flip" here means "reverse".',
        "answer": answer,
        "worked": _worked(acts, flippers, f"The answer is {answer}."),
    }


def _worked(acts: list[tuple[str, bool]], flippers: list[str], end: str) -> dict[str, str]:
    heads = True
    seen, told = [], []
    for name, flips in acts:
        heads ^= flips
        act = f"{name} {'flips' if flips else 'does not flip'}"
        seen.append(f"{act}: {'heads' if heads else 'tails'}.")
        told.append(f"{act}: {'yes' if heads else 'no'}.")
    trace = " ".join(seen)
    side = "heads" if heads else "tails"
    parity = "even" if heads else "odd"
    number = f"{len(flippers)} {'flip' if len(flippers) == 1 else 'flips'}"

    if flippers:
        verb = "flips" if len(flippers) == 1 else "flip"
        story = f"Only {listed(flippers)} {verb} the coin"
    else:
        story = "Nobody flips the coin"
    facts = ", ".join(f"{name} {'yes' if flips else 'no'}" for name, flips in acts)

    return {
        "direct": end,
        # The state of each step is said in the words of the answer, which the last step then is.
        "step_by_step": f"Is the coin heads up? At first: yes. {' '.join(told)} {end}",
        "explain_then_answer": f"{story}, which makes {number}. Every two flips cancel out, "
        f"and {len(flippers)} is {parity}, so the coin ends {side} up. {end}",
        "recall_then_generate": "An even number of flips leaves a coin as it was, an odd number "
        f"reverses it. There {'is' if len(flippers) == 1 else 'are'} {number}, {parity}, "
        f"so the coin is {side} up. {end}",
        "recall_reason_generate": "Recall: a flip turns heads into tails and tails into heads. "
        f"Reason: heads at first. {trace} So the coin is {side} up. {end}",
        "extract_then_generate": f"Start: heads. Flips: {facts}. "
        f"That makes {number}, {parity}, so {side}. {end}",
    }
