"""Names that one file uses and another declares (families E2 and E5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stages.core.errors import Problem, nearest
from stages.spec.decoding import check_decoding
from stages.spec.document import Document
from stages.spec.losses import check_losses
from stages.spec.methods import ANSWERS, ERASED, KEPT, KINDS, NOTHING, SELECTED
from stages.spec.model import Run, Task
from stages.spec.project import Project, Specs


def project_links(project: Project) -> list[Problem]:
    """Every name in params.yaml, and what only tasks and params.yaml together can get wrong."""
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
        unknown(
            _given(document, run, "train_on"), "training set", run.train_on, [*KINDS, *strategies]
        )
        prompts = [ERASED, KEPT, *strategies]
        unknown(_given(document, run, "prompt"), "prompt", run.prompt, prompts)
        known = [task for suite, task in project.known_tasks if suite in run.suites]
        for index, name in enumerate(run.tasks if known else ()):
            unknown((*path, "tasks", index), "task", name, known)
        problems += _settings(document, run)
        problems += [
            _not_run(document, (*path, "suites", index), suite, params.suites)
            for index, suite in enumerate(run.suites)
            if suite not in params.suites
        ]
    problems += _teacher(project)
    problems += _candidates(project)
    problems += _clashes(project)
    problems += _splits(project)
    problems += check_decoding(document)
    problems += check_losses(document)
    return problems


def _given(document: Document, run: Run, key: str) -> tuple[Any, ...]:
    """Where a run states this, or the method that stands for it."""
    stated = document.data["runs"][run.id]
    return ("runs", run.id, key) if key in stated else ("runs", run.id, "method")


def _settings(document: Document, run: Run) -> Iterator[Problem]:
    """What a run's settings can get wrong together."""
    path, stated = ("runs", run.id), document.data["runs"][run.id]
    if not stated.keys() & {"method", "train_on"}:
        yield document.problem(
            path, "E506", f"the run {run.id!r} says neither its method nor what it trains on",
            "add method: fine_tune_cot or another, or train_on",
        )  # fmt: skip
        return
    place = _given(document, run, "prompt")
    if run.prompt == KEPT and run.train_on in (NOTHING, ANSWERS):
        yield document.problem(
            place, "E506", f"a run on {run.train_on} has no strategy whose prompt it could keep",
            "take `prompt` out, or train on a strategy",
        )  # fmt: skip
    if run.prompt not in (ERASED, KEPT) and run.train_on != NOTHING:
        yield document.problem(
            place, "E506", "a student is prompted as it was trained",
            "write prompt: kept, or train_on: nothing",
        )  # fmt: skip
    if run.format and run.prompt != ERASED:
        yield document.problem(
            (*path, "format"), "E506", f"the format {run.format_name!r} has a prompt of its own",
            "take `format` out, or `prompt`",
        )  # fmt: skip


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
        return
    urls = teacher.get("base_url")
    if isinstance(urls, list) and len(urls) > 1 and not teacher.get("identity"):
        yield project.document.problem(
            ("teacher", "base_url"), "E502", "several base URLs need an identity",
            "add teacher.identity, a name for what they all serve: answers are kept under it",
        )  # fmt: skip
    if teacher["engine"] == "local" and teacher.get("top_logprobs"):
        yield project.document.problem(
            ("teacher", "top_logprobs"), "E502", "the local teacher keeps no log-probabilities",
            "take top_logprobs out, or ask an endpoint",
        )  # fmt: skip
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
    ("local", "model"): "write a Hub id with its revision, a folder, or student",
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
        elif _chooses(params.trained(task)) and params.fallback not in candidates:
            lacking.append(task.id)
    if lacking and params.fallback in project.known_strategies:
        yield project.document.problem(
            ("select", "fallback"), "E505",
            f"the fallback {params.fallback!r} is not a candidate of {', '.join(lacking)}",
            "name it in probe.strategies and among the task's strategies, or choose another",
        )  # fmt: skip


def _splits(project: Project) -> Iterator[Problem]:
    """Runs that need rows which a task does not have."""
    for run in project.params.runs:
        covered = [task for task in project.tasks.values() if run.covers(task)]
        needs = {"train": "trains on"} if run.train_on != NOTHING else {}
        if run.train_on == SELECTED:
            needs["probe"] = "selects a strategy for"
        for task in covered:
            for split, told in needs.items():
                if split not in task.splits:
                    yield project.task_document(task).problem(
                        ("data", "splits"), "E508",
                        f"the run {run.id!r} {told} {task.id}, which has no {split} rows",
                        f"add the split {split}, or leave the task out by `tasks` of the run",
                        key=True,
                    )  # fmt: skip
        if needs and covered and not any("valid" in task.splits for task in covered):
            yield project.document.problem(
                ("runs", run.id), "E508",
                f"no task of the run {run.id!r} has valid rows, which choose the checkpoint",
                "add the split valid to one of its tasks",
            )  # fmt: skip


def _chooses(trained: Mapping[str, Any]) -> bool:
    return bool(trained["selects"] or trained["ranks"])


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


def task_links(specs: Specs, task: Task) -> Iterator[Problem]:
    """Every name in a task, and its answers against its strategies."""
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
        elif (
            path[0] == "strategies"
            and name in specs.strategies
            and "exemplars" in specs.strategies[name].uses
            and not task.exemplars
        ):
            yield document.problem(
                path, "E209", f"the strategy {name!r} shows exemplars, and this task has none",
                "add `exemplars` with question, rationale and answer, or drop the strategy",
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
