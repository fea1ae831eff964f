"""Which rows the student learns from before a strategy is selected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.core.jsonl import write_rows
from stages.spec.model import Params
from stages.spec.read import load_params
from stages.teaching.lessons import Lessons, Taught, asked, learn
from tests.projects import REPOSITORY

STEPS, DIRECT = "steps", "direct"
SUITE = {
    "tasks": {
        "sums": {
            "answer": {"type": "number", "extract": [{"after": "The answer is"}]},
            "candidates": [DIRECT, STEPS],
        }
    },
    "targets": {
        DIRECT: "{{ answer_marker }} {{ answer }}.",
        STEPS: "{{ rationale }} {{ answer_marker }} {{ answer }}.",
    },
}


def row(number: int, **worked: str) -> dict[str, Any]:
    return {
        "id": f"sums/train/{number}", "task": "sums", "question": f"{number} and {number}?",
        "gold": str(2 * number), "answer": str(2 * number), "options": [], "worked": worked,
        "variables": {"answer_marker": "The answer is", "question": ""},
        "student": {"answers": [{"role": "user", "content": f"{number} and {number}?"}]},
        "prompts": {name: {"messages": [], "max_tokens": 64} for name in (DIRECT, STEPS)},
    }  # fmt: skip


def record(number: int, strategy: str, right: bool = True, **fields: Any) -> dict[str, Any]:
    answer = 2 * number if right else -1
    return {
        "id": f"sums/train/{number}", "task": "sums", "strategy": strategy, "sample": 0,
        "completion": f"Twice {number}. The answer is {answer}.", "finish_reason": "stop",
        "completion_tokens": 9, "error": "", "calls": [], **fields,
    }  # fmt: skip


def taught(direct: list[int], steps: list[int], most: int = 48) -> Taught:
    """After the teacher was right on these rows under each."""
    lessons = Lessons(SUITE, most)
    for number in sorted({*direct, *steps}):
        for strategy, right in ((DIRECT, direct), (STEPS, steps)):
            lessons.add(row(number), record(number, strategy, number in right))
    return lessons.of("sums")


def numbers(made: Taught, strategy: str) -> list[int]:
    return [int(item["id"].rpartition("/")[2]) for item in made.lessons[strategy]]


def test_the_rows_that_all_have_in_common() -> None:
    made = taught(direct=[1, 2, 3, 5, 6], steps=[2, 3, 4, 6])
    assert (made.rows, made.same_rows, made.set_aside) == (3, True, [])
    assert numbers(made, DIRECT) == numbers(made, STEPS) == [2, 3, 6]
    assert made.right == {DIRECT: 5, STEPS: 4}
    assert "lessons" not in made.told()


def test_no_more_rows_than_asked_for() -> None:
    made = taught(direct=list(range(9)), steps=list(range(9)), most=4)
    assert numbers(made, DIRECT) == numbers(made, STEPS) == [0, 1, 2, 3]


def test_as_many_rows_where_too_few_are_common() -> None:
    made = taught(direct=[1, 2, 3, 4, 5], steps=[5, 6, 7, 8])
    assert (made.rows, made.same_rows) == (4, False)
    assert (numbers(made, DIRECT), numbers(made, STEPS)) == ([1, 2, 3, 4], [5, 6, 7, 8])


def test_a_candidate_that_the_teacher_cannot_use_is_set_aside() -> None:
    made = taught(direct=[1], steps=[1, 2, 3, 4, 5])
    assert (made.rows, made.set_aside, list(made.lessons)) == (5, [DIRECT], [STEPS])
    assert made.right == {DIRECT: 1, STEPS: 5}


def test_a_teacher_that_is_never_right() -> None:
    made = taught(direct=[], steps=[])
    assert (made.rows, made.set_aside, made.lessons) == (0, [DIRECT, STEPS], {})


def test_the_text_is_what_mix_writes() -> None:
    made = taught(direct=[4], steps=[4])
    (direct,), (steps,) = made.lessons[DIRECT], made.lessons[STEPS]
    assert direct["completion"] == "The answer is 8."
    assert steps["completion"] == "Twice 4. The answer is 8."
    assert direct["messages"] == steps["messages"] == row(4)["student"]["answers"]


def test_what_was_cut_short_or_refused_is_no_lesson() -> None:
    lessons = Lessons(SUITE, 48)
    lessons.add(row(1), record(1, STEPS, finish_reason="length"))
    lessons.add(row(2), record(2, STEPS, error="refused"))
    lessons.add(row(3), record(3, STEPS))
    assert lessons.of("sums").right == {DIRECT: 0, STEPS: 1}


def test_an_endpoint_is_asked_about_the_first_rows_of_each_task() -> None:
    rows = [{"id": n, "task": task} for n, task in enumerate("aabbbaac")]
    assert [item["id"] for item in asked(rows, ["a", "b"], 2)] == [0, 1, 2, 3]
    assert list(asked(rows, [], 2)) == []


@pytest.fixture
def params() -> Params:
    return load_params(REPOSITORY)


def recorded(
    top: Path, params: Params, rows: list[dict[str, Any]], most: int
) -> tuple[Taught, list[Any]]:
    write_rows(top / "build/compiled/suites/s/train.jsonl", rows)
    lessons = Lessons(SUITE, most)
    made = learn(top, params, "s", lessons)
    return lessons.of("sums"), made


def test_the_recorded_teacher_is_read_until_there_are_enough(
    tmp_path: Path, params: Params
) -> None:
    right = "Well. The answer is {}."
    both = [row(n, direct=right.format(2 * n), steps=right.format(2 * n)) for n in range(3, 9)]
    rows = [row(1, direct=right.format(2)), row(2, steps=right.format(5)), *both]
    made, records = recorded(tmp_path, params, rows, 4)
    assert numbers(made, DIRECT) == numbers(made, STEPS) == [3, 4, 5, 6]
    assert [item["id"] for item in records][-1] == "sums/train/6"
    assert len(records) == 2 * 6


def test_a_candidate_without_any_recorded_rationale(tmp_path: Path, params: Params) -> None:
    rows = [row(n, direct=f"The answer is {2 * n}.") for n in range(3)]
    with pytest.raises(UserError) as raised:
        recorded(tmp_path, params, rows, 2)
    (problem,) = raised.value.problems
    assert problem.code == "E603"
    assert problem.message == "the recorded teacher has no answer for sums under steps"
