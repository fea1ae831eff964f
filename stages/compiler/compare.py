"""What changed between two compiled projects: specs, templates, prompts and requests."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stages.compiler.check import Rows
from stages.compiler.prompts import Messages, Renderer
from stages.compiler.rows import Row
from stages.core.jsonl import digest
from stages.spec.model import Task
from stages.spec.project import Project

SPLITS = ("probe", "train")
"""Splits whose rows are asked under a strategy."""


@dataclass
class Prompts:
    """The prompts of one task under one strategy, now and then.

    Args:
        changed: (row, prompt then, prompt now) of questions that both have, under one row id or
            with the same text, and whose prompt differs.
        added: Rows that are new.
        removed: How many rows are gone.
    """

    task: str
    strategy: str
    changed: list[tuple[str, str, str]] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: int = 0


def changed_files(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    """One line a file: added, removed or changed. Both map a file to its digest."""
    for file in sorted({*old, *new}):
        if file not in old:
            yield f"added    {file}"
        elif file not in new:
            yield f"removed  {file}"
        elif old[file] != new[file]:
            yield f"changed  {file}"


def sources(project: Project) -> dict[str, str]:
    """Digests of the files that a project compiles from."""
    files = {strategy.file for strategy in project.strategies.values()}
    for task in project.tasks.values():
        files |= {task.file, *project.task_document(task).included}
    for strategy in project.strategies.values():
        files |= {f"templates/{name}" for name in strategy.templates}
    found = {file: digest((project.root / file).read_text(encoding="utf-8")) for file in files}
    found["params.yaml"] = digest(project.document.data)
    return found


def changed_prompts(old: tuple[Project, Rows], new: tuple[Project, Rows]) -> Iterator[Prompts]:
    """Every task and strategy whose rendered prompts differ, in the order of the specs."""
    for key, task in new[0].tasks.items():
        for strategy in _strategies(new[0], task):
            then = _rendered(*old, key, strategy)
            now = _rendered(*new, key, strategy)
            found = Prompts("/".join(key), strategy)
            for name, prompt in now.items():
                if name not in then:
                    found.added.append(name)
                elif then[name] != prompt:
                    found.changed.append((name, then[name], prompt))
            found.removed = len(then.keys() - now.keys())
            if found.changed or found.added or found.removed:
                yield found


def _strategies(project: Project, task: Task) -> Sequence[str]:
    names = dict.fromkeys([*project.params.candidates(task), *project.params.taught(task)])
    return list(names)


def _rendered(project: Project, rows: Rows, key: tuple[str, str], strategy: str) -> dict[str, str]:
    """Prompts by row id as text; none when the project has no such task or strategy."""
    task = project.tasks.get(key)
    if task is None or strategy not in _strategies(project, task):
        return {}
    renderer, chosen = Renderer(project), project.strategies[strategy]
    return {
        row.id: shown(renderer.asked(chosen, task, row))
        for split in SPLITS
        for row in _split(rows, key, split)
    }


def _split(rows: Rows, key: tuple[str, str], split: str) -> Sequence[Row]:
    return rows[key][split] if key in rows else ()


def shown(messages: Messages) -> str:
    """A prompt as text for reading."""
    return "".join(f"[{message['role']}]\n{message['content']}\n" for message in messages)


def text_diff(name: str, old: str, new: str) -> Iterator[str]:
    """A unified diff of two prompts."""
    yield from difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"{name} then", f"{name} now", lineterm="", n=1
    )
