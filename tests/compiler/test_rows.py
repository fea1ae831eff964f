from __future__ import annotations

from typing import Any

import pytest

from stages.compiler.rows import SPLITS, Row, task_rows
from stages.core.errors import UserError
from stages.spec.document import Document, Place, Text
from stages.spec.read import load_specs
from tests.projects import COIN, REPOSITORY, Copy


def _rows(project: Copy) -> dict[str, list[Row]]:
    specs, problems = load_specs(project.root)
    assert problems == []
    task = specs.tasks["symbolic", "coin_flip"]
    return task_rows(task, project.root, specs.task_document(task))


def test_each_split_holds_its_rows_in_order(project: Copy) -> None:
    made = _rows(project)
    assert {split: len(rows) for split, rows in made.items()} == dict.fromkeys(SPLITS, 3)
    assert [row.id for row in made["train"]] == [f"coin_flip/train/{i}" for i in range(3)]
    assert {row.gold for rows in made.values() for row in rows} <= {"yes", "no"}


def test_fields_are_taken_by_path_or_rendered(project: Copy) -> None:
    project.edit(COIN, "{get: question}", '{render: "Q: {{ row.question }}"}')
    project.edit(COIN, "worked: {get: worked}", "worked: {direct: {get: worked.direct}}")
    row = _rows(project)["test"][0]
    assert row.question.startswith("Q: ")
    assert list(row.worked) == ["direct"]


def test_at_most_five_kinds_of_bad_rows_are_shown(project: Copy) -> None:
    project.edit(COIN, "gold: {get: answer}", 'gold: {render: "{{ row.question[18:30] }}"}')
    specs, _ = load_specs(project.root)
    task = specs.tasks["symbolic", "coin_flip"]
    with pytest.raises(UserError) as caught:
        task_rows(task, project.root, specs.task_document(task))
    assert len(caught.value.problems) == 5
    assert caught.value.problems[0].hint == "7 other mistakes in rows are not shown"


def _placed(source: dict[str, Any], splits: str = "") -> list[str]:
    specs, _ = load_specs(REPOSITORY)
    task = specs.tasks["symbolic", "coin_flip"]
    object.__setattr__(task, "source", source)
    text = Text("a.yaml")
    document = Document(text, places={("data", "source"): Place(text, 7, 3)})
    with pytest.raises(UserError) as caught:
        task_rows(task, REPOSITORY, document)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"generator": "coin_flip", "seed": 1, "people": 0},
            "a.yaml:7:3: E404 option 'people' is 0, outside 1 to 1000\n"
            "    hint: choose 'people' from 1 to 1000",
        ),
        (
            {"reasoning_gym": "gsm_symbolics", "seed": 1},
            "a.yaml:7:3: E404 unknown family 'gsm_symbolics'\n"
            "    hint: did you mean 'gsm_symbolic'?",
        ),
        (
            {"file": "absent.jsonl", "sha256": "0" * 64},
            "absent.jsonl: E401 there is no such file\n"
            "    hint: paths start at the repository root",
        ),
    ],
)
def test_a_source_is_reported_where_the_spec_names_it(source: dict[str, Any], message: str) -> None:
    assert _placed(source) == [message]
