from __future__ import annotations

import re
from collections import Counter

import pytest

from stages.data.shuffled_objects import SCENARIOS, Scenario, ask, generate
from tests.solutions import first

PUBLISHED = [
    "Alice, Bob, and Claire are dancers at a square dance. At the start of a song, they each have "
    "a partner: Alice is dancing with Sam, Bob is dancing with Helga, and Claire is dancing with "
    "Karl. \n\nThroughout the song, the dancers often trade partners. First, Claire and Alice "
    "switch partners. Then, Bob and Alice switch partners. Finally, Claire and Bob switch "
    "partners. At the end of the dance, Alice is dancing with \nWhich choice is true ? "
    "Answer Choices: (A) Sam. (B) Helga. (C) Karl.",
    "Alice, Bob, and Claire are on the same team in a soccer match. At the start of the match, "
    "they are each assigned to a position: Alice is playing striker, Bob is playing left winger, "
    "and Claire is playing benchwarmer. \n\nAs the game progresses, pairs of players occasionally "
    "swap positions. First, Claire and Alice trade positions. Then, Alice and Bob trade positions. "
    "Finally, Claire and Alice trade positions. At the end of the match, Bob is playing \n"
    "Which choice is true ? Answer Choices: (A) striker. (B) left winger. (C) benchwarmer.",
    "Alice, Bob, and Claire are friends and avid readers who occasionally trade books. At the "
    "start of the semester, they each buy one new book: Alice gets Moby Dick, Bob gets The Great "
    "Gatsby, and Claire gets Lolita. \n\nAs the semester proceeds, they start trading around the "
    "new books. First, Claire and Bob swap books. Then, Alice and Claire swap books. Finally, "
    "Alice and Bob swap books. At the end of the semester, Bob has \nWhich choice is true ? "
    "Answer Choices: (A) Moby Dick. (B) The Great Gatsby. (C) Lolita.",
    "Alice, Bob, and Claire are playing a game. At the start of the game, they are each holding a "
    "ball: Alice has a brown ball, Bob has a red ball, and Claire has a purple ball. \n\nAs the "
    "game progresses, pairs of players trade balls. First, Bob and Claire swap balls. Then, Alice "
    "and Claire swap balls. Finally, Alice and Bob swap balls. At the end of the game, Bob has "
    "the \nWhich choice is true ? Answer Choices: (A) brown ball. (B) red ball. (C) purple ball.",
    "Alice, Bob, and Claire are holding a white elephant gift exchange. At the start of the event, "
    "they are each holding a present of a different color: Alice has a blue present, Bob has a "
    "brown present, and Claire has a white present. \n\nAs the event progresses, pairs of people "
    "swap gifts. First, Claire and Alice swap their gifts. Then, Bob and Claire swap their gifts. "
    "Finally, Alice and Bob swap their gifts. At the end of the event, Claire has the \n"
    "Which choice is true ? Answer Choices: (A) blue present. (B) brown present. "
    "(C) white present.",
]


def _read(question: str) -> tuple[list[str], list[tuple[str, str]], str]:
    """Options, swaps and the person asked about, from the text alone."""
    options = re.findall(r"\([A-C]\) ([^.]+)\.", question)
    swaps = re.findall(r"(?:First|Then|Finally), (\w+) and (\w+) ", question)
    asked = re.search(r"At the end of the \w+, (\w+) ", question)
    assert asked is not None
    return options, swaps, asked[1]


@pytest.mark.parametrize(("scenario", "question"), list(zip(SCENARIOS, PUBLISHED, strict=True)))
def test_wording_is_the_published_one(scenario: Scenario, question: str) -> None:
    options, swaps, person = _read(question)
    assert ask(scenario, options, swaps, person) == question


def test_first_row_of_a_seed() -> None:
    row = generate(1, 1)[0]
    assert {**row, "worked": first(row)} == {
        "question": "Alice, Bob, and Claire are on the same team in a soccer match. At the start "
        "of the match, they are each assigned to a position: Alice is playing striker, Bob is "
        "playing center midfielder, and Claire is playing goalkeeper. \n\nAs the game progresses, "
        "pairs of players occasionally swap positions. First, Alice and Bob trade positions. Then, "
        "Bob and Claire trade positions. Finally, Alice and Claire trade positions. At the end of "
        "the match, Bob is playing \nWhich choice is true ? Answer Choices: (A) striker. "
        "(B) center midfielder. (C) goalkeeper.",
        "options": ["striker", "center midfielder", "goalkeeper"],
        "answer": "C",
        "worked": {
            "direct": "The answer is C.",
            "step_by_step": "Start: Alice: striker, Bob: center midfielder, Claire: goalkeeper. "
            "Alice and Bob swap: Alice: center midfielder, Bob: striker, Claire: goalkeeper. "
            "Bob and Claire swap: Alice: center midfielder, Bob: goalkeeper, Claire: striker. "
            "Alice and Claire swap: Alice: striker, Bob: goalkeeper, Claire: center midfielder. "
            "At the end Bob: goalkeeper. The answer is C.",
            "explain_then_answer": "First Alice and Bob swap, so Alice has center midfielder and "
            "Bob has striker. Then Bob and Claire swap, so Bob has goalkeeper and Claire has "
            "striker. Finally Alice and Claire swap, so Alice has striker and Claire has center "
            "midfielder. Nothing else changes, so Bob ends with goalkeeper. The answer is C.",
            "recall_then_generate": "A swap exchanges two holders and leaves the third, so a "
            "holder can be followed back. From the last swap to the first: Bob, Bob, Claire, "
            "Claire. Claire starts with goalkeeper. The answer is C.",
            "recall_reason_generate": "Recall: a swap exchanges what two people have. Reason: "
            "Alice, Bob and Claire have striker, center midfielder, goalkeeper; then center "
            "midfielder, striker, goalkeeper; then center midfielder, goalkeeper, striker; then "
            "striker, goalkeeper, center midfielder. So Bob has goalkeeper. The answer is C.",
            "extract_then_generate": "Start: Alice: striker, Bob: center midfielder, Claire: "
            "goalkeeper. Swaps: Alice-Bob, Bob-Claire, Alice-Claire. Asked: Bob. Result: Alice: "
            "striker, Bob: goalkeeper, Claire: center midfielder. The answer is C.",
        },
    }


def test_gold_is_what_the_swaps_lead_to() -> None:
    for row in generate(9, 500):
        options, swaps, person = _read(row["question"])
        assert len(swaps) == 3
        holds = dict(zip(("Alice", "Bob", "Claire"), options, strict=True))
        for who, what in holds.items():
            assert re.search(
                rf"{who} (is dancing with|is playing|gets|has a) {what}[,.]", row["question"]
            )
        for one, other in swaps:
            holds[one], holds[other] = holds[other], holds[one]
        assert row["options"] == options
        assert row["options"]["ABC".index(row["answer"])] == holds[person]
        state = ", ".join(f"{who}: {what}" for who, what in holds.items())
        assert f"swap: {state}. At the end {person}: " in first(row)["step_by_step"]
        assert f" starts with {holds[person]}. " in first(row)["recall_then_generate"]


def test_no_pair_swaps_twice_in_a_row() -> None:
    for row in generate(10, 500):
        pairs = [frozenset(swap) for swap in _read(row["question"])[1]]
        assert pairs[0] != pairs[1] != pairs[2]


def test_answers_scenarios_and_objects_are_spread() -> None:
    rows = generate(11, 1500)
    assert all(430 < count < 570 for count in Counter(row["answer"] for row in rows).values())
    stories = Counter(row["question"].split(".")[0] for row in rows)
    assert len(stories) == 5
    assert all(240 < count < 360 for count in stories.values())
    used = {what for row in rows for what in row["options"]}
    assert used == {what for scenario in SCENARIOS for what in scenario.objects}
    assert all(len(set(scenario.objects)) == 10 for scenario in SCENARIOS)
