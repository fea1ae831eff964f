"""How long a store of a million answers takes to open and plan: ``make bench plan``.

Fills a store with the answers to the rationale requests of `--entries` (a million), then plans the
same requests and a few more, as ``make plan`` does once the rows are compiled: once with eight
samples a row, once with one. Prints seconds for each, and the peak of memory while planning.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.engines.request import Completion, Request
from stages.engines.store import Store
from stages.teaching.chain import Asking
from stages.teaching.plan import survey

WORDS = "A shelf holds rows of jars and some of them are sold before noon so how many are left "
ABOUT = "arithmetic/sums/step_by_step"


class Teacher:
    endpoint, model = "https://api.example.com/v1", "teacher"


def wanted(rows: int, samples: int) -> Iterator[Request]:
    """The requests of so many rows; 100 words a prompt."""
    prompt = {"role": "system", "content": "Think step by step. " + WORDS}
    made = (
        {
            "id": f"sums/train/{number}",
            "task": "sums",
            "variables": {"answer_marker": "The answer is"},
            "prompts": {
                "step_by_step": {
                    "messages": [prompt, {"role": "user", "content": f"{number}: {WORDS * 4}"}],
                    "max_tokens": 512,
                }
            },
        }
        for number in range(rows)
    )
    asking = Asking(Teacher(), "arithmetic", {"calls": {}, "exemplars": {}}, {"temperature": 0.7})  # type: ignore[arg-type]
    return (r for row in made for r in asking.first(row, "step_by_step", samples))


def fill(path: Path, rows: int, samples: int) -> float:
    """Store an answer to every request; returns seconds."""
    start = time.monotonic()
    with Store(path) as store:
        store.db.execute("PRAGMA synchronous = OFF")  # the filling is not what is measured
        batch = []
        for request in wanted(rows, samples):
            batch.append((request, Completion(WORDS * 5, "stop", 130, 110, seconds=2.0)))
            if len(batch) == 5000:
                store.put_many(batch)
                batch.clear()
        store.put_many(batch)
    return time.monotonic() - start


def plan(path: Path, rows: int, samples: int) -> dict[str, Any]:
    """Open the store and plan; 1,000 rows more than it holds."""
    start = time.monotonic()
    with Store(path) as store:
        line = survey(ABOUT, wanted(rows + 1000, samples), 1, store)
    seconds = time.monotonic() - start
    return {
        "seconds": round(seconds, 2),
        "held": line.held,
        "missing": line.missing,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--plan", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plan:  # in a process of its own, for its peak of memory
        path, rows, samples = arguments.plan
        print(json.dumps(plan(Path(path), int(rows), int(samples))))
        return
    told: dict[str, Any] = {"bench": "plan", "entries": arguments.entries}
    for samples in (8, 1):
        with tempfile.TemporaryDirectory() as folder:
            path, rows = Path(folder) / "responses.sqlite3", arguments.entries // samples
            filled = fill(path, rows, samples)
            command = [sys.executable, "-m", "benchmarks.plan", "--plan", path, rows, samples]
            done = subprocess.run(
                [str(c) for c in command], capture_output=True, text=True, check=True
            )
            size = path.stat().st_size / 2**20
            told[f"samples_{samples}"] = {
                **json.loads(done.stdout), "fill_s": round(filled, 1), "store_mib": round(size),
            }  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
