"""Rows and scores of these tasks, for lm-evaluation-harness.

Answers are found and verified by Tutelage itself, which must be importable: install it, or put
its repository on PYTHONPATH.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.scoring.judge import judge

HERE = Path(__file__).parent


def rows(task: str, **_: Any) -> dict[str, Any]:
    """The test rows of a task; lm-evaluation-harness adds its own settings."""
    from datasets import Dataset

    with (HERE / f"{task}.jsonl").open(encoding="utf-8", newline="\n") as file:
        return {"test": Dataset.from_list([json.loads(line) for line in file])}


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Whether the answer in the completion is right."""
    tasks = json.loads((HERE / "scoring.json").read_text(encoding="utf-8"))
    row = {"gold": doc["gold"], "options": doc["options"] or []}
    return {"acc": float(judge(results[0], row, tasks[doc["task"]]).correct)}
