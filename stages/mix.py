"""Put together what each run trains on, one file a run: ``python -m stages.mix``.

Reads ``build/compiled/``, ``build/curated/``, ``build/selected/``; writes ``build/mix/RUN.jsonl``,
a header and then the rows.
The strategy's prompt is erased here, unless the run keeps it: a row holds the student's own
messages and the target. The header tells each task's strategy.

A run whose loss needs the teacher's probabilities has them in its rows, from ``build/rationales``,
or, where the teacher in ``build/teacher`` is a model, its name in the header and what it is asked
with in the rows. So only such runs are trained anew when the teacher is another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from stages.core.console import entry, root, say, watch
from stages.core.jsonl import count_rows, read_json, read_rows, write_rows
from stages.engines.local import LocalEngine
from stages.spec.losses import Loss
from stages.spec.methods import ANSWERS, KEPT, NOTHING, SELECTED, TEACHER_BEST
from stages.spec.model import Run
from stages.spec.read import load_params
from stages.spec.render import render_text

CHOSEN = {SELECTED: "selected", TEACHER_BEST: "ranked"}
"""The folder that holds each task's strategy."""
MODEL, RECORD = "model", "record"
"""Where a teacher's probabilities come from."""


def main() -> None:
    """Mix every run of ``params.yaml``."""
    top = root()
    targets = read_json(top / "build/compiled/targets.json")
    params, folder = load_params(top), top / "build/teacher"
    model = LocalEngine(folder).model if (folder / "config.json").is_file() else None
    for run in params.runs:
        chosen = strategies(top, run)
        header = {"run": run.id, "train_on": run.train_on, "strategies": chosen}
        soft = None
        if run.train_on != NOTHING and Loss.of({**params.train, **run.train}).soft:
            soft = MODEL if model else RECORD
            header |= {"teacher": model} if model else {}
        rows = chain([header], mixed(top, run, chosen, targets, soft))
        count = write_rows(top / f"build/mix/{run.id}.jsonl", rows) - 1
        say(f"mix {run.id}: {count} rows")


def strategies(top: Path, run: Run) -> dict[str, str]:
    """By task of the run, the strategy it is trained on, or prompted with where nothing is."""
    chosen: dict[str, str] = {}
    for suite in run.suites:
        tasks = read_json(top / f"build/compiled/suites/{suite}/tasks.json")
        for task in (name for name in tasks if not run.tasks or name in run.tasks):
            chosen[task] = run.train_on
            if run.train_on == NOTHING:
                chosen[task] = run.prompted or ""
            elif run.train_on in CHOSEN:
                choices = read_json(top / f"build/{CHOSEN[run.train_on]}/{suite}.json")
                chosen[task] = choices[task]["strategy"]
    return chosen


def mixed(
    top: Path, run: Run, chosen: dict[str, str], targets: dict[str, str], soft: str | None = None
) -> Iterator[dict[str, Any]]:
    """The run's training rows, suite by suite in the order of ``params.yaml``.

    Args:
        soft: `MODEL` to add what the teacher is asked with, `RECORD` to add the log-probabilities
            that it told of its first reply, where there are any.
    """
    if run.train_on == NOTHING:
        return
    for suite in run.suites:
        rows = {
            row["id"]: row
            for row in read_rows(top / f"build/compiled/suites/{suite}/train.jsonl")
            if row["task"] in chosen
        }
        if run.train_on == ANSWERS:
            for row in watch(rows.values(), len(rows), f"mix {run.id}"):
                yield _row(run, row, ANSWERS, 0, targets, answer=row["answer"])
            continue
        curated = top / f"build/curated/{suite}.jsonl"
        replies = _Replies(top / f"build/rationales/{suite}.jsonl") if soft == RECORD else None
        for item in watch(read_rows(curated), count_rows(curated), f"mix {run.id}"):
            if item["strategy"] == chosen.get(item["task"]):
                row = rows[item["id"]]
                made = _row(
                    run, row, item["strategy"], item["sample"], targets,
                    answer=item["answer"], rationale=item["rationale"],
                )  # fmt: skip
                if soft == MODEL and not run.format:
                    made["teacher"] = row["prompts"][item["strategy"]]["messages"]
                elif replies and (told := replies.logprobs(item)):
                    made["logprobs"] = json.loads(told)
                yield made


class _Replies:
    """Lines of ``build/rationales``, read along with those of ``build/curated``."""

    def __init__(self, path: Path) -> None:
        self._rows = groupby(read_rows(path), key=itemgetter("id"))
        self._id, self._calls = "", dict[tuple[str, Any], Any]()

    def logprobs(self, item: dict[str, Any]) -> str:
        """What the teacher told of the first call of a curated rationale; empty for nothing."""
        while self._id != item["id"]:
            self._id, lines = next(self._rows)
            self._calls = {(line["strategy"], line["sample"]): line.get("calls") for line in lines}
        calls = self._calls.get((item["strategy"], item["sample"]))
        return str(calls[0].get("logprobs", "")) if calls else ""


def _row(
    run: Run, row: dict[str, Any], strategy: str, sample: int, targets: dict[str, str],
    **values: str,
) -> dict[str, Any]:  # fmt: skip
    target, student, form = strategy, row["student"], {}
    if run.format:
        target = f"{run.format_name}/{'answers' if strategy == ANSWERS else 'rationale'}"
        messages, form = student[run.format_name], {"api": "completions"}
    elif run.prompt == KEPT:
        messages = row["prompts"][strategy]["messages"]
    else:
        messages = student.get(strategy, student["answers"])
    return {
        "id": f"{row['id']}/{sample}",
        "task": row["task"],
        "strategy": strategy,
        "messages": messages,
        **form,
        "completion": render_text(targets[target], {**row["variables"], **values}),
    }


if __name__ == "__main__":
    entry(main)
