"""Every check of a project, for `compile` with its rows and for ``make check`` without them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.compiler.prompts import check_recorded, check_rendering, erasure_conflicts
from stages.compiler.rows import SPLITS, check_examples, task_rows
from stages.compiler.rows import Rows as Split
from stages.compiler.templates import check_templates
from stages.core.console import watch
from stages.core.errors import Problem, UserError
from stages.core.jsonl import digest
from stages.spec.cache import Cache
from stages.spec.model import Task
from stages.spec.project import Project, Specs
from stages.spec.read import load_project, load_specs

Key = tuple[str, str]
TaskRows = Mapping[str, Split]
Rows = dict[Key, TaskRows]

MANY = 64
"""So many tasks are worth a second process."""


@dataclass(frozen=True)
class Loaded:
    """What was read, and what is wrong with it apart from rows.

    Args:
        project: None when params.yaml has the wrong shape.
        problems: Of shape, links and templates.
        linked: Whether all names that files use are there to look up.
        renders: Whether every template is sound, so that rendering a row says something new.
    """

    specs: Specs
    project: Project | None
    problems: list[Problem]
    linked: bool
    renders: bool

    @staticmethod
    def of(root: Path, cache: Cache | None = None) -> Loaded:
        """Load and check all files under specs/ and templates/, and params.yaml."""
        specs, problems = load_specs(root, cache)
        project, found = load_project(specs)
        problems += found
        linked = not problems
        if project is not None and linked:
            problems += erasure_conflicts(project)
        templates = check_templates(specs)
        return Loaded(specs, project, [*problems, *templates], linked, not templates)

    def task(self, task: Task) -> tuple[list[Problem], TaskRows]:
        """One task: its examples, its rows, what the teacher holds, what the templates render."""
        project, document = self.project, self.specs.task_document(task)
        problems = check_examples(task, document)
        if project is not None and not project.params.names(task.suite, task.id):
            return problems, {}
        try:
            rows = task_rows(task, self.specs.root, document)
        except UserError as error:
            return [*problems, *error.problems], {}
        if project is not None and self.linked:
            problems += check_recorded(project, task, rows["train"])
            if self.renders and not problems:
                problems += check_rendering(project, task, rows)
        return problems, rows


def checked(root: Path, *, tell: bool = False) -> tuple[Project, Rows]:
    """Load the project and all rows; raises `UserError` with every problem found.

    Args:
        tell: Whether progress is told.
    """
    loaded = Loaded.of(root)
    problems, rows = list(loaded.problems), Rows()
    tasks = loaded.specs.tasks
    for key, task in watch(tasks.items(), len(tasks), "rows", "tasks", tell=tell):
        found, made = loaded.task(task)
        problems += found
        if made:
            rows[key] = made
    if loaded.project is None or problems:
        raise UserError(problems)
    return loaded.project, rows


def check(root: Path, *, tell: bool = False) -> str:
    """The same checks without keeping rows; tasks found clean before are skipped.

    Returns what was checked, for one line.

    Raises:
        UserError: With every problem found.
    """
    cache = Cache(root)
    loaded = Loaded.of(root, cache)
    specs, problems = loaded.specs, list(loaded.problems)
    params = loaded.project and loaded.project.document.data
    state = digest([params, loaded.linked, loaded.renders, _shared_files(specs)])
    counts: dict[Key, int] = {}
    todo: dict[Key, str] = {}
    for key, task in specs.tasks.items():
        name, held = cache.task(specs.task_document(task).data, task.source, state)
        if held is None:
            todo[key] = name
        else:
            counts[key] = held
    each = _each(loaded, list(todo))
    for key, found, count in watch(each, len(todo), "check", "tasks", tell=tell):
        problems += found
        counts[key] = count
        if not found:
            cache.keep_task(todo[key], count)
    cache.save()
    if problems or loaded.project is None:
        raise UserError(problems)
    return told(len(loaded.project.tasks), len(specs.strategies), sum(counts.values()))


def told(tasks: int, strategies: int, rows: int) -> str:
    """What was checked, for one line."""
    return f"{tasks} tasks, {strategies} strategies, {rows} rows"


def summary(project: Project, rows: Rows) -> str:
    """`told` of a compiled project."""
    total = sum(len(part) for splits in rows.values() for part in splits.values())
    return told(len(rows), len(project.strategies), total)


def problems_of(root: Path) -> list[Problem]:
    """Every problem of the project, empty when it compiles."""
    try:
        checked(root)
    except UserError as error:
        return error.problems
    return []


def _shared_files(specs: Specs) -> dict[str, Any]:
    """Strategies and templates, which decide over every task."""
    texts: dict[str, Any] = {}
    for strategy in specs.strategies.values():
        texts[strategy.file] = specs.documents[strategy.file].data
    folder = specs.templates.folder
    for name in {name for s in specs.strategies.values() for name in s.templates}:
        with suppress(OSError, ValueError):
            texts[name] = (folder / name).read_bytes().hex()
    return texts


Result = tuple[Key, list[Problem], int]


def _each(loaded: Loaded, keys: list[Key]) -> Iterator[Result]:
    processes = min(os.cpu_count() or 1, len(keys) // MANY + 1)
    if processes < 2 or "fork" not in multiprocessing.get_all_start_methods():
        yield from (_one(loaded, key) for key in keys)
        return
    global _shared
    _shared = loaded  # a forked process has it without a copy
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(_forked, keys, chunksize=MANY // 4)


_shared: Loaded | None = None


def _forked(key: Key) -> Result:
    assert _shared is not None
    return _one(_shared, key)


def _one(loaded: Loaded, key: Key) -> Result:
    problems, rows = loaded.task(loaded.specs.tasks[key])
    return key, problems, sum(len(rows[split]) for split in SPLITS) if rows else 0
