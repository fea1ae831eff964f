from __future__ import annotations

import re

import pytest

from stages.data.coin_flip import generate
from tests.solutions import first


def test_first_row_of_a_seed() -> None:
    row = generate(1, 1)[0]
    assert row["question"] == (
        "A coin is heads up. Benjamin does not flip the coin. Wallace flips the coin. "
        "Josefina flips the coin. Guillermo flips the coin. Is the coin still heads up? "
        'Note that "flip" here means "reverse".'
    )
    assert row["answer"] == "no"
    assert first(row) == {
        "direct": "The answer is no.",
        "step_by_step": "Is the coin heads up? At first: yes. Benjamin does not flip: yes. "
        "Wallace flips: no. Josefina flips: yes. Guillermo flips: no. The answer is no.",
        "explain_then_answer": "Only Wallace, Josefina and Guillermo flip the coin, which makes "
        "3 flips. Every two flips cancel out, and 3 is odd, so the coin ends tails up. "
        "The answer is no.",
        "recall_then_generate": "An even number of flips leaves a coin as it was, an odd number "
        "reverses it. There are 3 flips, odd, so the coin is tails up. The answer is no.",
        "recall_reason_generate": "Recall: a flip turns heads into tails and tails into heads. "
        "Reason: heads at first. Benjamin does not flip: heads. Wallace flips: tails. "
        "Josefina flips: heads. Guillermo flips: tails. So the coin is tails up. "
        "The answer is no.",
        "extract_then_generate": "Start: heads. Flips: Benjamin no, Wallace yes, Josefina yes, "
        "Guillermo yes. That makes 3 flips, odd, so tails. The answer is no.",
    }


@pytest.mark.parametrize("people", [1, 2, 4, 7])
def test_gold_is_what_the_question_tells(people: int) -> None:
    for row in generate(9, 200, people=people):
        acts = re.findall(r"[A-Z][a-z]+ (flips|does not flip) the coin\.", row["question"])
        assert len(acts) == people
        coin = "heads"
        for act in acts:
            if act == "flips":
                coin = {"heads": "tails", "tails": "heads"}[coin]
        assert row["answer"] == ("yes" if coin == "heads" else "no")


def test_steps_follow_the_question() -> None:
    for row in generate(10, 200):
        heads = True
        for name, act in re.findall(r"(\w+) (flips|does not flip) the coin\.", row["question"]):
            heads ^= act == "flips"
            assert f" {name} {act}: {'yes' if heads else 'no'}." in first(row)["step_by_step"]
            seen = f" {name} {act}: {'heads' if heads else 'tails'}."
            assert seen in first(row)["recall_reason_generate"]


def test_both_answers_and_both_acts_are_about_equally_common() -> None:
    rows = generate(11, 1000)
    assert 430 < sum(row["answer"] == "yes" for row in rows) < 570
    assert 1880 < sum(row["question"].count("does not flip") for row in rows) < 2120


def test_one_flip_and_none_read_well() -> None:
    rows = generate(12, 20, people=1)
    told = {first(row)["explain_then_answer"].split(", so")[0].split(" ", 1)[0] for row in rows}
    assert told == {"Only", "Nobody"}
    flipped = next(row for row in rows if row["answer"] == "no")
    name = flipped["question"].split(". ")[1].split()[0]
    assert first(flipped)["explain_then_answer"] == (
        f"Only {name} flips the coin, which makes 1 flip. Every two flips cancel out, and 1 is "
        "odd, so the coin ends tails up. The answer is no."
    )
    assert "There is 1 flip, odd," in first(flipped)["recall_then_generate"]


def test_nobody_meets_the_coin_twice() -> None:
    for row in generate(13, 300):
        people = re.findall(r"(\w+) (?:flips|does not flip) the coin", row["question"])
        assert len(set(people)) == 4
