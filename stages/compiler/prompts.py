"""Rows rendered into what teacher and student are sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from stages.compiler.rows import Row
from stages.core.errors import Problem, UserError, user_error
from stages.spec.model import Strategy, Task
from stages.spec.project import Project, Specs

Messages = list[dict[str, str]]

ANSWERS = "student/answer.j2"
"""The training text of runs that train on the gold answers alone."""
ROW_VARIABLES = frozenset({"question", "options", "answer_marker"})


def check_templates(specs: Specs) -> list[Problem]:
    """Existence, syntax and variables of every template that a strategy names (E3)."""
    problems: list[Problem] = []
    templates = specs.templates
    for strategy in specs.strategies.values():
        document = specs.documents[strategy.file]
        for name in dict.fromkeys(strategy.templates):
            where = _named(strategy, name)
            inside, there = _state(templates.folder, name)
            if not inside:
                problems.append(
                    document.problem(
                        where, "E304", f"the template {name!r} is outside templates/",
                        "copy it there and write its path from there",
                    )
                )  # fmt: skip
            elif not there:
                message = f"there is no template templates/{name}"
                hint = _similar(templates.folder, name) or "create it"
                problems.append(document.problem(where, "E301", message, hint))
            else:
                known = frozenset(strategy.uses)
                offered = ROW_VARIABLES
                if name == strategy.target:
                    known |= {"rationale", "answer"}
                problems += templates.check(name, known, offered, f"strategy {strategy.id}")
    if not (templates.folder / ANSWERS).is_file():
        problems.append(
            Problem(
                f"templates/{ANSWERS}", 0, 0, "E301", "this template is not there",
                "create it: runs that train on answers are written with it",
            )
        )  # fmt: skip
    else:
        known = ROW_VARIABLES | {"answer"}
        problems += templates.check(ANSWERS, known, frozenset(), "runs that train on answers")
    return problems


def _state(folder: Path, name: str) -> tuple[bool, bool]:
    """Whether the name stays in the folder, and whether it is a file's."""
    try:
        path = (folder / name).resolve()
        return path.is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError):  # no file can have such a name
        return True, False


def _similar(folder: Path, name: str) -> str:
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*.j2")]
    close = difflib.get_close_matches(name, sorted(files), n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _named(strategy: Strategy, name: str) -> tuple[Any, ...]:
    call = strategy.calls[0]
    places: dict[str | None, tuple[Any, ...]] = {
        strategy.student_system: ("student", "system"),
        strategy.student_user: ("student", "user"),
        strategy.target: ("student", "target"),
        call.user: ("calls", 0, "user"),
        call.system: ("calls", 0, "system"),
    }
    return places[name]


class Renderer:
    """Renders a task's rows; a template's failure names the template, the task and the row."""

    def __init__(self, project: Project) -> None:
        self._templates = project.templates

    def asked(self, strategy: Strategy, task: Task, row: Row) -> Messages:
        """The messages that teacher and probed student get under the strategy."""
        call = strategy.calls[0]
        return self._messages(call.system, call.user, task, row)

    def erased(self, strategy: Strategy, task: Task, row: Row) -> Messages:
        """The student's own messages, with the strategy erased (Orca 2, section 4)."""
        return self._messages(strategy.student_system, strategy.student_user, task, row)

    def target(self, strategy: Strategy, task: Task, row: Row) -> str:
        """The training text, had the teacher's rationale been the one given."""
        values = {"rationale": "Because.", "answer": row.gold, **variables(task, row)}
        return self._render(strategy.target, values, row)

    def _messages(self, system: str | None, user: str, task: Task, row: Row) -> Messages:
        values = variables(task, row)
        made = [{"role": "system", "content": self._render(system, values, row)}] if system else []
        return [*made, {"role": "user", "content": self._render(user, values, row)}]

    def _render(self, name: str, values: Mapping[str, Any], row: Row) -> str:
        try:
            return self._templates.render(name, values)
        except TemplateError as error:
            raise user_error(
                self._templates.file(name), "E305", f"rendering row {row.id} fails: {error}"
            ) from None


def variables(task: Task, row: Row) -> dict[str, Any]:
    """What a prompt template may read. Never the gold answer or a worked solution."""
    return {"question": row.question, "options": list(row.options), "answer_marker": task.marker}


def check_rendering(project: Project, task: Task, rows: Mapping[str, list[Row]]) -> list[Problem]:
    """Each strategy on the first row of each split, so that a check finds what compile would."""
    renderer = Renderer(project)
    used = dict.fromkeys([*project.params.candidates(task), *project.params.taught(task)])
    problems: list[Problem] = []
    for strategy in (project.strategies[name] for name in used):
        for row in (part[0] for part in rows.values() if part):
            for render in (renderer.asked, renderer.erased, renderer.target):
                try:
                    render(strategy, task, row)
                except UserError as error:
                    problems += error.problems
    return problems


def check_recorded(project: Project, task: Task, rows: list[Row]) -> Iterator[Problem]:
    """The recorded teacher answers only strategies that its rows hold (E501)."""
    if project.params.teacher["engine"] != "recorded":
        return
    document = project.task_document(task)
    held = {strategy for row in rows for strategy in row.worked}
    for strategy in project.params.taught(task):
        lacking = [row.id for row in rows if strategy not in row.worked]
        if lacking:
            offer = ", ".join(sorted(held)) or "none"
            yield document.problem(
                ("row", "worked") if "worked" in task.row else ("row",), "E501",
                f"the recorded teacher has no {strategy} rationale for {len(lacking)} of "
                f"{len(rows)} train rows, the first is {lacking[0]}",
                f"it holds: {offer}; drop the strategy for this task, "
                "or put an LLM endpoint in the recorded teacher's place (params.yaml, teacher)",
            )  # fmt: skip


def erasure_conflicts(project: Project) -> Iterator[Problem]:
    """A run that mixes strategies needs one student prompt, else the prompt tells them apart."""
    for run in project.params.runs:
        if run.train_on != "selected":
            continue
        for task in project.tasks.values():
            pairs = {
                (s.student_system, s.student_user)
                for s in (project.strategies[name] for name in project.params.candidates(task))
            }
            if task.suite in run.suites and len(pairs) > 1:
                yield project.document.problem(
                    ("runs", run.id), "E504",
                    f"the candidates of {task.id} have different student prompts, "
                    "so the strategy would not be erased",
                    "give their student blocks the same system and user templates",
                )  # fmt: skip
