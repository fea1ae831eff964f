"""The twelve tasks of Fine-tune-CoT as JSON Lines, from what two groups have published.

Questions and the completions of the 175B teacher: Kojima et al. 2022 (arXiv 2205.11916), repository
kojima-takeshi188/zero_shot_cot. Which rows are train and which test: Ho et al. 2023 (arXiv
2212.10071), repository itsnamgyu/reasoning-teacher.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import Problem, UserError, user_error
from stages.core.jsonl import atomic
from stages.importing.zero_shot_cot import (
    Row,
    places,
    read_log,
    refuse,
    text_of,
)


class Task(NamedTuple):
    """Where a task's rows lie.

    Args:
        log: ``log/<log>_zero_shot_cot.log``.
        data: The file under ``dataset/`` with the questions of that log.
        first: The number that the lists give to its first question, behind those of a train file.
        by_log: Number the rows by the log, unless the data set's order is asked for.
        templates: Whether there are lists by template as well.
    """

    log: str
    data: str
    first: int = 0
    by_log: bool = False
    templates: bool = False


# The lists number the rows of the data sets, and a log is a shuffle of one. The tasks marked
# `by_log` were first laid out by the log, which puts as many rows into each split as the paper has,
# but other ones; their ids and splits stay, for what was measured on them.
TASKS: Mapping[str, Task] = {
    "single_eq": Task("singleeq", "SingleEq/questions.json", by_log=True),
    "addsub": Task("addsub", "AddSub/AddSub.json", by_log=True),
    "multiarith": Task("multiarith", "MultiArith/MultiArith.json", by_log=True, templates=True),
    "gsm8k": Task("gsm8k", "grade-school-math/test.jsonl", first=7473),
    "aqua": Task("aqua", "AQuA/test.json", first=97467),
    "svamp": Task("svamp", "SVAMP/SVAMP.json", by_log=True),
    "date_understanding": Task("date_understanding", "Bigbench_Date/task.json", templates=True),
    "tracking_shuffled_objects": Task(
        "shuffled_objects", "Bigbench_object_tracking/task.json", by_log=True
    ),
    "last_letter_concatenation": Task("last_letters", "last_letters/last_letters.json"),
    "coin_flip": Task("coin_flip", "coin_flip/coin_flip.json", by_log=True),
    "commonsense_qa": Task("commonsensqa", "CommonsenseQA/dev_rand_split.jsonl", first=9741),
    "strategy_qa": Task("strategyqa", "StrategyQA/task.json"),
}  # fmt: skip


def convert(source: Path, splits: Path, out: Path, dataset_order: bool = False) -> Iterator[str]:
    """Write ``<task>.jsonl``, and ``<task>_template.jsonl``: the same rows, split by template.

    A row has `id`, `split`, `question`, `answer`, the teacher's `rationale`, `answer_prompt` and
    `answer_completion`, and `predicted`, the publisher's own reading of the last.

    Args:
        source: A checkout of zero_shot_cot.
        splits: A checkout of reasoning-teacher.
        out: The folder to write to.
        dataset_order: Number the rows of every task by the data set, as the lists mean it.

    Yields:
        A line on each file written. Nothing is written before all sources were read.

    Raises:
        UserError: E101 for what is not there, E403 for what is not as it was published, E513 when
            `out` cannot be written to.
    """
    _check_there(source, splits)
    files: dict[str, list[Row]] = {}
    for name, task in TASKS.items():
        files.update(_files(name, task, source, splits / "data/split", dataset_order))
    for file, rows in files.items():
        yield _write(out / file, rows)


def _check_there(source: Path, splits: Path) -> None:
    data = [f"dataset/{task.data}" for task in TASKS.values()]
    logs = [_log(task) for task in TASKS.values()]
    lists = [f"data/split/{name}__default.json" for name in TASKS]
    lists += [f"data/split/{name}__template.json" for name in TASKS if TASKS[name].templates]
    problems = []
    for folder, files, hint in (
        (source, data + logs, "FROM is a checkout of kojima-takeshi188/zero_shot_cot"),
        (splits, lists, "SPLITS is a checkout of itsnamgyu/reasoning-teacher"),
    ):
        absent = [folder / file for file in files if not (folder / file).is_file()]
        if not folder.is_dir():
            problems.append(Problem(str(folder), 0, 0, "E101", "this folder does not exist", hint))
            continue
        problems += [
            Problem(str(f), 0, 0, "E101", "this file does not exist", hint) for f in absent
        ]
    if problems:
        raise UserError(problems)


def _log(task: Task) -> str:
    return f"log/{task.log}_zero_shot_cot.log"


def _files(
    name: str, task: Task, source: Path, lists: Path, dataset_order: bool
) -> Iterator[tuple[str, list[Row]]]:
    entries = read_log(source / _log(task))
    found = places(source / "dataset" / task.data, source / _log(task), entries)
    listed = [task.first + place for place in found]
    numbers = range(len(entries)) if task.by_log and not dataset_order else listed
    rows = dict(zip(numbers, entries, strict=True))
    yield f"{name}.jsonl", _split(name, rows, lists / f"{name}__default.json", {})
    if task.templates:
        place_of = dict(zip(numbers, listed, strict=True))
        template = _split(name, rows, lists / f"{name}__template.json", place_of)
        yield f"{name}_template.jsonl", template


def _split(name: str, rows: Mapping[int, Row], path: Path, listed: Mapping[int, int]) -> list[Row]:
    """The rows by number, in the split that the lists at `path` name.

    Args:
        name: The task.
        rows: Each under the number of its id.
        path: The lists.
        listed: The lists' number of a row, where it is not that of its id.
    """
    splits = _lists(path)
    wanted = {number: listed.get(number, number) for number in sorted(rows)}
    # Of three tasks the teacher was asked the test rows alone; the lists begin with the others.
    lowest = min(wanted.values(), default=0)
    odd = set(wanted.values()) ^ {number for number in splits if number >= lowest}
    if odd:
        told = "is listed, and is not there" if min(odd) in splits else "is in neither list"
        refuse(path, f"row {min(odd)} of {name} {told}")
    return [
        {"id": f"{name}-{number}", "split": splits[place], **rows[number]}
        for number, place in wanted.items()
    ]


def _lists(path: Path) -> dict[int, str]:
    try:
        held = json.loads(text_of(path))
        return {int(number): split for split in ("train", "test") for number in held[split]}
    except (ValueError, KeyError, TypeError, RecursionError):
        refuse(path, "the file does not hold the lists 'train' and 'test'")


def _write(path: Path, rows: list[Row]) -> str:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        with atomic(path) as file:
            file.write(text)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise user_error(
            "command line", "E513", f"{path} cannot be written: {error.strerror}",
            "name a folder, there or not, that you may write to",
        ) from None  # fmt: skip
    train = sum(row["split"] == "train" for row in rows)
    right = sum(row["predicted"] == row["answer"] for row in rows)
    return (
        f"{path}: {len(rows)} rows ({train} train, {len(rows) - train} test), "
        f"{100 * right / max(len(rows), 1):.2f} % right, "
        f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"
    )
