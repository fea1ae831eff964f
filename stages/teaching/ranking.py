"""Each task's strategy by the teacher's own accuracy, where the student's choice is to be weighed.

Orca 2 (arXiv 2311.11045, section 4) selects what serves the student; a run on `teacher_best` trains
on what serves the teacher, all else alike, and so shows what the student's choice is worth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from stages.scoring.choose import Outcome, choose
from stages.scoring.judge import judge
from stages.scoring.stats import chance
from stages.spec.model import Params
from stages.teaching.chain import Record

Tasks = Mapping[str, Mapping[str, Any]]


def ranked_rows(
    rows: Iterable[Mapping[str, Any]], tasks: Tasks, most: int
) -> Iterator[Mapping[str, Any]]:
    """The first rows of each task that a run ranks for, `most` a task."""
    taken: Counter[str] = Counter()
    for row in rows:
        if tasks[row["task"]]["ranks"] and taken[row["task"]] < most:
            taken[row["task"]] += 1
            yield row


def rank(
    records: Iterable[Record], rows: Iterable[Mapping[str, Any]], tasks: Tasks, params: Params
) -> dict[str, Any]:
    """By task, the strategy that serves the teacher best, with its evidence as in ``select``.

    Args:
        records: One answer to each of `rows` under every candidate of its task.
        rows: Of ``train.jsonl``.
        tasks: ``tasks.json``.
        params: Whose `fallback` is taken where the teacher is at floor, and whose `tie` holds.
    """
    known = {row["id"]: row for row in rows}
    outcomes: dict[str, dict[str, dict[str, Outcome]]] = {}
    for record in records:
        row, name = known[record["id"]], record["task"]
        right = not record["error"] and judge(record["completion"], row, tasks[name]).correct
        outcomes.setdefault(name, {}).setdefault(record["strategy"], {})[row["id"]] = Outcome(
            right, record["completion_tokens"], record["finish_reason"] == "length"
        )
    options = {row["task"]: len(row["options"]) for row in known.values()}
    ranked = {}
    for name, answers in outcomes.items():
        guess = chance(tasks[name]["answer"]["type"], options[name])
        ranked[name] = {
            **asdict(choose(answers, guess, params.fallback, params.tie)), "chance": guess,
        }  # fmt: skip
    return ranked
