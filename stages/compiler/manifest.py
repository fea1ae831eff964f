"""``build/manifest.json``: checksums of all that was compiled, in Git, to compare commits by."""

from __future__ import annotations

import hashlib
from typing import Any

from stages.compiler.check import Rows, TaskRows
from stages.compiler.prompts import Messages
from stages.compiler.rows import SPLITS
from stages.core.jsonl import digest
from stages.spec.model import Task
from stages.spec.project import Project


class Digests:
    """A running digest of the prompts of each task under each strategy."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Any] = {}

    def add(self, task: Task, strategy: str, messages: Messages) -> None:
        """The next row's prompt."""
        key = task.suite, task.id, strategy
        if key not in self._found:
            self._found[key] = hashlib.sha256()
        text = "\0".join(f"{message['role']}\0{message['content']}" for message in messages)
        self._found[key].update(text.encode(errors="surrogatepass") + b"\0\0")

    def of(self, task: Task) -> dict[str, str]:
        """Hex SHA-256 by strategy, of the task's probe and train prompts in order."""
        return {
            strategy: found.hexdigest()
            for (suite, name, strategy), found in self._found.items()
            if (suite, name) == (task.suite, task.id)
        }


def manifest(project: Project, rows: Rows, digests: Digests) -> dict[str, Any]:
    """Every task, strategy and template with its checksum, and what depends on what."""
    templates = project.templates
    used = sorted({name for s in project.strategies.values() for name in s.templates})
    return {
        "version": 2,
        "suites": list(project.params.suites),
        "runs": {run.id: run.train_on for run in project.params.runs},
        "strategies": {
            name: {
                "file": s.file,
                "sha256": _sha(project, s.file),
                "templates": sorted(set(s.templates)),
            }
            for name, s in project.strategies.items()
        },
        "templates": {name: digest(templates.source(name)) for name in used},
        "tasks": {
            f"{suite}/{name}": {
                "file": task.file,
                "sha256": _sha(project, task.file),
                "includes": {
                    file: _sha(project, file) for file in project.task_document(task).included
                },
                "source": dict(task.source),
                "candidates": list(project.params.candidates(task)),
                "taught": list(project.params.taught(task)),
                "rows": {split: len(rows[(suite, name)][split]) for split in SPLITS},
                **_repeated(rows[(suite, name)], task),
                "prompts": digests.of(task),
            }
            for (suite, name), task in project.tasks.items()
        },
    }


def _repeated(rows: TaskRows, task: Task) -> dict[str, Any]:
    if task.duplicates == "refuse":
        return {}
    return {"duplicates": {split: rows[split].repeated for split in SPLITS}}


def _sha(project: Project, file: str) -> str:
    return digest((project.root / file).read_text(encoding="utf-8"))
