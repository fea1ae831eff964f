"""Tracking shuffled objects, three objects: who holds what after three swaps?

The task ``tracking_shuffled_objects`` of BIG-bench (Srivastava et al., *Beyond the Imitation Game*,
arXiv 2206.04615), with the answer choices written as by Ho et al., *Large Language Models Are
Reasoning Teachers* (arXiv 2212.10071). As published: five scenarios of ten objects each (the gifts
include three balls, and the article before a vowel stays "a"), three people, three swaps of which
no two in a row are between the same pair, options in starting order. Unlike the published set,
which asks about all three people of each story and so shares stories between splits, every row
here draws its own story.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Any

from stages.data.draw import distinct
from stages.data.shuffled_solutions import LETTERS, ORDER, PEOPLE, phrases
from stages.data.solutions import worked


@dataclass(frozen=True)
class Scenario:
    """One published story: its sentences and what can be held in it."""

    opening: str
    holds: str
    middle: str
    swap: str
    asked: str
    objects: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


SCENARIOS = (
    Scenario(
        "are dancers at a square dance. At the start of a song, they each have a partner",
        "is dancing with",
        "Throughout the song, the dancers often trade partners",
        "switch partners",
        "At the end of the dance, {person} is dancing with",
        _words("Helga, Izzi, Jamie, Karl, Lola, Melissa, Ophelia, Patrick, Rodrigo, Sam"),
    ),
    Scenario(
        "are on the same team in a soccer match. At the start of the match, they are each "
        "assigned to a position",
        "is playing",
        "As the game progresses, pairs of players occasionally swap positions",
        "trade positions",
        "At the end of the match, {person} is playing",
        _words(
            "benchwarmer, center midfielder, cheerleader, fullback, goalkeeper, left midfielder, "
            "left winger, right midfielder, right winger, striker"
        ),
    ),
    Scenario(
        "are friends and avid readers who occasionally trade books. At the start of the semester, "
        "they each buy one new book",
        "gets",
        "As the semester proceeds, they start trading around the new books",
        "swap books",
        "At the end of the semester, {person} has",
        _words(
            "Catch-22, Frankenstein, Hound of the Baskervilles, Lolita, Moby Dick, "
            "The Fellowship of the Ring, The Great Gatsby, The Odyssey, The Pearl, Ulysses"
        ),
    ),
    Scenario(
        "are playing a game. At the start of the game, they are each holding a ball",
        "has a",
        "As the game progresses, pairs of players trade balls",
        "swap balls",
        "At the end of the game, {person} has the",
        _words(
            "black ball, blue ball, brown ball, green ball, orange ball, pink ball, purple ball, "
            "red ball, white ball, yellow ball"
        ),
    ),
    Scenario(
        "are holding a white elephant gift exchange. At the start of the event, they are each "
        "holding a present of a different color",
        "has a",
        "As the event progresses, pairs of people swap gifts",
        "swap their gifts",
        "At the end of the event, {person} has the",
        _words(
            "black ball, blue present, brown present, green present, orange ball, pink ball, "
            "purple present, red present, white present, yellow present"
        ),
    ),
)


def generate(seed: int, count: int) -> list[dict[str, Any]]:
    """Distinct questions with options, the gold letter and the worked solutions of each strategy.

    Args:
        seed: Decides every row.
        count: How many rows; fewer come back when the questions run out.
    """
    return distinct(seed, count, _draw)


def ask(
    scenario: Scenario, start: Sequence[str], swaps: Sequence[tuple[str, str]], person: str
) -> str:
    """The published wording of one question."""
    holding = [f"{who} {scenario.holds} {what}" for who, what in zip(PEOPLE, start, strict=True)]
    moves = " ".join(
        f"{when}, {one} and {other} {scenario.swap}."
        for when, (one, other) in zip(ORDER, swaps, strict=True)
    )
    choices = " ".join(f"({at}) {what}." for at, what in zip(LETTERS, start, strict=True))
    return (
        f"{_and(PEOPLE)} {scenario.opening}: {_and(holding)}. \n\n{scenario.middle}. {moves} "
        f"{scenario.asked.format(person=person)} \n"
        f"Which choice is true ? Answer Choices: {choices}"
    )


def _and(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _draw(rng: Random) -> dict[str, Any]:
    scenario = rng.choice(SCENARIOS)
    start = rng.sample(scenario.objects, len(PEOPLE))
    pairs: list[tuple[str, str]] = []
    for _ in ORDER:
        pairs.append(rng.choice([p for p in combinations(PEOPLE, 2) if p not in pairs[-1:]]))
    swaps = [(one, other) if rng.random() < 0.5 else (other, one) for one, other in pairs]
    person = rng.choice(PEOPLE)

    states = [dict(zip(PEOPLE, start, strict=True))]
    for one, other in swaps:
        last = states[-1]
        states.append({**last, one: last[other], other: last[one]})
    answer = LETTERS[start.index(states[-1][person])]
    question, end = ask(scenario, start, swaps, person), f"The answer is {answer}."
    solutions = worked(question, end, phrases(states, swaps, person))
    return {"question": question, "options": start, "answer": answer, "worked": solutions}
