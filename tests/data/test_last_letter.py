from __future__ import annotations

import re

import pytest

from stages.data.last_letter import generate


def test_first_row_of_a_seed() -> None:
    row = generate(1, 1)[0]
    assert row == {
        "question": 'Take the last letters of each words in "Benjamin Wallace Josefina Guillermo" '
        "and concatenate them.",
        "answer": "neao",
        "worked": {
            "direct": "The answer is neao.",
            "step_by_step": '"Benjamin" ends in "n", so far "n". "Wallace" ends in "e", so far '
            '"ne". "Josefina" ends in "a", so far "nea". "Guillermo" ends in "o", so far "neao". '
            "The answer is neao.",
            "explain_then_answer": "The last letters of Benjamin, Wallace, Josefina and Guillermo "
            'are n, e, a and o. Written one after another they spell "neao". The answer is neao.',
            "recall_then_generate": "To concatenate is to write letters one after another without "
            'spaces. The last letters are n, e, a, o, which gives "neao". The answer is neao.',
            "recall_reason_generate": "Recall: the last letter of a word is its rightmost one. "
            "Reason: Benjamin n, Wallace e, Josefina a, Guillermo o. "
            'Joined in order: "neao". The answer is neao.',
            "extract_then_generate": "Words: Benjamin, Wallace, Josefina, Guillermo. "
            "Last letters: n, e, a, o. The answer is neao.",
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
        steps = re.findall(
            r'"(\w+)" ends in "(\w)", so far "(\w+)"\.', row["worked"]["step_by_step"]
        )
        assert [word for word, _, _ in steps] == row["question"].split('"')[1].split()
        built = ""
        for word, letter, so_far in steps:
            built += letter
            assert (word[-1], so_far) == (letter, built)
        assert built == row["answer"]
