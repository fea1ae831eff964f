from __future__ import annotations

import pytest

from stages.core.errors import UserError
from stages.spec.read import load_params, load_project, load_specs
from tests.projects import COIN, DIRECT, LETTER, Copy


def test_the_shipped_project_loads(project: Copy) -> None:
    specs, problems = load_specs(project.root)
    made, found = load_project(specs)
    assert (problems, found) == ([], [])
    assert made is not None
    assert list(made.tasks) == [("symbolic", "coin_flip"), ("symbolic", "last_letter")]
    assert [task.id for task in made.suite("symbolic")] == ["coin_flip", "last_letter"]
    assert ("arithmetic", "gsm_symbolic") in specs.tasks


def test_a_suite_without_a_list_runs_all_of_its_tasks(project: Copy) -> None:
    project.edit("params.yaml", "  symbolic: [coin_flip, last_letter]", "  {}")
    made, found = load_project(load_specs(project.root)[0])
    assert found == []
    assert made is not None
    assert len(made.tasks) == 3


def test_a_run_uses_the_student_prompt_of_its_strategy(project: Copy) -> None:
    made, _ = load_project(load_specs(project.root)[0])
    assert made is not None
    task = made.tasks["symbolic", "coin_flip"]
    assert made.student_of("step_by_step", task).id == "step_by_step"
    assert made.student_of("answers", task).id == made.params.candidates(task)[0]


def test_a_broken_strategy_is_not_unknown_to_its_tasks(project: Copy) -> None:
    project.edit(DIRECT, "spec: 1", "spec: 2")
    problems = load_specs(project.root)[1]
    assert [(problem.file, problem.code) for problem in problems] == [(DIRECT, "E113")]


def test_a_wrong_id_is_one_problem(project: Copy) -> None:
    project.edit(LETTER, "id: last_letter", "id: letters")
    assert [problem.split(" ")[1] for problem in project.problems()] == ["E201"]


def test_broken_params_leave_the_links_between_specs_checked(project: Copy) -> None:
    project.write("params.yaml", "suites: 5\n")
    project.edit(COIN, "strategies: [direct", "strategies: [dirct")
    found = project.problems()
    assert found[0].startswith("params.yaml:1:1: E112 ")
    assert "params.yaml:1:9: E114 suites must be of type array, not integer" in found[-2]
    assert "E202 there is no strategy 'dirct'" in found[-1]


def test_params_alone_raise(project: Copy) -> None:
    assert load_params(project.root).suites == ("symbolic",)
    project.edit("params.yaml", "suites: [symbolic]", "suites: []")
    with pytest.raises(UserError) as caught:
        load_params(project.root)
    assert [problem.code for problem in caught.value.problems] == ["E116"]
