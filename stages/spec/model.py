"""Specs as typed, frozen values; built only from data that its JSON Schema accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from stages.spec.methods import (
    ERASED,
    FORMATS,
    KEPT,
    KINDS,
    NOTHING,
    SELECTED,
    TEACHER_BEST,
    Format,
    settings,
)

DEFAULT_MARKER = "The answer is"
PROMPT, FINETUNE = "prompt", "finetune"
"""Modes of the probe: what the student can do, and what it can learn."""
PROBE: Mapping[str, Any] = MappingProxyType(
    {"mode": PROMPT, "rows": 48, "epochs": 2, "learning_rate": 3e-3, "rank": 16, "seed": 1}
)
TIE = 0.2
RANKED_ROWS = 50


@dataclass(frozen=True)
class Task:
    """One kind of question; see ``specs/schema/task.schema.json`` for each field."""

    id: str
    suite: str
    title: str
    file: str
    source: Mapping[str, Any]
    splits: Mapping[str, Mapping[str, Any]]
    row: Mapping[str, Any]
    answer_type: str
    marker: str
    extract: Sequence[Mapping[str, Any]]
    strategies: tuple[str, ...]
    examples: Sequence[Mapping[str, Any]]
    group_by: Any = None
    exemplars: Sequence[Mapping[str, str]] = ()
    duplicates: str = "refuse"
    license: str = ""

    @staticmethod
    def of(data: Mapping[str, Any], suite: str, file: str) -> Task:
        """From checked YAML data."""
        answer = data["answer"]
        return Task(
            id=data["id"],
            suite=suite,
            title=data["title"],
            file=file,
            source=data["data"]["source"],
            splits=data["data"]["splits"],
            row=data["row"],
            answer_type=answer["type"],
            marker=answer.get("marker", DEFAULT_MARKER),
            extract=answer["extract"],
            strategies=tuple(data["strategies"]),
            examples=data["examples"],
            group_by=data["data"].get("group_by"),
            exemplars=data.get("exemplars", ()),
            duplicates=data["data"].get("duplicates", "refuse"),
            license=data["data"].get("license", ""),
        )


@dataclass(frozen=True)
class Call:
    """One request to teacher or student: templates by name, limit in new tokens.

    `continues`, `gives` and `stop` are as in the schema.
    """

    system: str | None
    user: str
    max_tokens: int
    continues: bool = False
    gives: str = "rationale"
    stop: str = ""


@dataclass(frozen=True)
class Strategy:
    """A way to reason; see ``specs/schema/strategy.schema.json``."""

    id: str
    title: str
    file: str
    answer_types: tuple[str, ...]
    calls: tuple[Call, ...]
    student_system: str
    student_user: str
    target: str
    uses: tuple[str, ...]

    @staticmethod
    def of(data: Mapping[str, Any], file: str) -> Strategy:
        """From checked YAML data."""
        student = data["student"]
        return Strategy(
            id=data["id"],
            title=data["title"],
            file=file,
            answer_types=tuple(data["for"]),
            calls=tuple(
                Call(
                    call.get("system"),
                    call["user"],
                    call["max_tokens"],
                    call.get("continues", False),
                    call.get("gives", "rationale"),
                    call.get("stop", ""),
                )
                for call in data["calls"]
            ),
            student_system=student["system"],
            student_user=student["user"],
            target=student["target"],
            uses=tuple(data["uses"]),
        )

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template the strategy names, in order of use."""
        calls = [name for call in self.calls for name in (call.system, call.user) if name]
        return (*calls, self.student_system, self.student_user, self.target)


@dataclass(frozen=True)
class Run:
    """One way to train and prompt the student; see ``specs/schema/params.schema.json``.

    Args:
        train_on: One of `KINDS`, or a strategy's id.
        suites: Whose tasks the run is trained and measured on.
        tasks: Those of them that are; all when empty.
        prompt: `ERASED`, `KEPT`, or a strategy's id.
        format_name: A key of `FORMATS`.
        train: What differs from the section ``train``.
    """

    id: str
    train_on: str
    suites: tuple[str, ...]
    tasks: tuple[str, ...] = ()
    prompt: str = ERASED
    format_name: str = "chat"
    train: Mapping[str, Any] = field(default_factory=dict)

    @property
    def format(self) -> Format | None:
        """The templates in place of chat turns; None for chat turns."""
        return FORMATS[self.format_name]

    @property
    def prompted(self) -> str | None:
        """The strategy whose prompt the student sees; None when it is each task's chosen one."""
        if self.prompt == KEPT:
            return None if self.train_on in KINDS else self.train_on
        return None if self.prompt == ERASED else self.prompt

    def covers(self, task: Task) -> bool:
        """Whether the task is one of this run's."""
        return task.suite in self.suites and (not self.tasks or task.id in self.tasks)


@dataclass(frozen=True)
class Params:
    """``params.yaml``; sections without cross-references stay plain mappings."""

    suites: tuple[str, ...]
    tasks: Mapping[str, Sequence[str]]
    student: Mapping[str, Any]
    teacher: Mapping[str, Any]
    probe: Mapping[str, Any]
    fallback: str
    tie: float
    teach: Mapping[str, Any]
    curate: Mapping[str, Any]
    runs: tuple[Run, ...]
    train: Mapping[str, Any]
    evaluate: Mapping[str, Any]
    runtime: Mapping[str, Any]

    @staticmethod
    def of(data: Mapping[str, Any]) -> Params:
        """From checked YAML data."""
        suites = tuple(data["suites"])
        return Params(
            suites=suites,
            tasks=data["tasks"] or {},
            student=data["student"],
            teacher=data["teacher"],
            probe={**PROBE, **data["probe"]},
            fallback=data["select"]["fallback"],
            tie=data["select"].get("tie", TIE),
            teach=data["teach"],
            curate=data["curate"],
            runs=tuple(
                Run(
                    name,
                    run.get("train_on", NOTHING),
                    tuple(run.get("suites", suites)),
                    tuple(run.get("tasks", ())),
                    run.get("prompt", ERASED),
                    run.get("format", "chat"),
                    run.get("train", {}),
                )
                for name, run in ((name, settings(run)) for name, run in data["runs"].items())
            ),
            train=data["train"],
            evaluate=data["evaluate"],
            runtime=data["runtime"],
        )

    @property
    def samples(self) -> int:
        """D: rationales a row."""
        return int(self.teach["samples"])

    @property
    def rows(self) -> int | None:
        """The most train rows of a task that are used, the first ones; None for all."""
        return self.teach.get("rows")

    @property
    def ranked_rows(self) -> int:
        """Train rows a task on which the teacher is tried under every candidate."""
        return int(self.teach.get("ranked_rows", RANKED_ROWS))

    def names(self, suite: str, task: str) -> bool:
        """Whether the task is one that is run."""
        return suite in self.suites and task in self.tasks.get(suite, [task])

    def candidates(self, task: Task) -> tuple[str, ...]:
        """Strategies that the probe tries on a task, in the task's order."""
        chosen = self.probe["strategies"]
        return tuple(s for s in task.strategies if chosen == "all" or s in chosen)

    def probed(self, task: Task) -> tuple[str, ...]:
        """The candidates, where a run selects among them."""
        return self.candidates(task) if self.trained(task)["selects"] else ()

    def learned(self, task: Task) -> tuple[str, ...]:
        """The candidates that the student learns from some train rows before one is selected."""
        return self.probed(task) if self.probe["mode"] == FINETUNE else ()

    def trained(self, task: Task) -> dict[str, Any]:
        """What runs train on: ``fixed`` strategies, whether one ``selects`` the student's best,
        and whether one ``ranks`` them by the teacher.
        """
        kinds = [run.train_on for run in self.runs if run.covers(task)]
        fixed = [kind for kind in kinds if kind not in KINDS]
        return {
            "fixed": list(dict.fromkeys(fixed)),
            "selects": SELECTED in kinds,
            "ranks": TEACHER_BEST in kinds,
        }

    def taught(self, task: Task) -> tuple[str, ...]:
        """Strategies under which the teacher may have to answer the task's train rows."""
        trained = self.trained(task)
        chosen = self.candidates(task) if trained["selects"] or trained["ranks"] else ()
        return tuple(dict.fromkeys([*trained["fixed"], *chosen]))
