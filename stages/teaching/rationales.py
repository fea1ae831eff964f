"""What the teacher is asked for a suite: D rationales a row, or as many as it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from stages.engines.request import Job
from stages.scoring.judge import judge
from stages.teaching.chain import Asking, Record


def wanted(task: Mapping[str, Any], selected: Mapping[str, Any] | None) -> list[str]:
    """The strategies under which a task's rows are taught.

    Args:
        task: Its entry in ``tasks.json``.
        selected: Its entry in ``build/selected``; None while nothing is selected, and then every
            candidate may be.
    """
    chosen: Sequence[str] = ()
    if task["selects"]:
        chosen = [selected["strategy"]] if selected else task["candidates"]
    return list(dict.fromkeys([*task["fixed"], *chosen]))


def jobs(
    rows: Iterable[Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    strategies: Mapping[str, Sequence[str]],
    teach: Mapping[str, Any],
    asking: Asking,
) -> Iterator[Job[list[Record]]]:
    """The jobs of a suite in the order of its rows; each makes one or more rationales.

    Args:
        rows: Of ``train.jsonl``.
        tasks: ``tasks.json``.
        strategies: `wanted`, by task.
        teach: The section of ``params.yaml``: `samples`, and `enough` and `give_up` where the
            samples of a row are to end early.
        asking: The teacher.
    """
    early = teach.get("enough") or teach.get("give_up")
    for row in rows:
        task = tasks[row["task"]]
        if early:
            for strategy in strategies[row["task"]]:
                yield _until_enough(row, task, strategy, teach, asking)
            continue
        for strategy, sample in product(strategies[row["task"]], range(teach["samples"])):
            yield _one(row, strategy, sample, asking)


def _one(row: Mapping[str, Any], strategy: str, sample: int, asking: Asking) -> Job[list[Record]]:
    return [(yield from asking.chain(row, strategy, sample))]


def _until_enough(
    row: Mapping[str, Any],
    task: Mapping[str, Any],
    strategy: str,
    teach: Mapping[str, Any],
    asking: Asking,
) -> Job[list[Record]]:
    """One sample after the other, until enough are right or the row is given up."""
    made: list[Record] = []
    right = 0
    for sample in range(teach["samples"]):
        record = yield from asking.chain(row, strategy, sample)
        made.append(record)
        right += verified(record, row, task)
        if teach.get("enough") and right >= teach["enough"]:
            break
        if teach.get("give_up") and not right and len(made) >= teach["give_up"]:
            break
    return made


def verified(record: Record, row: Mapping[str, Any], task: Mapping[str, Any]) -> bool:
    """Whether a rationale is whole and its answer right."""
    if record["error"] or record["finish_reason"] == "length":
        return False
    return judge(record["completion"], row, task).correct
