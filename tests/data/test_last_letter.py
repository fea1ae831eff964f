from __future__ import annotations

import re

import pytest

from stages.data.last_letter import generate
from tests.solutions import first


def test_first_row_of_a_seed() -> None:
    row = generate(1, 1)[0]
    assert {**row, "worked": first(row)} == {
        "question": 'Take the last letters of each words in "Benjamin Wallace Josefina Guillermo" '
        "and concatenate them.",
        "answer": "neao",
        "worked": {
            "direct": "The answer is n e a o.",
            "step_by_step": '"Benjamin" ends in "n": n. "Wallace" ends in "e": n e. "Josefina" '
            'ends in "a": n e a. "Guillermo" ends in "o": n e a o. The answer is n e a o.',
            "explain_then_answer": "The last letters of Benjamin, Wallace, Josefina and Guillermo "
            "are n, e, a and o. Written one after another they spell n e a o. "
            "The answer is n e a o.",
            "recall_then_generate": "To concatenate is to write letters one after another. "
            "The last letters are n, e, a, o, which gives n e a o. The answer is n e a o.",
            "recall_reason_generate": "Recall: the last letter of a word is its rightmost one. "
            "Reason: Benjamin n, Wallace e, Josefina a, Guillermo o. "
            "Joined in order: n e a o. The answer is n e a o.",
            "extract_then_generate": "Words: Benjamin, Wallace, Josefina, Guillermo. "
            "Last letters: n, e, a, o. The answer is n e a o.",
        },
    }


@pytest.mark.parametrize("words", [1, 2, 4, 8])
def test_gold_is_what_the_question_asks(words: int) -> None:
    for row in generate(9, 200, words=words):
        quoted = re.fullmatch(
            r'Take the last letters of each words in "([A-Za-z ]+)" and concatenate them\.',
            row["question"],
        )
        assert quoted is not None
        assert len(quoted[1].split()) == words
        assert row["answer"] == re.sub(r"\w*(\w)( |$)", r"\1", quoted[1])


def test_steps_build_the_answer_letter_by_letter() -> None:
    for row in generate(10, 200):
        steps = re.findall(r'"(\w+)" ends in "(\w)": ([\w ]+)\.', first(row)["step_by_step"])
        assert [word for word, _, _ in steps] == row["question"].split('"')[1].split()
        built = ""
        for word, letter, so_far in steps:
            built += letter
            assert (word[-1], so_far) == (letter, " ".join(built))
        assert built == row["answer"]
