"""What compile writes: one file per consumer, so that a costly stage depends on that alone.

``build/compiled/suites/<suite>/``: ``tasks.json`` how to score; ``probe.jsonl`` the student's
questions under every strategy; ``train.jsonl`` the teacher's questions under every strategy.
``build/compiled/runs/<run>/``: ``valid.jsonl``, ``test.jsonl``, ``tasks.json``.
``build/compiled/targets.json``: the template of the training text, by strategy.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stages.compiler.prompts import (
    ANSWERS,
    Renderer,
    check_recorded,
    check_rendering,
    check_templates,
    erasure_conflicts,
    variables,
)
from stages.compiler.rows import SPLITS, Row, check_examples, task_rows
from stages.core.errors import Problem, UserError
from stages.core.jsonl import digest, write_json, write_rows
from stages.spec.model import Run, Task
from stages.spec.project import Project, load_project, load_specs

Rows = dict[tuple[str, str], dict[str, list[Row]]]

BY_SUITE = ("probe", "selected", "rationales", "curated", "yield")
BY_RUN = ("mix", "checkpoints", "training", "evaluations")


def checked(root: Path) -> tuple[Project, Rows]:
    """Load the project and all rows; raises `UserError` with every problem found."""
    specs, problems = load_specs(root)
    project, found = load_project(specs)
    problems += found
    unlinked = bool(problems)
    problems += check_templates(specs)
    for task in specs.tasks.values():
        problems += check_examples(task, specs.task_document(task))
    rows: Rows = {}
    for key, task in project.tasks.items() if project else ():
        try:
            rows[key] = task_rows(task, root, specs.task_document(task))
        except UserError as error:
            problems += error.problems
    if project is None or unlinked:  # what follows looks up what is linked
        raise UserError(problems)
    problems += erasure_conflicts(project)
    for key, made in rows.items():
        problems += check_recorded(project, project.tasks[key], made["train"])
    if not problems:
        for key, made in rows.items():
            problems += check_rendering(project, project.tasks[key], made)
    if problems:
        raise UserError(problems)
    return project, rows


def write(project: Project, rows: Rows, out: Path) -> dict[str, Any]:
    """Write all compiled files under `out` and return the manifest."""
    renderer = Renderer(project)
    for suite in project.params.suites:
        tasks = project.suite(suite)
        folder = out / "suites" / suite
        write_json(folder / "tasks.json", {task.id: scoring(project, task) for task in tasks})
        write_rows(folder / "probe.jsonl", _asked(project, renderer, rows, tasks, "probe"))
        write_rows(folder / "train.jsonl", _asked(project, renderer, rows, tasks, "train"))
    for run in project.params.runs:
        tasks = [task for suite in run.suites for task in project.suite(suite)]
        folder = out / "runs" / run.id
        write_json(folder / "tasks.json", {task.id: scoring(project, task) for task in tasks})
        for split in ("valid", "test"):
            write_rows(
                folder / f"{split}.jsonl", _examined(project, renderer, rows, run, tasks, split)
            )
    templates = project.templates
    targets = {name: templates.source(s.target) for name, s in project.strategies.items()}
    write_json(out / "targets.json", {**targets, "answers": templates.source(ANSWERS)})
    return manifest(project, rows, renderer)


def scoring(project: Project, task: Task) -> dict[str, Any]:
    """What the stages behind compile need to know of a task."""
    return {
        "suite": task.suite,
        "title": task.title,
        "answer": {"type": task.answer_type, "extract": list(task.extract), "marker": task.marker},
        "candidates": list(project.params.candidates(task)),
        **project.params.trained(task),
    }


def _asked(
    project: Project, renderer: Renderer, rows: Rows, tasks: list[Task], split: str
) -> Iterator[dict[str, Any]]:
    probing = split == "probe"
    for task in tasks:
        names = project.params.candidates(task) if probing else project.params.taught(task)
        student = project.strategies[project.params.candidates(task)[0]]
        for row in rows[(task.suite, task.id)][split]:
            record = _record(row)
            record["prompts"] = {
                name: {
                    "messages": renderer.asked(project.strategies[name], task, row),
                    "max_tokens": project.strategies[name].calls[0].max_tokens,
                }
                for name in names
            }
            if not probing:
                record["variables"] = variables(task, row)
                record["worked"] = {name: row.worked[name] for name in names if name in row.worked}
                record["student"] = {
                    name: renderer.erased(project.strategies[name], task, row) for name in names
                }
                record["student"]["answers"] = renderer.erased(student, task, row)
            yield record


def _examined(
    project: Project, renderer: Renderer, rows: Rows, run: Run, tasks: list[Task], split: str
) -> Iterator[dict[str, Any]]:
    for task in tasks:
        student = project.student_of(run.train_on, task)
        for row in rows[(task.suite, task.id)][split]:
            yield {**_record(row), "messages": renderer.erased(student, task, row)}


def _record(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "task": row.task,
        "question": row.question,
        "gold": row.gold,
        "options": list(row.options),
    }


def manifest(project: Project, rows: Rows, renderer: Renderer) -> dict[str, Any]:
    """Checksums of all that was compiled; in Git, so that two commits can be compared."""
    templates = project.templates
    used = sorted({name for s in project.strategies.values() for name in s.templates})
    return {
        "version": 1,
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
                "candidates": list(project.params.candidates(task)),
                "rows": {split: len(rows[(suite, name)][split]) for split in SPLITS},
                "prompts": _prompt_digests(project, renderer, task, rows[(suite, name)]),
            }
            for (suite, name), task in project.tasks.items()
        },
    }


def _prompt_digests(
    project: Project, renderer: Renderer, task: Task, rows: Mapping[str, list[Row]]
) -> dict[str, str]:
    names = dict.fromkeys([*project.params.candidates(task), *project.params.taught(task)])
    return {
        name: digest(
            [
                renderer.asked(project.strategies[name], task, row)
                for split in ("probe", "train")
                for row in rows[split]
            ]
        )
        for name in names
    }


def _sha(project: Project, file: str) -> str:
    return digest((project.root / file).read_text(encoding="utf-8"))


def prune(project: Project, build: Path) -> None:
    """Remove outputs of suites and runs that params.yaml no longer names.

    Stages that fan in depend on whole folders; a left-over file would make their hash differ
    from that of a fresh clone.
    """
    runs = [run.id for run in project.params.runs]
    for folders, names in ((BY_SUITE, project.params.suites), (BY_RUN, runs)):
        for folder in folders:
            for path in (build / folder).glob("*"):
                if path.name.split(".")[0] not in names:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def problems_of(root: Path) -> list[Problem]:
    """Every problem of the project, empty when it compiles."""
    try:
        checked(root)
    except UserError as error:
        return error.problems
    return []
