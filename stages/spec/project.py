"""What a project declares: params, tasks, strategies, and the files they were read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stages.spec.document import Document
from stages.spec.model import Params, Strategy, Task
from stages.spec.render import Templates


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
