"""Source rows become questions with gold answers, by a task's `row` block (family E4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from stages.core.errors import Problem, UserError
from stages.data.sources import load_source
from stages.data.splits import take_splits
from stages.scoring.extract import extract
from stages.scoring.verify import read, verify
from stages.spec.load import Document
from stages.spec.model import Task
from stages.spec.render import render_text

SPLITS = ("train", "probe", "valid", "test")


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
    """The task's rows by split. Raises `UserError` with every bad row (at most 20 a task)."""
    raw = take_splits(task.splits, load_source(task.source, root))
    problems: list[Problem] = []
    made: dict[str, list[Row]] = {}
    for split in SPLITS:
        made[split] = []
        for number, values in enumerate(raw[split]):
            found = _row(task, f"{task.id}/{split}/{number}", values)
            if isinstance(found, Row):
                made[split].append(found)
            elif len(problems) < 20:
                where, message = found
                problems.append(document.problem(("row", *where), "E410", message))
    problems += _overlaps(task, made, document)
    if problems:
        raise UserError(problems)
    return made


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
            problems.append(
                document.problem(
                    ("examples", index), "E206",
                    f"extraction finds {shown} in this example, not {wanted!r}",
                    "change answer.extract or the example",
                )
            )  # fmt: skip
    return problems


def _row(task: Task, name: str, raw: Mapping[str, Any]) -> Row | tuple[tuple[str, ...], str]:
    values: dict[str, Any] = {}
    for key in ("question", "gold", "options"):
        if key not in task.row:
            continue
        try:
            values[key] = _value(task.row[key], raw)
        except (KeyError, TemplateError) as error:
            return (key,), f"row {name}: {_reason(error)}"
    question, gold = str(values["question"]).strip(), str(values["gold"]).strip()
    options = tuple(str(option) for option in values.get("options") or ())
    if not question:
        return ("question",), f"row {name} has an empty question"
    if read(gold, task.answer_type, options) is None:
        return ("gold",), f"row {name}: the gold answer {gold!r} is not of type {task.answer_type}"
    try:
        worked = dict(_worked(task, raw))
    except (KeyError, TemplateError) as error:
        return ("worked",), f"row {name}: {_reason(error)}"
    return Row(name, task.id, question, gold, options, worked)


def _worked(task: Task, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    block = task.row.get("worked", {})
    if "get" in block:
        yield from ((str(k), str(v)) for k, v in _value(block, raw).items())
    else:
        yield from ((strategy, str(_value(value, raw))) for strategy, value in block.items())


def _value(block: Mapping[str, str], raw: Mapping[str, Any]) -> Any:
    if "render" in block:
        return render_text(block["render"], {"row": raw})
    value: Any = raw
    for part in block["get"].split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(block["get"])
        value = value[part]
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no field {error.args[0]!r}"
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
            f"{len(rows)} questions of {split} stand in {earlier} as well, the first is {rows[0]}",
            f"write after: {earlier}, or remove the duplicates from the source",
        )  # fmt: skip
