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
from stages.data.solutions import Phrases, worked


def generate(seed: int, count: int, *, people: int = 4) -> list[dict[str, Any]]:
    """Distinct questions with gold answers and the worked solutions of each strategy.

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
    question = (
        f"A coin is heads up. {told} Is the coin still heads up? "
        'Note that "flip" here means "reverse".'
    )
    end = f"The answer is {answer}."
    solutions = worked(question, end, _phrases(acts, flippers))
    return {"question": question, "answer": answer, "worked": solutions}


def _phrases(acts: list[tuple[str, bool]], flippers: list[str]) -> Phrases:
    """By strategy, the phrases of each stretch of a solution; see `worked`."""
    count = 0
    steps: list[tuple[str, bool, int]] = []
    for name, flips in acts:
        count += flips
        steps.append((f"{name} {'flips' if flips else 'does not flip'}", flips, count))
    # The state of each step is said in the words of the answer, which the last step then is.
    told = " ".join(f"{act}: {_odd(done, 'no', 'yes')}." for act, _, done in steps)
    seen = " ".join(f"{act}: {_odd(done, 'tails', 'heads')}." for act, _, done in steps)
    turns = " ".join(
        f"{name} makes it {_odd(number, 'tails', 'heads')}."
        for number, name in enumerate(flippers, 1)
    )
    calm = [name for name, flips in acts if not flips]
    left = f"{listed(calm)} {_one(calm, 'leaves', 'leave')} it alone." if calm else "All flip it."
    side, parity = _odd(count, "tails", "heads"), _odd(count, "odd", "even")
    stays = _odd(count, "so it is reversed", "so it is as it was")
    number = f"{count} {_one(flippers, 'flip', 'flips')}"
    story = "Nobody flips the coin"
    if flippers:
        story = f"Only {listed(flippers)} {_one(flippers, 'flips', 'flip')} the coin"
    who = ", ".join(flippers) or "nobody"
    facts = ", ".join(f"{name} {'yes' if flips else 'no'}" for name, flips in acts)
    still = _odd(count, "Still heads up? No.", "Still heads up? Yes.")
    return {
        "step_by_step": [
            [
                f"Is the coin heads up? At first: yes. {told}",
                f"The coin starts heads. {seen} {still}",
                "Count the flips. "
                + " ".join(f"{act}: {done}." for act, _, done in steps)
                + f" {count} is {parity}, {stays}.",
                "Flips so far, even or odd? "
                + " ".join(f"{act}: {_odd(done, 'odd', 'even')}." for act, _, done in steps)
                + f" It is {parity}, {stays}.",
                f"Heads at first. {f'{turns} ' if turns else ''}{left} {still}",
                f"Those who flip: {who}. That is {number}, {parity}, {stays}.",
                f"{left} The others make {number}. {parity.capitalize()}, {stays}.",
                "From the last person back: "
                + ", ".join(f"{act}" for act, _, _ in reversed(steps))
                + f". That is {number} in all, {parity}, {stays}.",
            ]
        ],
        "explain_then_answer": [
            [
                f"{story}, which makes {number}.",
                f"{story}. In all that is {number}.",
                f"The coin is turned over {count} {_one(flippers, 'time', 'times')}, by {who}.",
            ],
            [
                f"Every two flips cancel out, and {count} is {parity}, so the coin ends {side} up.",
                f"Two flips undo each other; {count} is {parity}, so it shows {side}.",
                f"An {parity} number of flips leaves it {side} up.",
            ],
        ],
        "recall_then_generate": [
            [
                "An even number of flips leaves a coin as it was, an odd number reverses it.",
                "Only whether the number of flips is even or odd counts for a coin.",
                "A second flip undoes the first, so flips matter only when one is left over.",
            ],
            [
                f"There {_one(flippers, 'is', 'are')} {number}, {parity}, so the coin is {side} "
                "up.",
                f"Flipped by {who}: {number}. That is {parity}, and it shows {side}.",
                f"Counted here: {facts}. It is {parity}, so {side}.",
            ],
        ],
        "recall_reason_generate": [
            [
                "Recall: a flip turns heads into tails and tails into heads.",
                "Recall: to flip is to show the other side.",
                "Recall: a coin has two sides, and a flip swaps them.",
            ],
            [
                f"Reason: heads at first. {seen} So the coin is {side} up.",
                f"Reason: heads at first. {f'{turns} ' if turns else ''}The rest changes nothing: "
                f"{side}.",
                f"Reason: {number}, by {who}. {parity.capitalize()}, so {side} from heads.",
            ],
        ],
        "extract_then_generate": [
            ["Start: heads.", "At first: heads up.", "Given: a coin that shows heads."],
            [
                f"Flips: {facts}. That makes {number}, {parity}, so {side}.",
                f"Flipped by: {who}. In all {number}, {parity}: {side}.",
                f"Not flipped by: {', '.join(calm) or 'nobody'}. Leaves {number}, {parity}: "
                f"{side}.",
            ],
        ],
    }


def _odd(number: int, odd: str, even: str) -> str:
    return odd if number % 2 else even


def _one(things: list[str], one: str, more: str) -> str:
    return one if len(things) == 1 else more
