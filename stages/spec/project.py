"""Everything a project declares, loaded and checked together: params, tasks, strategies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.errors import Problem, UserError, nearest
from stages.spec.load import Document, load
from stages.spec.model import Params, Strategy, Task
from stages.spec.render import Templates
from stages.spec.shape import check_shape

RUN_KINDS = ("nothing", "answers", "selected")


@dataclass
class Project:
    """A checked project. `tasks` are those that params.yaml names, by (suite, id)."""

    root: Path
    params: Params
    tasks: dict[tuple[str, str], Task] = field(default_factory=dict)
    strategies: dict[str, Strategy] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)

    @property
    def templates(self) -> Templates:
        """The templates folder."""
        return Templates(self.root / "templates", self.root)

    def suite(self, name: str) -> list[Task]:
        """The suite's tasks in file order."""
        return [task for (suite, _), task in self.tasks.items() if suite == name]

    def student_of(self, train_on: str, task: Task) -> Strategy:
        """The strategy whose student templates a run uses on a task."""
        if train_on in self.strategies:
            return self.strategies[train_on]
        return self.strategies[self.params.candidates(task)[0]]


def load_params(root: Path) -> Params:
    """``params.yaml`` alone, for the stages behind compile. Raises `UserError`."""
    document, problems = _load(root / "params.yaml", root, "params")
    if problems:
        raise UserError(problems)
    return Params.of(document.data)


def load_project(root: Path) -> Project:
    """Load and check all files; raises `UserError` with every problem of every file."""
    document, problems = _load(root / "params.yaml", root, "params")
    documents = {"params": document}
    strategies: dict[str, Strategy] = {}
    for path in sorted((root / "specs/strategies").glob("*.yaml")):
        made, found = _load(path, root, "strategy")
        problems += found or _named(made, path)
        if not found:
            strategies[made.data["id"]] = Strategy.of(made.data, made.file)
            documents[made.file] = made
    if document.problems or not isinstance(document.data, dict) or problems:
        # Task files are still read, so that one go shows the mistakes of all files.
        for path in sorted((root / "specs/tasks").glob("*/*.yaml")):
            problems += _load(path, root, "task")[1]
        raise UserError(problems)
    project = Project(root, Params.of(document.data), {}, strategies, documents)
    for path in sorted((root / "specs/tasks").glob("*/*.yaml")):
        made, found = _load(path, root, "task")
        problems += found or _named(made, path)
        if not found:
            documents[made.file] = made
            task = Task.of(made.data, path.parent.name, made.file)
            project.tasks[(task.suite, task.id)] = task
    problems += _links(project, document)
    if problems:
        raise UserError(problems)
    project.tasks = {
        key: task
        for key, task in project.tasks.items()
        if task.suite in project.params.suites
        and task.id in project.params.tasks.get(task.suite, [task.id])
    }
    return project


def _load(path: Path, root: Path, kind: str) -> tuple[Document, list[Problem]]:
    document = load(path, root)
    problems = list(document.problems)
    if not problems:
        problems = check_shape(document, root / f"specs/schema/{kind}.schema.json")
    return document, problems


def _named(document: Document, path: Path) -> list[Problem]:
    name = document.data["id"]
    if name == path.stem:
        return []
    return [
        document.problem(
            ("id",), "E201", f"the id is {name!r} but the file is called {path.name}",
            f"write id: {path.stem}, or rename the file",
        )
    ]  # fmt: skip


def _links(project: Project, document: Document) -> list[Problem]:
    params, problems = project.params, list[Problem]()
    suites = {suite for suite, _ in project.tasks}
    for index, suite in enumerate(params.suites):
        if suite not in suites:
            problems.append(_unknown(document, ("suites", index), "suite", suite, suites))
    for suite, names in params.tasks.items():
        if suite not in params.suites:
            problems.append(
                _unknown(document, ("tasks", suite), "suite", suite, params.suites, key=True)
            )
            continue
        known = [task for s, task in project.tasks if s == suite]
        problems += [
            _unknown(document, ("tasks", suite, index), "task", name, known)
            for index, name in enumerate(names)
            if name not in known
        ]
    chosen = params.probe["strategies"]
    for index, name in enumerate(chosen if chosen != "all" else ()):
        if name not in project.strategies:
            problems.append(
                _unknown(
                    document, ("probe", "strategies", index), "strategy", name, project.strategies
                )
            )
    if params.fallback not in project.strategies:
        problems.append(
            _unknown(
                document, ("select", "fallback"), "strategy", params.fallback, project.strategies
            )
        )
    for run in params.runs:
        allowed = [*RUN_KINDS, *project.strategies]
        if run.train_on not in allowed:
            problems.append(
                _unknown(
                    document, ("runs", run.id, "train_on"), "training set", run.train_on, allowed
                )
            )
        for index, suite in enumerate(run.suites):
            if suite not in params.suites:
                path = ("runs", run.id, "suites", index)
                problems.append(_unknown(document, path, "suite", suite, params.suites))
    problems += _teacher(project, document)
    for task in project.tasks.values():
        problems += _task_links(project, task)
    return problems


def _teacher(project: Project, document: Document) -> Iterable[Problem]:
    teacher = project.params.teacher
    if teacher["engine"] == "recorded":
        if project.params.samples > 1:
            yield document.problem(
                ("teach", "samples"), "E503", "the recorded teacher holds one rationale a row",
                "set teach.samples to 1, or put an LLM endpoint in its place",
            )  # fmt: skip
        return
    needs = ("model", "base_url") if teacher["engine"] == "openai" else ("model",)
    for key in needs:
        if not teacher.get(key):
            yield document.problem(
                ("teacher",), "E502", f"the {teacher['engine']} teacher lacks the key {key!r}"
            )


def _task_links(project: Project, task: Task) -> Iterable[Problem]:
    document = project.documents[task.file]
    for index, name in enumerate(task.strategies):
        if name not in project.strategies:
            yield _unknown(document, ("strategies", index), "strategy", name, project.strategies)
        elif task.answer_type not in project.strategies[name].answer_types:
            yield document.problem(
                ("strategies", index), "E203",
                f"the strategy {name!r} does not suit answers of type {task.answer_type}",
                "suits: " + ", ".join(project.strategies[name].answer_types),
            )  # fmt: skip
    if task.suite in project.params.suites and not project.params.candidates(task):
        yield document.problem(
            ("strategies",), "E204", "none of the task's strategies is in params probe.strategies"
        )
    if not any(example["answer"] is not None for example in task.examples):
        yield document.problem(
            ("examples",), "E205", "no example has an answer, so extraction is never proven",
            "add a completion with the answer that must be found in it",
        )  # fmt: skip


def _unknown(
    document: Document, path: tuple[Any, ...], kind: str, name: str, known: Iterable[str],
    *, key: bool = False,
) -> Problem:  # fmt: skip
    hint = nearest(name, known)
    return document.problem(path, "E202", f"there is no {kind} {name!r}", hint, key=key)
