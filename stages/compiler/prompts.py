"""Rows rendered into what teacher and student are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import TemplateError

from stages.compiler.rows import Row
from stages.core.errors import Problem, UserError, user_error
from stages.spec.model import Strategy, Task
from stages.spec.project import Project

Messages = list[dict[str, str]]


def check_templates(project: Project) -> list[Problem]:
    """Existence, syntax and variables of every template that a strategy names (E3)."""
    problems: list[Problem] = []
    templates = project.templates
    for strategy in project.strategies.values():
        document = project.documents[strategy.file]
        for name in dict.fromkeys(strategy.templates):
            path = (templates.folder / name).resolve()
            if not path.is_relative_to(templates.folder.resolve()):
                problems.append(
                    document.problem((), "E304", f"the template {name!r} is outside templates/")
                )
            elif not path.is_file():
                problems.append(
                    document.problem(
                        _named(strategy, name), "E301", f"there is no template templates/{name}",
                        "create it, or name one that exists",
                    )
                )  # fmt: skip
            else:
                known = frozenset(strategy.uses)
                if name == strategy.target:
                    known |= {"rationale", "answer", "completion"}
                problems += templates.check(name, known, f"strategy {strategy.id}")
    return problems


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


def check_recorded(project: Project, task: Task, rows: list[Row]) -> None:
    """The recorded teacher answers only strategies that its rows hold (E501)."""
    if project.params.teacher["engine"] != "recorded":
        return
    document = project.documents[task.file]
    held = {strategy for row in rows for strategy in row.worked}
    problems = []
    for strategy in project.params.taught(task):
        lacking = [row.id for row in rows if strategy not in row.worked]
        if lacking:
            offer = ", ".join(sorted(held)) or "none"
            problems.append(
                document.problem(
                    ("row", "worked") if "worked" in task.row else ("row",), "E501",
                    f"the recorded teacher has no {strategy} rationale for {len(lacking)} of "
                    f"{len(rows)} train rows, the first is {lacking[0]}",
                    f"it holds: {offer}; drop the strategy for this task, "
                    "or put an LLM endpoint in the recorded teacher's place (params.yaml, teacher)",
                )
            )  # fmt: skip
    if problems:
        raise UserError(problems)


def erasure_conflicts(project: Project) -> Iterator[Problem]:
    """A run that mixes strategies needs one student prompt, else the prompt tells them apart."""
    document = project.documents["params"]
    for run in project.params.runs:
        if run.train_on != "selected":
            continue
        for task in project.tasks.values():
            pairs = {
                (s.student_system, s.student_user)
                for s in (project.strategies[name] for name in project.params.candidates(task))
            }
            if task.suite in run.suites and len(pairs) > 1:
                yield document.problem(
                    ("runs", run.id), "E504",
                    f"the candidates of {task.id} have different student prompts, "
                    "so the strategy would not be erased",
                    "give their student blocks the same system and user templates",
                )  # fmt: skip
