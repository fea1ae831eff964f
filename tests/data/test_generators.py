"""What every procedural generator promises."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from stages.compiler.rows import task_rows
from stages.core.errors import UserError
from stages.core.jsonl import canonical, digest
from stages.data import coin_flip, last_letter, shuffled_objects
from stages.data.draw import distinct, listed
from stages.data.names import names
from stages.data.solutions import COUNT
from stages.scoring.extract import extract
from stages.scoring.verify import verify
from stages.spec.read import load_specs
from tests.projects import REPOSITORY
from tests.solutions import every, first

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
        worked = every(row)
        assert list(worked) == STRATEGIES
        spelled = generate is last_letter.generate
        end = f"The answer is {' '.join(row['answer']) if spelled else row['answer']}."
        assert worked["direct"] == [end]
        for completion in chain(*worked.values()):
            assert completion.endswith(end)
            assert completion.count("The answer is") == 1
            assert "  " not in completion
            assert completion[0].isupper() or completion[0] in '"1'


@every_generator
def test_all_solutions_of_a_row_differ(generate: Generate) -> None:
    for row in generate(2, 300):
        made = list(chain(*every(row).values()))
        assert len(made) == len(set(made)) == 1 + 5 * COUNT


@every_generator
def test_which_manners_come_first_differs_from_row_to_row(generate: Generate) -> None:
    seconds = Counter(
        re.sub(r"\W.*", "", every(row)["step_by_step"][1]) for row in generate(2, 300)
    )
    assert len(seconds) > 3
    assert max(seconds.values()) < 150


@pytest.mark.parametrize("name", ["coin_flip", "last_letter", "tracking_shuffled_objects"])
def test_every_solution_verifies_by_the_tasks_own_extraction(name: str) -> None:
    specs, problems = load_specs(REPOSITORY)
    assert not problems
    task = specs.tasks["symbolic", name]
    rows = task_rows(task, REPOSITORY, specs.task_document(task))["train"]
    assert len(rows) >= 100
    for row in rows:
        for strategy, texts in row.worked.items():
            for text in texts:
                found = extract(text, task.extract, task.answer_type, row.options)
                assert verify(found.answer or "", row.gold, task.answer_type, row.options), text
                # found by the marker, so that what is before it is the rationale
                assert found.rule == 0
                assert bool(text[: found.start].strip()) == (strategy != "direct")


GOLDEN = {
    "coin_flip": "0380be43f5bfe13b4168c2a2e64d467c595130babea35fe98404b9f25d7aecd8",
    "last_letter": "baf03eb63e655e4b5250ebcd32813c912590826b20e7971aa5ec78cb6805cb04",
    "shuffled_objects": "a057a02335dd88bfff74591c256e8c48e9554db3559a718a40fac9b595db0e5f",
}


@every_generator
def test_the_first_solutions_are_those_of_the_published_results(generate: Generate) -> None:
    rows = [row for seed in (1, 11, 12, 13) for row in generate(seed, 300)]
    found = digest([(row["question"], row["answer"], first(row)) for row in rows])
    assert found == GOLDEN[generate.__module__.rpartition(".")[2]]


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
