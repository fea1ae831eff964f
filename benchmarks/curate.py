"""Seconds and memory to curate a million rationales: ``make bench curate``.

Four tasks, four samples a row, 60 words a rationale, a third of the answers wrong, one in ten a
near-duplicate, one row in a hundred a test question; one task is made from a template, so that its
rationales are all alike. The answer filter, near-duplicates and decontamination are on, and the
files are read from disk and written to it. `--rows` is the number of rationales. Memory is the
peak of the main process and of the largest of the others; beside it the peak of what the main
process alone holds (anonymous, Linux only), without the pages of files, which the kernel drops
where memory is short. Verification is timed apart, on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

from stages.core.jsonl import read_json, read_rows, write_json, write_rows
from stages.curate import curate
from stages.curation.settings import Settings
from stages.scoring.judge import judge

SAMPLES, TESTS, TARGET, VERIFIED = 4, 1000, 300, 20_000
ON = {"filter": "answer", "near_duplicates": 0.8, "decontaminate": {}}
KINDS = {"sums": "number", "options": "choice", "coins": "yes_no", "names": "letters"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
STATUS = Path("/proc/self/status")


def vocabulary(draw: random.Random) -> list[str]:
    made = {"".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(8000)}
    return sorted(made)


def prose(draw: random.Random, words: list[str], count: int) -> str:
    """Words as often as in a text: few of them make up most of it."""
    return " ".join(words[int(len(words) * draw.random() ** 3)] for _ in range(count))


def question(task: str, draw: random.Random, words: list[str]) -> str:
    if task == "coins":
        turns = " ".join(
            f"{draw.choice(words).title()} {draw.choice(['flips', 'does not flip'])} the coin."
            for _ in range(4)
        )
        return f"A coin is heads up. {turns} Is the coin still heads up? Flip means reverse."
    return prose(draw, words, 40) + "?"


def rationale(task: str, draw: random.Random, words: list[str]) -> str:
    if task == "coins":
        turns = " ".join(
            f"Then {draw.choice(words)} {draw.choice(['turns it', 'leaves it'])}, and so it shows "
            f"{draw.choice(['heads', 'tails'])} after step {step}."
            for step in range(1, 6)
        )
        return f"The coin is heads up at first. {turns}"
    return prose(draw, words, 60) + "."


def answer(task: str, draw: random.Random) -> str:
    if KINDS[task] == "number":
        return str(draw.randint(2, 9999))
    if KINDS[task] == "choice":
        return draw.choice("ABCD")
    return draw.choice(["yes", "no"]) if KINDS[task] == "yes_no" else draw.choice(["a b", "x y z"])


def made(count: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Train rows with their rationales."""
    draw = random.Random(0)
    words = vocabulary(draw)
    asked = {task: list(tests(task)) for task in KINDS}
    last = dict.fromkeys(KINDS, "")
    per_task = count // SAMPLES // len(KINDS)
    for task in KINDS:
        for number in range(per_task):
            text, gold = question(task, draw, words), answer(task, draw)
            if draw.random() < 0.01:
                text = draw.choice(asked[task])["question"]
            row = {
                "id": f"{task}/train/{number}", "task": task, "question": text, "gold": gold,
                "answer": gold, "options": ["p", "q", "r", "s"] if task == "options" else [],
                "worked": {}, "student": {"answers": [{"role": "user", "content": text}]},
                "prompts": {"s": {"messages": [{"role": "user", "content": text}] * 2}},
            }  # fmt: skip
            items = []
            for sample in range(SAMPLES):
                steps = rationale(task, draw, words)
                if last[task] and draw.random() < 0.1:
                    steps = "Well " + last[task]
                last[task] = steps
                said = answer(task, draw) if draw.random() < 0.4 else gold
                items.append(
                    {
                        "id": row["id"], "task": task, "strategy": "s", "sample": sample,
                        "completion": f"{steps} The answer is {said}.", "error": "",
                        "finish_reason": "stop", "completion_tokens": 90, "calls": [],
                    }
                )  # fmt: skip
            yield row, items


def tests(task: str) -> Iterator[dict[str, Any]]:
    draw = random.Random(task)
    words = vocabulary(random.Random(0))
    for number in range(TESTS):
        text = question(task, draw, words)
        yield {"id": f"{task}/test/{number}", "task": task, "question": text}


def prepare(top: Path, count: int) -> None:
    folder = top / "build/compiled/suites/s"
    rule = [{"after": "The answer is"}]
    write_json(
        folder / "tasks.json",
        {task: {"answer": {"type": kind, "extract": rule}} for task, kind in KINDS.items()},
    )
    write_rows(top / "build/compiled/tests.jsonl", (row for task in KINDS for row in tests(task)))
    write_rows(folder / "train.jsonl", (row for row, _ in made(count)))
    lines = (item for _, items in made(count) for item in items)
    write_rows(top / "build/rationales/s.jsonl", lines)


class Anonymous(Thread):
    """Watches the bytes that this process holds and no file stands behind; None off Linux."""

    peak: int | None = None

    def run(self) -> None:
        while STATUS.exists():
            held = STATUS.read_text().partition("RssAnon:")[2].split()[0]
            self.peak = max(self.peak or 0, int(held) * 1024)
            time.sleep(0.1)


def run(top: Path) -> dict[str, Any]:
    """Curate what is prepared; in a process of its own, for its peak of memory."""
    watch = Anonymous(daemon=True)
    watch.start()
    start = time.monotonic()
    summary = curate(top, "s", Settings.of(ON, top))
    seconds = time.monotonic() - start
    mine, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "seconds": round(seconds, 1),
        "processor_s": round(mine.ru_utime + mine.ru_stime),
        "processor_s_of_workers": round(others.ru_utime + others.ru_stime),
        "peak_mib": round(mine.ru_maxrss / 1024),
        "peak_anonymous_mib": round(watch.peak / 2**20) if watch.peak else None,
        "peak_of_a_worker_mib": round(others.ru_maxrss / 1024),
        "summary": summary,
    }


def verification(top: Path) -> int:
    """Rationales judged in a second of one core."""
    suite = top / "build/compiled/suites/s"
    rows = {row["id"]: row for row in islice(read_rows(suite / "train.jsonl"), 2000)}
    tasks = read_json(suite / "tasks.json")
    items = list(islice(read_rows(top / "build/rationales/s.jsonl"), 8000))
    start = time.process_time()
    for item in items:
        judge(item["completion"], rows[item["id"]], tasks[item["task"]])
    return round(len(items) / (time.process_time() - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        prepare(top, arguments.rows)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.curate", "--one", folder],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        told = json.loads(done.stdout.splitlines()[-1])  # behind the progress
        print(
            json.dumps(
                {
                    "bench": "curate", "rationales": arguments.rows, **told,
                    "per_second": round(arguments.rows / told["seconds"]),
                    "verified_per_second_and_core": verification(top),
                    "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1),
                    "target_s_for_a_million": TARGET,
                    "met": told["seconds"] <= TARGET * arguments.rows / 1e6,
                }
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()
