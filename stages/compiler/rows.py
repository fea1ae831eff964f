"""Source rows become questions with gold answers, by a task's `row` block (family E4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import TemplateError

from stages.compiler.fields import check_blocks, reason, value, worked
from stages.compiler.overlap import Seen, fingerprint, normalised, template_of
from stages.core.errors import Problem, UserError
from stages.data.sources import load_source
from stages.data.splits import take_splits
from stages.data.spool import Picked, Spool
from stages.scoring.extract import extract
from stages.scoring.verify import read, verify
from stages.spec.document import Document
from stages.spec.model import Task

SPLITS = ("train", "probe", "valid", "test")
SOURCE = ("data", "source")
EXEMPLARS = "exemplars"
SHOWN = 5
"""Kinds of bad rows reported for a task: one screen must hold them."""
TOLD = 20
"""Letters and digits of a worked solution that are too many to stand in a question by chance."""


class Row(NamedTuple):
    """One question. `worked` maps a strategy to recorded completions, one or more."""

    id: str
    task: str
    question: str
    gold: str
    options: tuple[str, ...] = ()
    worked: Mapping[str, tuple[str, ...]] = {}


class Rows(Sequence[Row]):
    """The rows of a split, on disk when there are many.

    `repeated` counts those that were left out because another split asks the same.
    """

    def __init__(self) -> None:
        self._spool = Spool()
        self.repeated = 0

    def append(self, row: Row) -> None:
        """Add a row at the end."""
        self._spool.append(tuple(row))

    def __len__(self) -> int:
        return len(self._spool)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [Row._make(row) for row in self._spool[index]]
        return Row._make(self._spool[index])

    def __iter__(self) -> Iterator[Row]:
        return map(Row._make, self._spool)


def task_rows(task: Task, root: Path, document: Document) -> dict[str, Rows]:
    """The task's rows by split. Raises `UserError` with every kind of bad row."""
    problems = list(check_blocks(task, document))
    if problems:
        raise UserError(problems)
    try:
        raw = take_splits(task.splits, load_source(task.source, root), _group(task))
    except UserError as error:
        raise UserError(_placed(p, task, document) for p in error.problems) from None
    bad: dict[tuple[tuple[str, ...], str, str], list[str]] = {}
    made = {split: Rows() for split in SPLITS}
    seen = Seen()
    held: set[bytes] | None = set() if task.duplicates == "drop" else None
    for exemplar in task.exemplars:
        seen.add(EXEMPLARS, exemplar["question"])
    # what is measured stays whole; what repeats it goes
    for split in SPLITS if held is None else SPLITS[::-1]:
        asked: set[bytes] = set()
        for number, values in enumerate(raw.get(split, ())):
            name = f"{task.id}/{split}/{number}"
            found = _row(task, name, values)
            if not isinstance(found, Row):
                bad.setdefault(found, []).append(name + _origin(raw[split], number, task))
                continue
            if held is not None:
                if (mark := fingerprint(found.question)) in held:
                    made[split].repeated += 1
                    continue
                asked.add(mark)
            made[split].append(found)
            seen.add(split, found.question)
        if held is not None:
            held |= asked
    problems += _bad_rows(bad, document)
    if not bad:
        problems += _overlaps(seen, made, task, document)
    if problems:
        raise UserError(problems)
    return made


def _bad_rows(
    bad: Mapping[tuple[tuple[str, ...], str, str], list[str]], document: Document
) -> Iterator[Problem]:
    for (where, code, told), rows in islice(bad.items(), SHOWN):
        more = f" ({len(rows)} rows in all)" if len(rows) > 1 else ""
        left = (
            f"{len(bad) - SHOWN} other mistakes in rows are not shown" if len(bad) > SHOWN else ""
        )
        yield document.problem(("row", *where), code, f"row {rows[0]}: {told}{more}", left)


def _origin(rows: Sequence[Any], number: int, task: Task) -> str:
    if "file" not in task.source or not isinstance(rows, Picked):
        return ""
    return f" (row {rows.origin(number) + 1} of {task.source['file']})"


def _group(task: Task) -> Callable[[dict[str, Any]], str] | None:
    """What rows of one group share, where the task keeps groups together."""
    by = task.group_by
    if by is None:
        return None

    def group(raw: dict[str, Any]) -> str:
        try:
            if by == "template":
                return template_of(str(value(task.row["question"], raw)))
            return str(value(by, raw))
        except (KeyError, TemplateError):
            return ""  # the row is reported when its fields are read

    return group


def _placed(problem: Problem, task: Task, document: Document) -> Problem:
    """A source's problem at the spec that names it, unless a data file is at fault."""
    if problem.line or problem.file == task.source.get("file"):
        return problem
    path = tuple(problem.file.split(".")) if problem.file.startswith("data.") else SOURCE
    return document.problem(path, problem.code, problem.message, problem.hint)


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


Bad = tuple[tuple[str, ...], str, str]


def _row(task: Task, name: str, raw: Mapping[str, Any]) -> Row | Bad:
    """The row, or where in the task's `row` block it goes wrong, a code, and why."""
    values: dict[str, Any] = {}
    for key in ("question", "gold", "options"):
        if key not in task.row:
            continue
        try:
            values[key] = value(task.row[key], raw)
        except (KeyError, TemplateError) as error:
            return (key,), "E410", reason(error)
    question, gold = str(values["question"]).strip(), str(values["gold"]).strip()
    choices = values.get("options") or []
    if not isinstance(choices, (list, tuple)):
        return ("options",), "E410", f"the options are {choices!r}, not a list"
    options = tuple(str(option) for option in choices)
    if not question:
        return ("question",), "E410", "the question is empty"
    if read(gold, task.answer_type, options) is None:
        return ("gold",), "E410", f"the gold answer {gold!r} is not of type {task.answer_type}"
    if not verify(gold, gold, task.answer_type, options):
        return ("gold",), "E410", f"the gold answer {gold!r} does not verify against itself"
    try:
        solutions = worked(task, raw)
    except (KeyError, TemplateError) as error:
        return ("worked",), "E410", reason(error)
    shown = _shown(task, question, gold, solutions)
    if shown:
        return ("question",), "E413", f"the question holds {shown}"
    return Row(name, task.id, question, gold, options, solutions)


def _shown(task: Task, question: str, gold: str, solutions: Mapping[str, Sequence[str]]) -> str:
    """What of the answer stands in the question: a statement of it, or a worked solution."""
    if f"{task.marker} {gold}".casefold() in question.casefold():
        return f"the statement {f'{task.marker} {gold}'!r}"
    for strategy, texts in solutions.items():
        for text in texts:
            if TOLD <= len(text) <= len(question):
                told = normalised(text)
                if len(told) >= TOLD and told in normalised(question):
                    return f"its worked solution for {strategy}"
    return ""


def _overlaps(
    seen: Seen, made: Mapping[str, Rows], task: Task, document: Document
) -> Iterator[Problem]:
    for earlier, split, numbers in seen.shared():
        first = f"{task.id}/{split}/{numbers[0]}"
        if earlier == EXEMPLARS:
            yield document.problem(
                (EXEMPLARS,), "E414",
                f"{split} holds {len(numbers)} of the exemplars, the first is {first}",
                "an exemplar shows its answer, so choose other questions for exemplars",
            )  # fmt: skip
            continue
        yield document.problem(
            ("data", "splits", split), "E411",
            f"{split} shares {len(numbers)} of its questions with {earlier}, the first is {first}",
            "chain the splits by `after`; if the source repeats a question, `duplicates: drop`",
        )  # fmt: skip
