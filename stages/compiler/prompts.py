"""Rows rendered into what teacher and student are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from jinja2 import TemplateError

from stages.compiler.rows import Row
from stages.core.errors import Problem, UserError
from stages.spec.lint import LINE_END
from stages.spec.methods import ERASED, SELECTED, TEACHER_BEST
from stages.spec.model import Strategy, Task
from stages.spec.project import Project
from stages.spec.render import line_of

Messages = list[dict[str, str]]
PER_TASK = frozenset({"answer_marker", "exemplars"})
"""Variables that are the same in every row of a task."""


class Renderer:
    """Renders a task's rows; a template's failure names the template, the task and the row."""

    def __init__(self, project: Project) -> None:
        self._templates = project.templates
        self._texts: dict[tuple[str, str, str], str] = {}
        self._row: Row | None = None
        self._row_texts: dict[str, str] = {}

    def asked(self, strategy: Strategy, task: Task, row: Row) -> Messages:
        """The messages of the strategy's first call, to the teacher and to the probed student."""
        call = strategy.calls[0]
        return self._messages(call.system, call.user, task, row)

    def plain(self, name: str, task: Task, row: Row) -> Messages:
        """The prompt of a format without turns."""
        return self._messages(None, name, task, row)

    def erased(self, strategy: Strategy, task: Task, row: Row) -> Messages:
        """The student's own messages, with the strategy erased (Orca 2, section 4)."""
        return self._messages(strategy.student_system, strategy.student_user, task, row)

    def text(self, name: str, task: Task, row: Row) -> str:
        """Any template of a strategy, with words that stand for the teacher's."""
        values: dict[str, Any] = {"rationale": "Because.", "answer": row.gold, "reply": "Because."}
        values |= {"exemplars": list(task.exemplars), **variables(task, row)}
        return self._render(name, values, row)

    def _messages(self, system: str | None, user: str, task: Task, row: Row) -> Messages:
        values = {"exemplars": list(task.exemplars), **variables(task, row)}
        text = self._prompt(user, values, task, row)
        if system is None:
            return [{"role": "user", "content": text}]
        return [
            {"role": "system", "content": self._prompt(system, values, task, row)},
            {"role": "user", "content": text},
        ]

    def _prompt(self, name: str, values: Mapping[str, Any], task: Task, row: Row) -> str:
        if not self._templates.reads(name) <= PER_TASK:
            if (
                row is not self._row
            ):  # strategies share templates, and these depend on the row alone
                self._row, self._row_texts = row, {}
            if name not in self._row_texts:
                self._row_texts[name] = self._render(name, values, row)
            return self._row_texts[name]
        key = name, task.suite, task.id
        if key not in self._texts:
            self._texts[key] = self._render(name, values, row)
        return self._texts[key]

    def _render(self, name: str, values: Mapping[str, Any], row: Row) -> str:
        try:
            return self._templates.render(name, values)
        except TemplateError as error:
            line = line_of(error)
            source = LINE_END.split(self._templates.source(name))[line - 1] if line else ""
            raise UserError(
                [
                    Problem(
                        self._templates.file(name), line, min(line, 1), "E305",
                        f"rendering row {row.id} fails: {error}", "", source,
                    )
                ]
            ) from None  # fmt: skip


def variables(task: Task, row: Row) -> dict[str, Any]:
    """What a prompt template may read. Never the gold answer or a worked solution."""
    return {"question": row.question, "options": list(row.options), "answer_marker": task.marker}


def check_rendering(
    project: Project, task: Task, rows: Mapping[str, Sequence[Row]]
) -> list[Problem]:
    """Each strategy on the first row of each split, so that a check finds what compile would."""
    renderer = Renderer(project)
    used = dict.fromkeys([*project.params.candidates(task), *project.params.taught(task)])
    names = {name for key in used for name in project.strategies[key].templates}
    problems: list[Problem] = []
    for row in (part[0] for part in rows.values() if part):
        for name in sorted(names):
            try:
                renderer.text(name, task, row)
            except UserError as error:
                problems += error.problems
    return problems


def check_recorded(project: Project, task: Task, rows: Sequence[Row]) -> Iterator[Problem]:
    """The recorded teacher answers only strategies that its rows hold (E501), as often (E503)."""
    teacher = project.params.teacher
    if teacher["engine"] != "recorded" or teacher.get("recordings"):
        return
    document = project.task_document(task)
    taught, samples = project.params.taught(task), project.params.samples
    used = list(islice(((row.id, _counts(row)) for row in rows), project.params.rows))
    for strategy in taught:
        lacking = [row for row, counts in used if strategy not in counts]
        few = {
            row: counts[strategy] for row, counts in used if counts.get(strategy, samples) < samples
        }
        if lacking:
            held = {name for _, counts in used for name in counts}
            offer = ", ".join(sorted(held)) or "none"
            yield document.problem(
                ("row", "worked") if "worked" in task.row else ("row",), "E501",
                f"the recorded teacher has no {strategy} rationale for {len(lacking)} of "
                f"{len(used)} train rows, the first is {lacking[0]}",
                f"it holds: {offer}; drop the strategy for this task, "
                "or put an LLM endpoint in the recorded teacher's place (params.yaml, teacher)",
            )  # fmt: skip
        elif few:
            first, least = next(iter(few)), min(few.values())
            yield project.document.problem(
                ("teach", "samples"), "E503",
                f"the recorded teacher has fewer than {samples} {strategy} rationales for "
                f"{len(few)} of {len(used)} train rows of {task.id}, the first is {first} with "
                f"{few[first]}",
                f"set teach.samples to {least}, drop the strategy for this task, or put an LLM "
                "endpoint in the recorded teacher's place",
            )  # fmt: skip


def _counts(row: Row) -> dict[str, int]:
    return {strategy: len(texts) for strategy, texts in row.worked.items()}


def erasure_conflicts(project: Project) -> Iterator[Problem]:
    """A run that mixes strategies needs one student prompt, else the prompt tells them apart."""
    for run in project.params.runs:
        if run.train_on not in (SELECTED, TEACHER_BEST) or run.prompt != ERASED or run.format:
            continue
        for task in filter(run.covers, project.tasks.values()):
            pairs = {
                (s.student_system, s.student_user)
                for s in (project.strategies[name] for name in project.params.candidates(task))
            }
            if len(pairs) > 1:
                yield project.document.problem(
                    ("runs", run.id), "E504",
                    f"the candidates of {task.id} have different student prompts, "
                    "so the strategy would not be erased",
                    "give their student blocks the same system and user templates",
                )  # fmt: skip
