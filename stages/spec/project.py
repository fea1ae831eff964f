"""Everything a project declares, loaded and checked together: params, tasks, strategies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stages.core.errors import Problem, UserError, nearest
from stages.spec.cache import Cache
from stages.spec.document import Document, Text
from stages.spec.include import load_included
from stages.spec.load import load
from stages.spec.model import Params, Strategy, Task
from stages.spec.render import Templates
from stages.spec.shape import check_shape

RUN_KINDS = ("nothing", "answers", "selected")
RESERVED = (*RUN_KINDS, "macro")
"""Ids that results and training texts are filed under already."""


@dataclass
class Specs:
    """What the spec files hold, params.yaml aside; those with a bad shape are left out.

    Args:
        root: The repository root.
        tasks: By (suite, file name without its ending).
        strategies: By file name without its ending.
        documents: By file, for the places of problems.
        known_tasks: Like the keys of `tasks`, but of all files.
        known_strategies: Like the keys of `strategies`, but of all files.
    """

    root: Path
    tasks: dict[tuple[str, str], Task] = field(default_factory=dict)
    strategies: dict[str, Strategy] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    known_tasks: list[tuple[str, str]] = field(default_factory=list)
    known_strategies: list[str] = field(default_factory=list)

    @cached_property
    def templates(self) -> Templates:
        """The templates folder."""
        return Templates(self.root / "templates", self.root)

    def task_document(self, task: Task) -> Document:
        """Where the task was read from."""
        return self.documents[task.file]


@dataclass
class Project(Specs):
    """A checked project. `tasks` are those that params.yaml names."""

    params: Params = field(kw_only=True)
    document: Document = field(kw_only=True)

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


def load_strategies(root: Path, cache: Cache | None = None) -> tuple[Specs, list[Problem]]:
    """The strategies alone, with the problems of their shape."""
    specs, problems = Specs(root), list[Problem]()
    for path in sorted((root / "specs/strategies").glob("*.yaml")):
        specs.known_strategies.append(path.stem)
        document, found = _load(path, root, "strategy", cache)
        problems += found or _named(document, path)
        if not found:
            # By the file's name: a wrong id is one problem, not one for each mention.
            specs.strategies[path.stem] = Strategy.of(
                {**document.data, "id": path.stem}, document.file
            )
            specs.documents[document.file] = document
    return specs, problems


def load_specs(root: Path, cache: Cache | None = None) -> tuple[Specs, list[Problem]]:
    """All files under specs/, with the problems of their shape and of links between them."""
    specs, problems = load_strategies(root, cache)
    for path in task_files(root):
        key = (path.parent.name, path.stem)
        specs.known_tasks.append(key)
        document, found = _load(path, root, "task", cache)
        problems += found or _named(document, path)
        if not found:
            specs.tasks[key] = Task.of({**document.data, "id": path.stem}, key[0], document.file)
            specs.documents[document.file] = document
    for task in specs.tasks.values():
        problems += _task_links(specs, task)
    return specs, problems


def task_files(root: Path) -> list[Path]:
    """The task specs; a file whose name begins with ``_`` is only there to be included."""
    found = (root / "specs/tasks").glob("*/*.yaml")
    return sorted(path for path in found if not path.name.startswith("_"))


def load_project(specs: Specs) -> tuple[Project | None, list[Problem]]:
    """The project that params.yaml makes of the specs, None when its shape is wrong."""
    document, problems = _load(specs.root / "params.yaml", specs.root, "params")
    if problems:
        return None, problems
    params = Params.of(document.data)
    chosen = {key: task for key, task in specs.tasks.items() if params.names(*key)}
    project = Project(
        specs.root, chosen, specs.strategies, specs.documents, specs.known_tasks,
        specs.known_strategies, params=params, document=document,
    )  # fmt: skip
    return project, _links(project)


def _load(
    path: Path, root: Path, kind: str, cache: Cache | None = None
) -> tuple[Document, list[Problem]]:
    def read() -> Document:
        return load_included(path, root) if kind == "task" else load(path, root)

    held = cache.spec(path) if cache else None
    if held is not None:
        return Document(Text(path.relative_to(root).as_posix()), held, reread=read), []
    document = read()
    problems = list(document.problems)
    if not problems:
        problems = check_shape(document, root / f"specs/schema/{kind}.schema.json")
    if cache and not problems:
        cache.keep_spec(document)
    return document, problems


def _named(document: Document, path: Path) -> list[Problem]:
    name = document.data["id"]
    if path.stem in RESERVED:
        return [
            document.problem(
                ("id",), "E208", f"the id {name!r} has a meaning of its own",
                "choose another id and file name than " + ", ".join(RESERVED),
            )
        ]  # fmt: skip
    if name == path.stem:
        return []
    return [
        document.problem(
            ("id",), "E201", f"the id is {name!r} but the file is called {path.name}",
            f"write id: {path.stem}, or rename the file",
        )
    ]  # fmt: skip


def _links(project: Project) -> list[Problem]:
    params, document, problems = project.params, project.document, list[Problem]()
    suites = {suite for suite, _ in project.known_tasks}

    def unknown(path: tuple[Any, ...], kind: str, name: str, known: Iterable[str]) -> None:
        if name not in known:
            problems.append(_unknown(document, path, kind, name, known))

    for index, suite in enumerate(params.suites):
        unknown(("suites", index), "suite", suite, suites)
    for suite, names in params.tasks.items():
        if suite not in params.suites:
            problems.append(_not_run(document, ("tasks", suite), suite, params.suites))
        known = [task for s, task in project.known_tasks if s == suite]
        for index, name in enumerate(names if known else ()):
            unknown(("tasks", suite, index), "task", name, known)
    strategies = project.known_strategies
    for index, name in enumerate(_probed(project)):
        unknown(("probe", "strategies", index), "strategy", name, strategies)
    unknown(("select", "fallback"), "strategy", params.fallback, strategies)
    for run in params.runs:
        path = ("runs", run.id)
        unknown((*path, "train_on"), "training set", run.train_on, [*RUN_KINDS, *strategies])
        problems += [
            _not_run(document, (*path, "suites", index), suite, params.suites)
            for index, suite in enumerate(run.suites)
            if suite not in params.suites
        ]
    problems += _teacher(project)
    problems += _candidates(project)
    problems += _clashes(project)
    return problems


def _probed(project: Project) -> list[str]:
    chosen = project.params.probe["strategies"]
    return [] if chosen == "all" else list(chosen)


def _not_run(
    document: Document, path: tuple[Any, ...], suite: str, suites: Iterable[str]
) -> Problem:
    message = f"the suite {suite!r} is not among `suites`"
    return document.problem(path, "E202", message, nearest(suite, suites), key=True)


def _teacher(project: Project) -> Iterator[Problem]:
    teacher = project.params.teacher
    if teacher["engine"] == "recorded":
        if project.params.samples > 1:
            yield project.document.problem(
                ("teach", "samples"), "E503", "the recorded teacher holds one rationale a row",
                "set teach.samples to 1, or put an LLM endpoint in its place",
            )  # fmt: skip
        return
    needs = ("model", "base_url") if teacher["engine"] == "openai" else ("model",)
    for key in needs:
        if not teacher.get(key):
            yield project.document.problem(
                ("teacher", key), "E502", f"the {teacher['engine']} teacher lacks a {key}",
                NEEDED[teacher["engine"], key],
            )  # fmt: skip


NEEDED = {
    ("openai", "model"): "write the model's name as the endpoint knows it",
    ("openai", "base_url"): "write the endpoint's URL, such as https://api.openai.com/v1",
    ("local", "model"): "write a folder that holds a model",
}


def _candidates(project: Project) -> Iterator[Problem]:
    """Each task needs a candidate, and the fallback among them where a run selects."""
    params = project.params
    lacking = []
    if set(_probed(project)) - set(project.known_strategies):
        return  # reported already, and the cause of what would follow
    for task in project.tasks.values():
        candidates = params.candidates(task)
        if not candidates:
            yield project.task_document(task).problem(
                ("strategies",), "E204",
                "none of the task's strategies is in probe.strategies of params.yaml",
                "add one of them there, or one of those here",
            )  # fmt: skip
        elif params.trained(task)["selects"] and params.fallback not in candidates:
            lacking.append(task.id)
    if lacking and params.fallback in project.known_strategies:
        yield project.document.problem(
            ("select", "fallback"), "E505",
            f"the fallback {params.fallback!r} is not a candidate of {', '.join(lacking)}",
            "name it in probe.strategies and among the task's strategies, or choose another",
        )  # fmt: skip


def _clashes(project: Project) -> Iterator[Problem]:
    """Results are filed by task and by run; two tasks of one name would be mixed up."""
    first: dict[str, Task] = {}
    for task in project.tasks.values():
        other = first.setdefault(task.id, task)
        if other is not task:
            yield project.task_document(task).problem(
                ("id",), "E207", f"the suite {other.suite!r} has a task {task.id!r} as well",
                "rename one of the two, or leave one out in `tasks` of params.yaml",
            )  # fmt: skip


def _task_links(specs: Specs, task: Task) -> Iterator[Problem]:
    document = specs.task_document(task)
    worked = task.row.get("worked", {})
    named = [(("strategies", index), name) for index, name in enumerate(task.strategies)]
    held = [] if "get" in worked else [(("row", "worked", name), name) for name in worked]
    for path, name in (*named, *held):
        if name not in specs.known_strategies:
            yield _unknown(
                document, path, "strategy", name, specs.known_strategies, key=path[0] == "row"
            )
        elif (
            path[0] == "strategies"
            and name in specs.strategies
            and task.answer_type not in specs.strategies[name].answer_types
        ):
            yield document.problem(
                path, "E203",
                f"the strategy {name!r} does not suit answers of type {task.answer_type}",
                "suits: " + ", ".join(specs.strategies[name].answer_types),
            )  # fmt: skip
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
