"""Whether memory grows with the number of requests: ``make bench memory``.

The whole of ``teach`` for 10^4, 10^5 and 10^6 requests, each size in a process of its own: rows
read from a file, two calls a row, look-up, the pool of requests in flight, the store, and the
rationales written to a file. Only the network is left out: replies come at once. Prints the peak
of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stages.core.jsonl import read_rows, write_rows
from stages.engines import openai
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil
from stages.engines.pool import Ask
from stages.engines.prices import Price
from stages.engines.request import Completion, Job, Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse
from stages.teaching.chain import Asking, Record
from stages.teaching.rationales import jobs

WORDS = "A shelf holds rows of jars and some of them are sold before noon so how many are left "
LATER = {
    "calls": {
        "two": [
            {"max_tokens": 256},
            {
                "system": None, "user": "{{ question }} {{ reply }} So?", "max_tokens": 32,
                "continues": False, "gives": "answer",
            },
        ]
    },
    "exemplars": {},
}  # fmt: skip


@asynccontextmanager
async def instant(*terms: object) -> AsyncIterator[Ask]:
    """In the place of `stages.engines.calling.connected`: replies without a network."""

    async def ask(server: object, request: Request) -> Completion:
        return Completion(WORDS * 4, "stop", 130, 110)

    yield ask


def row(number: int) -> dict[str, Any]:
    message = {"role": "user", "content": f"{number}: {WORDS * 4}"}
    return {
        "id": f"sums/train/{number}",
        "task": "sums",
        "variables": {"answer_marker": "The answer is", "question": message["content"]},
        "prompts": {"two": {"messages": [message], "max_tokens": 256}},
    }


def teach(folder: Path, requests: int) -> dict[str, Any]:
    """Run, and tell seconds and the peak of memory in MiB."""
    source, count = folder / "train.jsonl", requests // 2
    write_rows(source, map(row, range(count)))
    start = time.monotonic()
    with Store(folder / "responses.sqlite3") as store:
        store.db.execute("PRAGMA synchronous = OFF")  # the disk is not what is measured
        openai.connected = instant
        engine = openai.OpenAIEngine(
            "m", ["http://127.0.0.1:9/v1"], flow=Flow(concurrency=256),
            purse=Purse(store, Price(0.0, 0.0, "free"), None),
        )  # fmt: skip
        asking = Asking(engine, "arithmetic", LATER)

        def made() -> Iterator[Job[list[Record]]]:
            return jobs(read_rows(source), {"sums": {}}, {"sums": ["two"]}, {"samples": 1}, asking)

        fulfil(made(), count, engine, store, lambda *now, **notes: None)
        written = write_rows(folder / "rationales.jsonl", replay(made(), store))
    assert written == count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak_mib": round(peak), "requests_per_s": round(requests / (time.monotonic() - start))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(teach(Path(folder), arguments.one)))
        return
    told: dict[str, Any] = {"bench": "memory"}
    size = 10_000
    while size <= arguments.most:
        command = [sys.executable, "-m", "benchmarks.memory", "--one", str(size)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ
        )
        told[str(size)] = json.loads(done.stdout)
        size *= 10
    print(json.dumps(told))


if __name__ == "__main__":
    main()
