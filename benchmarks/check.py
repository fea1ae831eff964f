"""Seconds that `make check` takes on the shipped specs, and `dvc repro` when nothing changed."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 5


def seconds(*command: str) -> float:
    """Median wall time over `RUNS` runs after a warm-up."""
    subprocess.run(command, check=True, capture_output=True)
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken), 2)


def main() -> None:
    figures = {"check_s": seconds(sys.executable, "-m", "stages.compile", "--check")}
    if Path("dvc.lock").is_file():
        figures["repro_unchanged_s"] = seconds("dvc", "repro")
    print(json.dumps({"benchmark": "check", "runs": RUNS, **figures}))


if __name__ == "__main__":
    main()
