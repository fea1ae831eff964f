"""Requests a second that the teacher's engine keeps up, beside other clients and the ideal.

    make bench teacher
    python -m benchmarks.teacher --requests 4096 --in-flight 256 --latency 0.5 --runs 3

Starts `benchmarks.latency_server`, whose every reply takes the latency, and asks it the same
questions through this project's engine and through each installed peer (see
`benchmarks.teacher_peers` for CURATOR_PYTHON and DISTILABEL_PYTHON), with the same bound on what is
in flight, one client at a time. Rounds alternate between them and the median run is reported.

A client that costs nothing sends whole waves: it takes ceil(requests / in_flight) * latency, so a
ragged last wave counts as a full one. `ideal_per_s` is requests over these seconds, and
`share_of_ideal` is these seconds over ours. Client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.teacher_peers import MAX_TOKENS, PEERS, WARM_UP, counted, figures, peer, questions
from stages.engines.fulfil import fulfil, single
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.request import Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse


def ours(engine: OpenAIEngine, count: int, start: int = 0) -> float:
    """Seconds that the engine takes for `questions(count)`, answers made durable included."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "s") as store:
        engine.purse = Purse(store, Price(0.0, 0.0, "free"), None)
        asked = (
            single(Request(engine.endpoint, engine.model, (("user", text),), MAX_TOKENS))
            for text in questions(count, start)
        )
        began = time.perf_counter()
        counts = fulfil(asked, count, engine, store, lambda *now, **notes: None)
        assert counts.generated == sum(store.count().values()) == count
        return time.perf_counter() - began


def measured(url: str, count: int, in_flight: int) -> dict[str, Any]:
    """Figures of ours after a warm-up, as `benchmarks.teacher_peers.timed` gives them of a peer."""
    engine = OpenAIEngine("m", [f"{url}/v1"], flow=Flow(concurrency=in_flight))
    ours(engine, WARM_UP, start=10_000_000)
    counted(url, "reset")
    cpu = time.process_time()
    spent = ours(engine, count)
    return figures(count, spent, time.process_time() - cpu, counted(url))


@contextmanager
def server(latency: float) -> Iterator[str]:
    """The URL of a latency server of its own."""
    command = [sys.executable, "-m", "benchmarks.latency_server", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def median(runs: list[dict[str, Any] | str]) -> dict[str, Any] | str:
    """The run with the median rate; what went wrong, if no run has one."""
    good = [run for run in runs if isinstance(run, dict)]
    return sorted(good, key=lambda run: run["per_s"])[len(good) // 2] if good else runs[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=4096)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds (0.5)")
    parser.add_argument("--runs", type=int, default=3, help="of each client; the median counts")
    parser.add_argument("--only", choices=["ours", *PEERS], help="this client alone")
    options = parser.parse_args()
    job = (options.requests, options.in_flight)
    names = [options.only] if options.only else ["ours", *PEERS]
    runs: dict[str, list[dict[str, Any] | str]] = {name: [] for name in names}
    with server(options.latency) as url:
        for _ in range(options.runs):
            for name in names:
                run = measured(url, *job) if name == "ours" else peer(name, url, *job)
                runs[name].append(run)
                print(f"{name}: {run}", file=sys.stderr)
    found = {name: median(runs[name]) for name in names}
    own = found.pop("ours", None)
    ideal = options.requests / (math.ceil(options.requests / options.in_flight) * options.latency)
    rate = own["per_s"] if isinstance(own, dict) else None
    result = {
        "bench": "teacher",
        "latency_s": options.latency,
        "requests": options.requests,
        "in_flight": options.in_flight,
        "runs": options.runs,
        "load_1min": round(os.getloadavg()[0], 1),
        "ideal_per_s": round(ideal, 1),
        "ours_per_s": rate,
        "share_of_ideal": rate and round(rate / ideal, 3),
        "ratio_to": {
            name: round(rate / run["per_s"], 2)
            for name, run in found.items()
            if rate and isinstance(run, dict)
        },
        "ours": own,
        "peers": found,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
