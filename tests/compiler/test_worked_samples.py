"""Several rationales a row from the rows themselves, and fewer rows than there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stages.compiler import build
from stages.compiler.check import Loaded, checked
from stages.compiler.fields import worked
from stages.compiler.prompts import check_recorded
from stages.compiler.rows import Row
from stages.core.jsonl import read_rows
from tests.projects import COIN, Copy

RUN = "  selected: {train_on: selected}    # Orca 2: each task's selected strategy, prompt erased"
ONE = "teach:\n  samples: 1"
FIXED = "  steps: {train_on: step_by_step}"


def compiled(project: Copy) -> list[dict[str, Any]]:
    build.write(*checked(project.root), project.root / "out")
    return list(read_rows(project.root / "out/suites/symbolic/train.jsonl"))


def test_a_row_carries_as_many_solutions_as_are_asked_for(project: Copy) -> None:
    project.edit("params.yaml", RUN, FIXED)
    plain = compiled(project)
    assert all("more_worked" not in row for row in plain)
    project.edit("params.yaml", ONE, "teach:\n  samples: 3")
    rows = compiled(project)
    for before, row in zip(plain, rows, strict=True):
        more = row.pop("more_worked")
        assert row == before
        assert list(more) == ["step_by_step"]
        assert len({*more["step_by_step"], row["worked"]["step_by_step"]}) == 3
    project.edit("params.yaml", "  samples: 3", "  samples: 8")
    assert all(len(row["more_worked"]["step_by_step"]) == 7 for row in compiled(project))


def test_a_list_of_one_is_a_text(project: Copy) -> None:
    project.edit("params.yaml", RUN, FIXED)
    before = compiled(project)
    project.edit(
        COIN, "worked: {get: worked}", "worked: {step_by_step: {get: worked.step_by_step}}"
    )
    assert compiled(project) == before


def test_more_than_the_rows_hold(project: Copy) -> None:
    project.edit("params.yaml", RUN, FIXED)
    spot = project.edit("params.yaml", ONE, "teach:\n  samples: »9")
    assert project.problems() == [
        spot.says(
            "E503 the recorded teacher has fewer than 9 step_by_step rationales for 3 of 3 train "
            f"rows of {task}, the first is {task}/train/0 with 8",
            "set teach.samples to 8, drop the strategy for this task, or put an LLM endpoint in "
            "the recorded teacher's place",
        )
        for task in ("coin_flip", "last_letter")
    ]


def test_an_answer_alone_has_one_wording(project: Copy) -> None:
    project.edit("params.yaml", "  symbolic: [coin_flip, last_letter]", "  symbolic: [coin_flip]")
    spot = project.edit("params.yaml", ONE, "teach:\n  samples: »2")
    assert project.problems() == [
        spot.says(
            "E503 the recorded teacher has fewer than 2 direct rationales for 3 of 3 train rows of "
            "coin_flip, the first is coin_flip/train/0 with 1",
            "set teach.samples to 1, drop the strategy for this task, or put an LLM endpoint in "
            "the recorded teacher's place",
        )
    ]
    project.edit("params.yaml", "[direct, step_by_step,", "[step_by_step,")
    assert project.problems() == []


@pytest.mark.parametrize(("rows", "kept"), [("null", 3), ("2", 2), ("7", 3)])
def test_the_first_rows_are_used(project: Copy, rows: str, kept: int) -> None:
    every = compiled(project)
    project.edit("params.yaml", ONE, f"teach:\n  rows: {rows}\n  samples: 1")
    made = compiled(project)
    expected = [row for row in every if int(row["id"].rpartition("/")[2]) < kept]
    assert made == expected
    assert len(made) == 2 * kept


def test_rows_that_are_not_used_need_no_solution(project: Copy) -> None:
    project.edit("params.yaml", RUN, FIXED)

    def problems() -> list[str]:
        loaded = Loaded.of(project.root)
        assert loaded.project
        task = loaded.specs.tasks["symbolic", "coin_flip"]
        worked: list[dict[str, tuple[str, ...]]] = [
            {"step_by_step": ("Yes.",)},
            {"direct": ("Y.",)},
        ]
        rows = [Row(f"row {at}", task.id, "?", "yes", (), held) for at, held in enumerate(worked)]
        return [problem.message for problem in check_recorded(loaded.project, task, rows)]

    assert problems() == [
        "the recorded teacher has no step_by_step rationale for 1 of 2 train rows, "
        "the first is row 1"
    ]
    project.edit("params.yaml", ONE, "teach:\n  rows: 1\n  samples: 1")
    assert problems() == []


@pytest.mark.parametrize(
    ("given", "held"),
    [("a", ("a",)), (["a", "b"], ("a", "b")), (["a"], ("a",)), ([3], ("3",)), ([], None)],
)
def test_a_text_or_a_list_of_texts(given: Any, held: tuple[str, ...] | None, project: Copy) -> None:
    task = Loaded.of(project.root).specs.tasks["symbolic", "coin_flip"]
    expected = {} if held is None else {"direct": held}
    assert worked(task, {"worked": {"direct": given}}) == expected
    one = replace(task, row={**task.row, "worked": {"direct": {"get": "direct"}}})
    assert worked(one, {"direct": given}) == expected
