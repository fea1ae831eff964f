"""What every procedural generator promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.core.jsonl import canonical
from stages.data import coin_flip, last_letter, shuffled_objects
from stages.data.draw import distinct, listed
from stages.data.names import names

Generate = Callable[..., list[dict[str, Any]]]

STRATEGIES = [
    "direct",
    "step_by_step",
    "explain_then_answer",
    "recall_then_generate",
    "recall_reason_generate",
    "extract_then_generate",
]

every_generator = pytest.mark.parametrize(
    "generate", [coin_flip.generate, last_letter.generate, shuffled_objects.generate]
)


@every_generator
def test_a_longer_result_begins_with_the_shorter_one(generate: Generate) -> None:
    assert generate(5, 10) == generate(5, 50)[:10]


@every_generator
def test_seeds_give_different_rows(generate: Generate) -> None:
    assert generate(5, 5) != generate(6, 5)


@every_generator
def test_questions_are_unique_and_as_many_as_asked(generate: Generate) -> None:
    rows = generate(1, 2000)
    assert len({row["question"] for row in rows}) == 2000


@every_generator
def test_no_rows_when_none_are_asked(generate: Generate) -> None:
    assert generate(1, 0) == []


@every_generator
def test_every_strategy_is_worked_and_ends_in_the_gold_answer(generate: Generate) -> None:
    for row in generate(2, 300):
        worked = row["worked"]
        assert list(worked) == STRATEGIES
        spelled = generate is last_letter.generate
        end = f"The answer is {' '.join(row['answer']) if spelled else row['answer']}."
        assert worked["direct"] == end
        assert len(set(worked.values())) == len(STRATEGIES)
        for completion in worked.values():
            assert completion.endswith(end)
            assert completion.count("The answer is") == 1
            assert "  " not in completion


@every_generator
def test_rows_are_json(generate: Generate) -> None:
    canonical(generate(3, 3))


def test_a_stream_ends_when_the_questions_run_out() -> None:
    rows = distinct(1, 10, lambda rng: {"question": str(rng.randrange(4))})
    assert sorted(row["question"] for row in rows) == ["0", "1", "2", "3"]


def test_an_exhausted_stream_keeps_its_order() -> None:
    rows = coin_flip.generate(4, 5000, people=1)
    assert 1900 < len(rows) <= 2000
    assert rows[:100] == coin_flip.generate(4, 100, people=1)


def test_listed() -> None:
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]


def test_names_are_a_thousand_capitalised_words() -> None:
    assert len(set(names())) == len(names()) == 1000
    assert names()[:3] == ("James", "John", "Robert")
    assert all(name.isalpha() and name.istitle() for name in names())


def test_too_few_people() -> None:
    with pytest.raises(UserError) as caught:
        coin_flip.generate(1, 1, people=0)
    assert str(caught.value) == (
        "coin_flip: E404 option 'people' is 0, outside 1 to 1000\n"
        "    hint: choose 'people' from 1 to 1000"
    )


def test_too_many_words() -> None:
    with pytest.raises(UserError) as caught:
        last_letter.generate(1, 1, words=1001)
    assert str(caught.value) == (
        "last_letter: E404 option 'words' is 1001, outside 1 to 1000\n"
        "    hint: choose 'words' from 1 to 1000"
    )
