"""Rationales as the verifier reads them, and as their publisher read them where that is on record.

Recorded solutions are read from a task's whole source, every split and what repeats itself
included, so that a published accuracy can be met; a teacher's own answers from what ``teach`` wrote
for the train rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from stages.compiler.fields import reason, value, worked
from stages.core.errors import user_error
from stages.core.jsonl import absent, read_json, read_rows
from stages.curation.cases import joined
from stages.curation.settings import CUT_SHORT, NO_ANSWER, REFUSED, WRONG
from stages.data.sources import load_source
from stages.data.splits import GENERATED, take_splits
from stages.scoring.judge import judge
from stages.spec.model import Task

PUBLISHED = "published_"
"""How suites are called whose rows hold their publisher's reading in `PREDICTED`."""
PREDICTED, STATED = "predicted", "answer_completion"


@dataclass(frozen=True)
class Reading:
    """One rationale and what was made of it.

    Args:
        task: Its id.
        kind: Type of its answers.
        strategy: Under which it was written.
        row: Names the question.
        sample: Which of the row's rationales under that strategy, from 0.
        question: As it was asked.
        gold: The right answer.
        text: The whole completion.
        answer: What the task's rules read; None when they read nothing.
        accepted: Whether it is whole and its answer right.
        why: The reason in words: of an acceptance, the rule that read the answer.
        rule: Index of that rule; None when none read an answer.
        predicted: What the publisher read; None where that is not on record.
        stated: The publisher's reply to the call that asks for the answer alone.
    """

    task: str
    kind: str
    strategy: str
    row: str
    sample: int
    question: str
    gold: str
    text: str
    answer: str | None
    accepted: bool
    why: str
    rule: int | None
    predicted: str | None = None
    stated: str = ""

    @property
    def agreed(self) -> bool:
        """Whether the publisher, who compares texts, took it for right as well or as little."""
        return self.predicted is None or (self.predicted == self.gold) == self.accepted


def recorded(task: Task, top: Path) -> Iterator[Reading]:
    """The worked solutions of all of a task's source rows.

    Args:
        task: With `worked` in its `row` block.
        top: The repository root.

    Raises:
        UserError: The source cannot be read, or E410 for a row that has not what the task names.
    """
    how = {"answer": {"type": task.answer_type, "extract": task.extract}}
    for name, raw in _source(task, top):
        try:
            question, gold = (
                str(value(task.row[key], raw)).strip() for key in ("question", "gold")
            )
            options = value(task.row["options"], raw) if "options" in task.row else []
            solutions = worked(task, raw)
        except (KeyError, TemplateError) as error:
            raise user_error(
                task.file, "E410", f"{name}: {reason(error)}", "run `make check`, which shows where"
            ) from None
        row = {"question": question, "gold": gold, "options": options}
        published = task.suite.startswith(PUBLISHED) and isinstance(raw.get(PREDICTED), str)
        more = (
            {"predicted": raw[PREDICTED], "stated": str(raw.get(STATED, ""))} if published else {}
        )
        for strategy, texts in solutions.items():
            for sample, text in enumerate(texts):
                item = {"strategy": strategy, "sample": sample, "completion": text}
                yield _reading(task.id, name, row, item, how, more)


def taught(top: Path, suite: str) -> Iterator[Reading]:
    """The rationales that ``teach`` wrote for a suite's train rows.

    Raises:
        UserError: E514 when an earlier stage has not run, E515 when rows and rationales differ.
    """
    folder, name = top / f"build/compiled/suites/{suite}", f"build/rationales/{suite}.jsonl"
    if not (top / name).is_file():
        raise absent(top / name)
    tasks = read_json(folder / "tasks.json")
    for case in joined(read_rows(folder / "train.jsonl"), read_rows(top / name), name):
        for item in case.items:
            task = case.row["task"]
            yield _reading(task, case.row["id"], case.row, item, tasks[task], {})


def _source(task: Task, top: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every row of a file; of other sources, which have no end or lie elsewhere, the splits'."""
    load = load_source(task.source, top)
    if "file" in task.source:
        for number, raw in enumerate(load(GENERATED, 0), start=1):
            yield str(raw.get("id") or f"row {number} of {task.source['file']}"), raw
        return
    for split, rows in take_splits(task.splits, load).items():
        for number, raw in enumerate(rows):
            yield f"{task.id}/{split}/{number}", raw


def _reading(
    task: str,
    name: str,
    row: Mapping[str, Any],
    item: Mapping[str, Any],
    how: Mapping[str, Any],
    more: Mapping[str, str],
) -> Reading:
    verdict, kind = judge(item["completion"], row, how), how["answer"]["type"]
    if item.get("error"):
        why = REFUSED
    elif item.get("finish_reason") == "length":
        why = CUT_SHORT
    elif verdict.answer is None:
        why = NO_ANSWER
    else:
        why = "" if verdict.correct else WRONG
    accepted = not why
    if accepted and verdict.rule is not None:
        rules = how["answer"]["extract"]
        (rule, told), *_ = rules[verdict.rule].items()
        why = f"rule {verdict.rule + 1} of {len(rules)}, {rule}: {told}"
    return Reading(
        task, kind, item["strategy"], name, item["sample"], row["question"], row["gold"],
        item["completion"], verdict.answer, accepted, why, verdict.rule, **more,
    )  # fmt: skip
