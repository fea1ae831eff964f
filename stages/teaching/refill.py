"""Answers that the last output of ``teach`` holds, put back into a store that lacks them.

DVC removes a stage's output before the stage runs again. What was pulled, on a machine that never
asked the teacher, is then only in DVC's cache, under the hash that ``dvc.lock`` names.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from stages.core.jsonl import read_rows
from stages.engines.desk import StoreDesk
from stages.engines.request import Completion, Job, Request
from stages.engines.store import Store
from stages.spec.load import load
from stages.teaching.chain import Record

MANY = 256
"""Answers that are stored in one go."""


def refill(jobs: Callable[[], Iterable[Job[Any]]], store: Store, top: Path, output: str) -> int:
    """Store what the last output holds of what is missing; returns how many answers.

    Args:
        jobs: What will be asked; made anew at each call.
        store: Filled.
        top: The repository root.
        output: The stage's output, relative to `top`.
    """
    if StoreDesk(jobs(), store).peek() is None:
        return 0
    file = last_output(top, output)
    held = (
        {key: pair for record in read_rows(file) for key, pair in _answers(record)} if file else {}
    )
    if not held:
        return 0
    desk, found = StoreDesk(jobs(), store), list[tuple[Request, Completion]]()
    count = 0
    while (request := desk.next()) or found:
        if request and request.key in held:
            limit, completion = held[request.key]
            if limit == request.max_tokens and (completion.logprobs or not request.top_logprobs):
                found.append((request, completion))
                continue
        if request:
            desk.drop(request)
        if found and (request is None or len(found) >= MANY):
            count += len(found)
            batch, found = found, []
            desk.deliver(batch)
    return count


def last_output(top: Path, output: str) -> Path | None:
    """The file itself, or DVC's cached copy of it; None when there is neither."""
    if (top / output).is_file():
        return top / output
    lock = top / "dvc.lock"
    if not lock.is_file():
        return None
    document = load(lock, top)
    stages = document.data.get("stages", {}) if isinstance(document.data, dict) else {}
    hashes = [
        out["md5"]
        for stage in stages.values()
        for out in stage.get("outs", ())
        if out.get("path") == output and "md5" in out
    ]
    if not hashes:
        return None
    told = subprocess.run(
        ["dvc", "cache", "dir"], cwd=top, capture_output=True, text=True, check=False
    )
    cache = Path(told.stdout.strip())
    file = cache / "files" / "md5" / hashes[0][:2] / hashes[0][2:]
    return file if told.returncode == 0 and file.is_file() else None


def _answers(record: Record) -> Iterator[tuple[str, tuple[int, Completion]]]:
    for call in record.get("calls", ()):  # an output of before there were calls has none
        completion = Completion(
            call.get("text", record["completion"]), call["finish_reason"], call["prompt_tokens"],
            call["completion_tokens"], call["error"], call.get("reasoning", ""),
            call.get("logprobs", ""),
        )  # fmt: skip
        yield call["key"], (call["max_tokens"], completion)
