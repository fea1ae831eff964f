"""Worked solutions of tracking shuffled objects, in several wordings and orders of the work."""

from __future__ import annotations

from collections.abc import Sequence

from stages.data.draw import listed
from stages.data.solutions import Phrases

PEOPLE = ("Alice", "Bob", "Claire")
LETTERS = "ABC"
ORDER = ("First", "Then", "Finally")

State = dict[str, str]
Swaps = Sequence[tuple[str, str]]


def phrases(states: Sequence[State], swaps: Swaps, person: str) -> Phrases:
    """By strategy, the phrases of each stretch of a solution; see `worked`.

    Args:
        states: Who holds what, at the start and after each swap.
        swaps: Who swapped, in order.
        person: Who is asked about.
    """
    result = states[-1][person]
    shown = [", ".join(f"{who}: {what}" for who, what in state.items()) for state in states]
    bare = [", ".join(state.values()) for state in states]
    path = _back(swaps, person)
    pairs = ", ".join(f"{one}-{other}" for one, other in swaps)
    return {
        "step_by_step": [_steps(states, swaps, person)],
        "explain_then_answer": [
            [
                _story(states, swaps, "{when} {one} and {other} swap, so {one} has {a} and "
                       "{other} has {b}."),
                _story(states, swaps, "{when} {a} goes to {one} and {b} to {other}."),
                _story(states, swaps, "{when} {one} takes {a} from {other}, who gets {b}."),
            ],
            [
                f"Nothing else changes, so {person} ends with {result}.",
                f"After that {person} is left with {result}.",
                f"That is all, and it leaves {result} with {person}.",
            ],
        ],
        "recall_then_generate": [
            [
                "A swap exchanges two holders and leaves the third, so a holder can be followed "
                "back.",
                "Whoever is not named in a swap keeps what they have, so one can go backwards.",
                "To know what somebody has at the end, ask who had it before each swap.",
            ],
            [
                f"From the last swap to the first: {', '.join(path)}. "
                f"{path[-1]} starts with {result}.",
                f"{' from '.join(path)}. At the start {path[-1]} has {result}.",
                f"Forwards it goes {' to '.join(reversed(path))}, beginning with {result}.",
            ],
        ],
        "recall_reason_generate": [
            [
                "Recall: a swap exchanges what two people have.",
                "Recall: two people who swap hand each other what they have.",
                "Recall: in a swap two things change hands and the third stays.",
            ],
            [
                f"Reason: {listed(PEOPLE)} have {'; then '.join(bare)}. So {person} has {result}.",
                f"Reason: it begins with {shown[0]} and ends with {shown[-1]}, by way of "
                f"{' and '.join(shown[1:-1])}. {person} has {result}.",
                f"Reason: {result} is first with {path[-1]}, then with "
                f"{', then with '.join(reversed(path[:-1]))}.",
            ],
        ],
        "extract_then_generate": [
            [
                f"Start: {shown[0]}. Swaps: {pairs}. Asked: {person}.",
                f"Asked is {person}. Swaps: {pairs}. At the start: {shown[0]}.",
                f"In the order of {listed(PEOPLE)}: {bare[0]}. Swapped: {pairs}. Who? {person}.",
            ],
            [
                f"Result: {shown[-1]}.",
                f"After each: {'; '.join(bare[1:])}. So {result}.",
                f"Held in turn: {'; '.join(state[person] for state in states)}.",
            ],
        ],
    }  # fmt: skip


def _steps(states: Sequence[State], swaps: Swaps, person: str) -> list[str]:
    result, path = states[-1][person], _back(swaps, person)
    shown = [", ".join(f"{who}: {what}" for who, what in state.items()) for state in states]
    letter = dict(zip(states[0].values(), LETTERS, strict=True))
    coded = [" ".join(letter[what] for what in state.values()) for state in states]
    acts = [f"{one} and {other}" for one, other in swaps]
    kept = [next(who for who in PEOPLE if who not in pair) for pair in swaps]
    return [
        f"Start: {shown[0]}. "
        + " ".join(f"{act} swap: {now}." for act, now in zip(acts, shown[1:], strict=True))
        + f" At the end {person}: {result}.",
        f"At first {shown[0]}. "
        + _story(states, swaps, "{when} {one} gets {a}, {other} gets {b}.")
        + f" {person} has {result}.",
        f"Who has it, from the end back: {person}"
        + "".join(
            f"; before {act} swapped, {who}"
            for act, who in zip(reversed(acts), path[1:], strict=True)
        )
        + f". {path[-1]} starts with {result}.",
        f"Order: {', '.join(PEOPLE)}. Start: {', '.join(states[0].values())}. "
        + " ".join(
            f"{number}. {act}: {', '.join(state.values())}."
            for number, (act, state) in enumerate(zip(acts, states[1:], strict=True), 1)
        )
        + f" {person} has {result}.",
        ", ".join(f"{name} is {what}" for what, name in letter.items())
        + f". Start: {coded[0]}. "
        + " ".join(f"{act}: {now}." for act, now in zip(acts, coded[1:], strict=True))
        + f" {person} has {letter[result]}, which is {result}.",
        f"Start: {shown[0]}. "
        + " ".join(
            f"{act} swap, {who} keeps {state[who]}: {now}."
            for act, who, state, now in zip(acts, kept, states[1:], shown[1:], strict=True)
        )
        + f" So {person} has {result}.",
        "Only what is asked for: "
        + " ".join(
            f"{when}, {person} has {state[person]}."
            for when, state in zip(
                ["At first", *(f"After {a} swap" for a in acts)], states, strict=True
            )
        ),
        f"Follow {result}. It starts with {path[-1]}. "
        + " ".join(
            f"{when} {act} swap: it is with {who}."
            for when, act, who in zip(ORDER, acts, reversed(path[:-1]), strict=True)
        ),
    ]


def _story(states: Sequence[State], swaps: Swaps, sentence: str) -> str:
    return " ".join(
        sentence.format(when=when, one=one, other=other, a=state[one], b=state[other])
        for when, (one, other), state in zip(ORDER, swaps, states[1:], strict=True)
    )


def _back(swaps: Swaps, person: str) -> list[str]:
    """Who held what the person ends with: at the end, then before each swap, the last one first."""
    path = [person]
    for one, other in reversed(swaps):
        path.append({one: other, other: one}.get(path[-1], path[-1]))
    return path
