from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.compiler.fields import value
from stages.importing.draft import NotCarriedError
from stages.importing.table import convert
from tests.projects import Copy

NONE: dict[str, Any] = {}


def rows(count: int = 40, **more: str) -> list[dict[str, str]]:
    return [
        {"Question": f"What is {n} + {n}?", "answer": str(2 * n)}
        | {key: text.format(n=n, sum=2 * n) for key, text in more.items()}
        for n in range(count)
    ]


def write(path: Path, table: list[dict[str, str]]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def test_questions_answers_and_solutions(tmp_path: Path) -> None:
    table = rows(solution="{n} and {n} are {sum}.")
    draft = convert(write(tmp_path / "My sums.csv", table), tmp_path, NONE)
    assert (draft.id, draft.answer_type, draft.strategies, draft.notes) == (
        "my_sums", "number", ["step_by_step"], [],
    )  # fmt: skip
    assert draft.source["file"] == "My sums.csv"
    assert value(draft.row["question"], dict(table[3])) == "What is 3 + 3?"
    assert value(draft.row["gold"], dict(table[3])) == "6"
    worked = draft.row["worked"]["step_by_step"]
    assert value(worked, dict(table[3])) == "3 and 3 are 6.\nThe answer is 6."
    assert {name: split.get("take") for name, split in draft.splits.items()} == {
        "test": 8, "valid": 4, "probe": 2, "train": None,
    }  # fmt: skip


def test_questions_that_repeat_stay_in_one_split(tmp_path: Path) -> None:
    for table, repeats in ((rows(), False), (rows() + rows(1), True)):
        draft = convert(write(tmp_path / "sums.csv", table), tmp_path, NONE)
        assert draft.spec([])["data"].get("duplicates") == ("drop" if repeats else None)


def test_solutions_that_state_their_answer_stay_as_they_are(tmp_path: Path) -> None:
    table = rows(steps="So the answer is {sum}.")
    draft = convert(write(tmp_path / "sums.csv", table), tmp_path, NONE)
    assert value(draft.row["worked"]["step_by_step"], dict(table[3])) == "So the answer is 6."


def test_a_point_in_the_name_of_a_column(tmp_path: Path) -> None:
    table = [{"the.question": row["Question"], "answer": row["answer"]} for row in rows()]
    path = write(tmp_path / "sums.csv", table)
    draft = convert(path, tmp_path, {"question": "the.question"})
    assert value(draft.row["question"], dict(table[3])) == "What is 3 + 3?"


def test_options_in_columns_of_their_own(tmp_path: Path) -> None:
    table = [row | {"answer": "B"} for row in rows(A="0", B="{sum}", C="-1")]
    draft = convert(write(tmp_path / "sums.csv", table), tmp_path, NONE)
    assert draft.answer_type == "choice"
    asked = value(draft.row["question"], dict(table[3]))
    assert asked == "What is 3 + 3?\nOptions: (A) 0 (B) 6 (C) -1"


@pytest.mark.parametrize(("gold", "kind"), [("Yes", "yes_no"), ("red", "string"), ("$4", "number")])
def test_the_type_of_the_answers(tmp_path: Path, gold: str, kind: str) -> None:
    table = [row | {"answer": gold} for row in rows()]
    draft = convert(write(tmp_path / "sums.csv", table), tmp_path, NONE)
    assert draft.answer_type == kind
    assert draft.notes == ["no solutions: an LLM as the teacher, or a run on the answers"]


@pytest.mark.parametrize(
    ("table", "columns", "why"),
    [
        (rows(3), NONE, "it has 3 rows, and four splits take 20 or more"),
        ([{"q": "a", "answer": "b"}] * 30, NONE,
         "it has no column that looks like the question: name one with --question, of q, answer"),
        (rows(), {"answer": "gold"},
         "it has no column 'gold': name one with --answer, of Question, answer"),
        ([*rows(), {"Question": "", "answer": "1"}], NONE,
         "row 41 has no 'Question'"),
        ([*rows(), {"Question": "", "answer": "1"}, {"Question": "", "answer": "2"}], NONE,
         "row 41 has no 'Question', nor have 1 more"),
    ],
)  # fmt: skip
def test_what_no_task_can_be_made_of(
    tmp_path: Path, table: list[dict[str, str]], columns: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotCarriedError) as told:
        convert(write(tmp_path / "sums.csv", table), tmp_path, columns)
    assert str(told.value) == why


def test_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    with pytest.raises(NotCarriedError, match="it lies outside the project: move it to data/"):
        convert(write(tmp_path / "sums.csv", rows()), tmp_path / "project", NONE)


@pytest.mark.parametrize("solution", [{}, {"why": "{n} and {n} are {sum}."}])
def test_what_the_command_writes_passes_the_check(project: Copy, solution: dict[str, str]) -> None:
    (project.root / "data").mkdir()
    write(project.root / "data/sums.csv", rows(**solution) + rows(12, **solution))
    named = ["--solution", "why"] if solution else []
    done = project.run("-m", "stages.import_specs", "table", "shop", "data/sums.csv", *named)
    lack = "no solutions: an LLM as the teacher, or a run on the answers"
    note = "" if solution else f", not carried over: {lack}"
    assert done.stdout.splitlines() == [
        f"data/sums.csv: sums.yaml{note}",
        "import: 1 tasks in 1 files under specs/tasks/shop, 0 not carried; read them, then run "
        "`make check`",
    ]
    with (project.root / "params.yaml").open(encoding="utf-8") as file:
        params = yaml.safe_load(file)
    params["suites"].append("shop")
    params["runs"] = {"sums": {"train_on": "step_by_step" if solution else "answers"}}
    project.write("params.yaml", yaml.safe_dump(params))
    assert project.problems() == []
