"""Every point of a sweep checked as ``make check`` would check it, before the first one runs."""

from __future__ import annotations

from pathlib import Path

from stages.compiler.check import Loaded
from stages.compiler.prompts import erasure_conflicts
from stages.core.errors import Problem, UserError
from stages.spec.links import project_links
from stages.spec.model import Params
from stages.spec.project import Project
from stages.spec.shape import check_shape
from stages.sweeping.design import Point, Sweep


def projects(top: Path, sweep: Sweep) -> list[Project]:
    """The project of each point.

    Raises:
        UserError: With every problem of the specs and of all points; one that a value of the sweep
            causes stands at that value.
    """
    loaded = Loaded.of(top)
    if loaded.problems:
        raise UserError(loaded.problems)
    made, problems = list[Project](), list[Problem]()
    for point in sweep.points:
        found = check_shape(point.params, top / "specs/schema/params.schema.json")
        if not found:
            project = _project(loaded, point)
            found = _problems(loaded, project)
            made.append(project)
        problems += found
    if problems:
        raise UserError(problems)
    return made


def _project(loaded: Loaded, point: Point) -> Project:
    specs, params = loaded.specs, Params.of(point.params.data)
    chosen = {key: task for key, task in specs.tasks.items() if params.names(*key)}
    return Project(
        specs.root, chosen, specs.strategies, specs.documents, specs.known_tasks,
        specs.known_strategies, params=params, document=point.params,
    )  # fmt: skip


def _problems(loaded: Loaded, project: Project) -> list[Problem]:
    problems = project_links(project)
    if problems:
        return problems
    problems = list(erasure_conflicts(project))
    point = Loaded(loaded.specs, project, [], linked=True, renders=True)
    for task in project.tasks.values():
        problems += point.task(task)[0]
    return problems
