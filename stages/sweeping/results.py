"""The results of an experiment: its predictions where they are at hand, else its numbers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.scoring.items import Items, outcomes

METRICS = "build/metrics.json"
PREDICTIONS = "build/evaluations/{run}/predictions.jsonl"

Metrics = dict[str, dict[str, dict[str, Any]]]
"""``metrics.json``: by run and task."""


def metrics(top: Path, name: str, commit: str) -> Metrics:
    """The numbers that Git holds of an experiment.

    Raises:
        UserError: E547 when it has none.
    """
    shown = ["git", "show", f"{commit}:./{METRICS}"]
    done = subprocess.run(shown, cwd=top, capture_output=True, check=False)
    try:
        found: Metrics = json.loads(done.stdout)
    except ValueError:
        raise user_error(
            name, "E547", f"this experiment has no {METRICS}",
            f"`dvc exp remove {name}`, and run the sweep again",
        ) from None  # fmt: skip
    return found


def items(top: Path, commit: str, runs: list[str]) -> dict[str, Items]:
    """The test items of each run whose predictions DVC's cache or its remote holds."""
    # they take seconds to load
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    files = DVCFileSystem(str(top), rev=commit)
    found = dict[str, Items]()
    for run in runs:
        try:
            text = files.read_text(PREDICTIONS.format(run=run), encoding="utf-8")
        except (OSError, DvcException):
            continue
        found[run] = outcomes(json.loads(line) for line in text.split("\n") if line)
    return found
