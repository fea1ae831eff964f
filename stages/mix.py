"""Put together what each run trains on, one file a run: ``python -m stages.mix``.

Reads ``build/compiled/``, ``build/curated/``, ``build/selected/``; writes ``build/mix/RUN.jsonl``,
a header and then the rows.
The strategy's prompt is erased here: a row holds the student's own messages and the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from stages.core.console import entry, root, say
from stages.core.jsonl import read_json, read_rows, write_rows
from stages.spec.model import Run
from stages.spec.read import load_params
from stages.spec.render import render_text


def main() -> None:
    """Mix every run of ``params.yaml``."""
    top = root()
    targets = read_json(top / "build/compiled/targets.json")
    for run in load_params(top).runs:
        header = {"run": run.id, "train_on": run.train_on}  # DVC warns of empty files
        rows = chain([header], mixed(top, run, targets))
        count = write_rows(top / f"build/mix/{run.id}.jsonl", rows) - 1
        say(f"mix {run.id}: {count} rows")


def mixed(top: Path, run: Run, targets: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The run's training rows, suite by suite in the order of ``params.yaml``."""
    if run.train_on == "nothing":
        return
    for suite in run.suites:
        rows = {
            row["id"]: row for row in read_rows(top / f"build/compiled/suites/{suite}/train.jsonl")
        }
        if run.train_on == "answers":
            for row in rows.values():
                yield _row(row, "answers", 0, targets, answer=row["answer"])
            continue
        selected = read_json(top / f"build/selected/{suite}.json")
        for item in read_rows(top / f"build/curated/{suite}.jsonl"):
            wanted = run.train_on
            if wanted == "selected":
                wanted = selected[item["task"]]["strategy"]
            if item["strategy"] == wanted:
                yield _row(
                    rows[item["id"]], wanted, item["sample"], targets,
                    answer=item["answer"], rationale=item["rationale"],
                )  # fmt: skip


def _row(
    row: dict[str, Any], strategy: str, sample: int, targets: dict[str, str], **values: str
) -> dict[str, Any]:
    return {
        "id": f"{row['id']}/{sample}",
        "task": row["task"],
        "strategy": strategy,
        "messages": row["student"].get(strategy, row["student"]["answers"]),
        "completion": render_text(targets[strategy], {**row["variables"], **values}),
    }


if __name__ == "__main__":
    entry(main)
