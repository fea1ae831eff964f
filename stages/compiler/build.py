"""What compile writes: one file per consumer, so that a costly stage depends on that alone.

``build/compiled/suites/<suite>/``: ``tasks.json`` how to score; ``calls.json`` the calls after the
first, of strategies that have any, and what they read of a task; ``probe.jsonl`` the student's
questions under every strategy; ``train.jsonl`` the teacher's questions under every strategy;
``lessons.json`` what a student that learns before it is probed needs besides, else nothing.
``build/compiled/runs/<run>/``: ``valid.jsonl``, ``test.jsonl``, ``tasks.json``, ``calls.json``.
``build/compiled/targets.json``: the template of the training text, by strategy.
``build/compiled/tests.jsonl``: the question of every test row, to keep them out of training.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from stages.compiler.check import Rows
from stages.compiler.manifest import Digests, manifest
from stages.compiler.prompts import Messages, Renderer, variables
from stages.compiler.rows import Row
from stages.compiler.templates import ANSWERS
from stages.core.console import watch
from stages.core.jsonl import write_json, write_rows
from stages.scoring.verify import stated
from stages.spec.methods import ERASED, FORMATS, KEPT, NOTHING
from stages.spec.model import Run, Strategy, Task
from stages.spec.project import Project

BY_SUITE = ("probe", "selected", "rationales", "ranked", "curated", "yield")
BY_RUN = ("mix", "checkpoints", "training", "evaluations")


def write(project: Project, rows: Rows, out: Path) -> dict[str, Any]:
    """Write all compiled files under `out`, a row at a time, and return the manifest."""
    renderer, digests = Renderer(project), Digests()

    def asked(split: str, tasks: list[Task]) -> Iterator[dict[str, Any]]:
        return _asked(project, renderer, digests, rows, tasks, split)

    for suite in project.params.suites:
        tasks = project.suite(suite)
        folder = out / "suites" / suite
        write_json(folder / "tasks.json", {task.id: scoring(project, task) for task in tasks})
        write_json(folder / "calls.json", suite_calls(project, suite))
        write_json(folder / "lessons.json", lessons(project, tasks))
        for split in ("probe", "train"):
            total = sum(len(rows[(suite, task.id)][split]) for task in tasks)
            told = watch(asked(split, tasks), total, f"compile {suite} {split}")
            write_rows(folder / f"{split}.jsonl", told)
    for run in project.params.runs:
        tasks = list(filter(run.covers, project.tasks.values()))
        folder = out / "runs" / run.id
        write_json(folder / "tasks.json", {task.id: examined(project, run, task) for task in tasks})
        write_json(folder / "calls.json", run_calls(project, run, tasks))
        for split in ("valid", "test"):
            write_rows(
                folder / f"{split}.jsonl", _examined(project, renderer, rows, run, tasks, split)
            )
    write_rows(out / "tests.jsonl", _tests(project, rows))
    templates = project.templates
    targets = {name: templates.source(s.target) for name, s in project.strategies.items()}
    targets["answers"] = templates.source(ANSWERS)
    for name, made in FORMATS.items():
        if made:
            targets[f"{name}/rationale"] = templates.source(made.rationale)
            targets[f"{name}/answers"] = templates.source(made.answer)
    write_json(out / "targets.json", targets)
    return manifest(project, rows, digests)


def scoring(project: Project, task: Task) -> dict[str, Any]:
    """What the stages behind compile need to know of a task."""
    return {
        "suite": task.suite,
        "title": task.title,
        "answer": {"type": task.answer_type, "extract": list(task.extract), "marker": task.marker},
        "candidates": list(project.params.candidates(task)),
        **project.params.trained(task),
    }


def lessons(project: Project, tasks: list[Task]) -> dict[str, Any]:
    """How rationales of the probe's candidates are scored, and the training text of each."""
    learned = {task.id: project.params.learned(task) for task in tasks}
    made = {task.id: scoring(project, task) for task in tasks if learned[task.id]}
    names = dict.fromkeys(name for each in learned.values() for name in each)
    source = project.templates.source
    return {
        "tasks": {
            name: {key: task[key] for key in ("answer", "candidates")}
            for name, task in made.items()
        },
        "targets": {name: source(project.strategies[name].target) for name in names},
    }


def examined(project: Project, run: Run, task: Task) -> dict[str, Any]:
    """`scoring`, with the extraction rules of the format that the run's student writes in."""
    made = scoring(project, task)
    if run.format:
        made["answer"]["extract"] = run.format.extract(run.train_on, list(task.extract))
        made["answer"]["stop"] = run.format.stop
    return made


def run_calls(project: Project, run: Run, tasks: list[Task]) -> dict[str, Any]:
    """`later_calls` of the strategy that an untrained student goes through; else none."""
    chain = [run.prompted] if run.train_on == NOTHING and run.prompted else []
    return later_calls(project, tasks, chain)


def later_calls(project: Project, tasks: list[Task], names: Iterable[str]) -> dict[str, Any]:
    """What follows a reply, by strategy, with the templates' texts; a task's exemplars by task."""
    source = project.templates.source
    calls: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    for strategy in (project.strategies[name] for name in names):
        if len(strategy.calls) > 1 or strategy.calls[0].stop:
            calls[strategy.id] = [
                {
                    "system": call.system and source(call.system),
                    "user": source(call.user),
                    "max_tokens": call.max_tokens,
                    "continues": call.continues,
                    "gives": call.gives,
                    **({"stop": call.stop} if call.stop else {}),
                }
                for call in strategy.calls
            ]
            if len(strategy.calls) > 1 and "exemplars" in strategy.uses:
                shown |= {task.id: list(task.exemplars) for task in tasks if task.exemplars}
    return {"calls": calls, "exemplars": shown}


def suite_calls(project: Project, suite: str) -> dict[str, Any]:
    """`later_calls` of the strategies that a suite is probed or taught under."""
    params, tasks = project.params, project.suite(suite)
    pairs = ((*params.probed(task), *params.taught(task)) for task in tasks)
    return later_calls(project, tasks, dict.fromkeys(name for pair in pairs for name in pair))


def asked_rows(project: Project, rows: Rows, suite: str, split: str) -> Iterator[dict[str, Any]]:
    """What ``probe.jsonl`` or ``train.jsonl`` of a suite holds."""
    return _asked(project, Renderer(project), Digests(), rows, project.suite(suite), split)


def _asked(
    project: Project,
    renderer: Renderer,
    digests: Digests,
    rows: Rows,
    tasks: list[Task],
    split: str,
) -> Iterator[dict[str, Any]]:
    probing = split == "probe"
    for task in tasks:
        names = project.params.probed(task) if probing else project.params.taught(task)
        if probing and not names:
            continue
        formats = {r.format_name: r.format for r in project.params.runs if r.covers(task)}
        most = None if probing else project.params.rows
        for row in islice(rows[(task.suite, task.id)][split], most):
            record = _record(row)
            record["variables"] = variables(task, row)
            record["prompts"] = prompts = {}
            for name in names:
                strategy = project.strategies[name]
                prompts[name] = _prompt(renderer, strategy, task, row)
                digests.add(task, name, prompts[name]["messages"])
            if probing and project.params.learned(task):
                record["student"] = _erased(project, renderer, task, row, names)
            if not probing:
                record["answer"] = stated(row.gold, task.answer_type)
                record |= _solutions(row, names, project.params.samples)
                record["student"] = _erased(project, renderer, task, row, names)
                for name, made in formats.items():
                    if made:
                        record["student"][name] = renderer.plain(made.user, task, row)
            yield record


def _solutions(row: Row, names: Iterable[str], samples: int) -> dict[str, Any]:
    """``worked``: by strategy the first solution; ``more_worked``, if wanted and there, the rest.

    Apart, so that whoever wants one solution of a row finds it the same whatever D is.
    """
    held = {name: row.worked[name][:samples] for name in names if name in row.worked}
    made: dict[str, Any] = {"worked": {name: texts[0] for name, texts in held.items()}}
    if more := {name: list(texts[1:]) for name, texts in held.items() if len(texts) > 1}:
        made["more_worked"] = more
    return made


def _erased(
    project: Project, renderer: Renderer, task: Task, row: Row, names: Iterable[str]
) -> dict[str, Messages]:
    """The student's messages: under ``answers``, and under strategies that have others."""
    first = project.student_of("answers", task)
    pair = first.student_system, first.student_user
    made = {"answers": renderer.erased(first, task, row)}
    for strategy in (project.strategies[name] for name in names):
        if (strategy.student_system, strategy.student_user) != pair:
            made[strategy.id] = renderer.erased(strategy, task, row)
    return made


def _examined(
    project: Project, renderer: Renderer, rows: Rows, run: Run, tasks: list[Task], split: str
) -> Iterator[dict[str, Any]]:
    for task in tasks:
        student = project.student_of(run.train_on, task)
        shown: Iterable[str] = [run.prompted] if run.prompted else ()
        if run.prompt == KEPT and not run.prompted:
            shown = project.params.candidates(task)  # which one is chosen after this stage
        for row in rows[(task.suite, task.id)][split]:
            record = _record(row)
            if run.format:
                record["messages"] = renderer.plain(run.format.user, task, row)
                record["api"] = "completions"
            elif run.prompt == ERASED:
                record["messages"] = renderer.erased(student, task, row)
            else:
                record["variables"] = variables(task, row)
                record["prompts"] = {
                    name: _prompt(renderer, project.strategies[name], task, row) for name in shown
                }
            yield record


def _tests(project: Project, rows: Rows) -> Iterator[dict[str, Any]]:
    for task in project.tasks.values():
        for row in rows[(task.suite, task.id)]["test"]:
            yield {"id": row.id, "task": row.task, "question": row.question}


def _prompt(renderer: Renderer, strategy: Strategy, task: Task, row: Row) -> dict[str, Any]:
    messages = renderer.asked(strategy, task, row)
    return {"messages": messages, "max_tokens": strategy.calls[0].max_tokens}


def _record(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "task": row.task,
        "question": row.question,
        "gold": row.gold,
        "options": list(row.options),
    }


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
