"""Source rows become questions with gold answers, by a task's `row` block (family E4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError

from stages.core.errors import Problem, UserError
from stages.data.sources import load_source
from stages.data.splits import take_splits
from stages.scoring.extract import extract
from stages.scoring.verify import read, verify
from stages.spec.load import Document
from stages.spec.model import Task
from stages.spec.render import render_text, unknown_variables

SPLITS = ("train", "probe", "valid", "test")
SOURCE = ("data", "source")
SHOWN = 5
"""Kinds of bad rows reported for a task: one screen must hold them."""


@dataclass(frozen=True)
class Row:
    """One question. `worked` maps a strategy to a recorded completion."""

    id: str
    task: str
    question: str
    gold: str
    options: tuple[str, ...] = ()
    worked: Mapping[str, str] = field(default_factory=dict)


def task_rows(task: Task, root: Path, document: Document) -> dict[str, list[Row]]:
    """The task's rows by split. Raises `UserError` with every kind of bad row."""
    problems = list(_templates(task, document))
    if problems:
        raise UserError(problems)
    try:
        raw = take_splits(task.splits, load_source(task.source, root))
    except UserError as error:
        raise UserError(_placed(p, task, document) for p in error.problems) from None
    bad: dict[tuple[tuple[str, ...], str], list[str]] = {}
    made: dict[str, list[Row]] = {}
    for split in SPLITS:
        made[split] = []
        for number, values in enumerate(raw[split]):
            found = _row(task, f"{task.id}/{split}/{number}", values)
            if isinstance(found, Row):
                made[split].append(found)
            else:
                bad.setdefault(found, []).append(f"{task.id}/{split}/{number}")
    for (where, reason), rows in islice(bad.items(), SHOWN):
        more = f" ({len(rows)} rows in all)" if len(rows) > 1 else ""
        left = (
            f"{len(bad) - SHOWN} other mistakes in rows are not shown" if len(bad) > SHOWN else ""
        )
        message = f"row {rows[0]}: {reason}{more}"
        problems.append(document.problem(("row", *where), "E410", message, left))
    problems += _overlaps(task, made, document)
    if problems:
        raise UserError(problems)
    return made


def _placed(problem: Problem, task: Task, document: Document) -> Problem:
    """A source's problem at the spec that names it, unless a data file is at fault."""
    if problem.line or problem.file == task.source.get("file"):
        return problem
    path = tuple(problem.file.split(".")) if problem.file.startswith("data.") else SOURCE
    return document.problem(path, problem.code, problem.message, problem.hint)


def _templates(task: Task, document: Document) -> Iterator[Problem]:
    for path, block in _blocks(task.row, ("row",)):
        if "render" not in block:
            continue
        place = (*path, "render")
        try:
            unknown = unknown_variables(block["render"], frozenset({"row"}))
        except TemplateSyntaxError as error:
            message = f"template syntax: {(error.message or '').rstrip('.')}"
            yield document.problem(place, "E302", message)
            continue
        for name in sorted(unknown):
            yield document.problem(
                place, "E303", f"the variable {name!r} is not known here",
                f"a source row is called row: write row.{name}",
            )  # fmt: skip


def _blocks(
    row: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for key, block in row.items():
        if key == "worked" and "get" not in block:
            yield from _blocks(block, (*path, key))
        else:
            yield (*path, key), block


def check_examples(task: Task, document: Document) -> list[Problem]:
    """The spec's own examples through extraction, so that an extractor cannot rot."""
    problems = []
    for index, example in enumerate(task.examples):
        wanted, options = example["answer"], example.get("options", ())
        found = extract(example["completion"], task.extract, task.answer_type, options).answer
        if found is None and wanted is None:
            continue
        if wanted is None or not verify(found, wanted, task.answer_type, options):
            shown = "no answer" if found is None else f"the answer {found!r}"
            expected = "where there is none" if wanted is None else f"not {wanted!r}"
            problems.append(
                document.problem(
                    ("examples", index), "E206",
                    f"extraction finds {shown} in this example, {expected}",
                    "change answer.extract or the example",
                )
            )  # fmt: skip
    return problems


def _row(task: Task, name: str, raw: Mapping[str, Any]) -> Row | tuple[tuple[str, ...], str]:
    """The row, or where in the task's `row` block it goes wrong, and why."""
    values: dict[str, Any] = {}
    for key in ("question", "gold", "options"):
        if key not in task.row:
            continue
        try:
            values[key] = _value(task.row[key], raw)
        except (KeyError, TemplateError) as error:
            return (key,), _reason(error)
    question, gold = str(values["question"]).strip(), str(values["gold"]).strip()
    choices = values.get("options") or []
    if not isinstance(choices, (list, tuple)):
        return ("options",), f"the options are {choices!r}, not a list"
    options = tuple(str(option) for option in choices)
    if not question:
        return ("question",), "the question is empty"
    if read(gold, task.answer_type, options) is None:
        return ("gold",), f"the gold answer {gold!r} is not of type {task.answer_type}"
    try:
        worked = dict(_worked(task, raw))
    except (KeyError, TemplateError) as error:
        return ("worked",), _reason(error)
    return Row(name, task.id, question, gold, options, worked)


def _worked(task: Task, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    block = task.row.get("worked", {})
    if "get" not in block:
        yield from ((strategy, str(_value(value, raw))) for strategy, value in block.items())
        return
    value = _value(block, raw)
    if not isinstance(value, Mapping):
        raise KeyError(f"{block['get']} that maps strategies to completions")
    yield from ((str(k), str(v)) for k, v in value.items())


def _value(block: Mapping[str, str], raw: Mapping[str, Any]) -> Any:
    if "render" in block:
        return render_text(block["render"], {"row": raw})
    value: Any = raw
    for part in block["get"].split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(block["get"])
        value = value[part]
    if value is None:
        raise KeyError(f"{block['get']} with a value")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no field {error.args[0]}"
    return f"the template fails: {error}"


def normalised(question: str) -> str:
    """Letters and digits in lower case: two questions with the same text are one question."""
    return re.sub(r"[\W_]+", " ", question.casefold()).strip()


def _overlaps(task: Task, made: Mapping[str, list[Row]], document: Document) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    counts: dict[tuple[str, str], list[str]] = {}
    for split in SPLITS:
        for row in made[split]:
            earlier = seen.setdefault(normalised(row.question), split)
            if earlier != split:
                counts.setdefault((earlier, split), []).append(row.id)
    for (earlier, split), rows in counts.items():
        yield document.problem(
            ("data", "splits", split), "E411",
            f"{split} shares {len(rows)} of its questions with {earlier}, the first is {rows[0]}",
            f"write after: {earlier}, or remove the duplicates from the source",
        )  # fmt: skip
