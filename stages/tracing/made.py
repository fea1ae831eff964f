"""The links of a chain that stages made: requests, verdicts, training rows, checkpoints, scores."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from stages.engines.store import Store, default_path
from stages.tracing.held import Held, Row


def keys_of(record: Row) -> list[str]:
    """Of the requests that a record was answered by; older outputs hold the last one's alone."""
    return [call["key"] for call in record.get("calls", ())] or (
        [record["key"]] if "key" in record else []
    )


def request_step(held: Held, suite: str, task: str, row: str = "") -> Row:
    """What the teacher was asked on the task, or on one row, with what the store knows of it."""
    name = f"rationales/{suite}.jsonl"
    made = []
    wanted = (lambda each: each["id"] == row) if row else (lambda each: each["task"] == task)
    for place, record in held.rows(name, wanted):
        made.append({
            "file": place, "strategy": record["strategy"], "sample": record.get("sample", 0),
            "finish_reason": record["finish_reason"], "error": record["error"],
            "keys": keys_of(record),
        })  # fmt: skip
    keys = [key for each in made for key in each["keys"]]
    step: Row = {"link": "requests", **held.output(f"build/{name}"), "count": len(keys)}
    if keys:  # the recorded teacher is asked for nothing
        step["store"] = in_store(keys)
    return {**step, "rationales": made}


def in_store(keys: Sequence[str]) -> Row:
    """How many of them the response store holds, and who answered; none where there is no store."""
    found = Counter[tuple[str, str]]()
    spent, held, first, last = 0.0, 0, "", ""
    if keys and default_path().is_file():
        with Store(default_path()) as store, store.explained():
            for start in range(0, len(keys), 500):
                for line in _looked_up(store.db, keys[start : start + 500]):
                    endpoint, model, usd, since, until = line
                    found[endpoint, model] += 1
                    held, spent = held + 1, spent + usd
                    first, last = min(first or since, since), max(last, until)
    return {
        "held": held, "usd": spent, "first": first, "last": last,
        "models": [{"endpoint": e, "model": m, "answers": n} for (e, m), n in found.items()],
    }  # fmt: skip


def _looked_up(db: sqlite3.Connection, keys: Sequence[str]) -> Iterable[Any]:
    # one line a key: the same request may be held under several limits
    query = (
        "SELECT endpoint, model, TOTAL(usd), MIN(created), MAX(created) FROM completions "
        f"WHERE key IN ({', '.join('?' * len(keys))}) GROUP BY key"
    )
    return db.execute(query, keys).fetchall()


def verdict_step(held: Held, suite: str, task: str, row: str = "") -> Row:
    """What became of the rationales: counts of a task, or each one of a row."""
    header = next(held.rows(f"yield/{suite}.jsonl", lambda each: True))[1]
    counts = header.get("counts", header).get(task, {})  # an older header is the counts alone
    step: Row = {"link": "verdicts", **held.output(f"build/curated/{suite}.jsonl")}
    if not row:
        return {**step, "counts": counts}
    return {**step, "rationales": verdicts(held, suite, row)}


def verdicts(held: Held, suite: str, row: str) -> list[Row]:
    """Each rationale of a row: kept, or why it was dropped."""
    kept = [
        {"file": place, "strategy": line["strategy"], "sample": line["sample"],
         "verdict": "kept", "answer": line["answer"], "copy": line.get("copy", 0)}
        for place, line in held.of(f"curated/{suite}.jsonl", row)
    ]  # fmt: skip
    dropped = [
        {"file": place, "strategy": line["strategy"], "sample": line["sample"],
         "verdict": line["reason"], "answer": line.get("answer"), "near": line.get("near", "")}
        for place, line in held.of(f"yield/{suite}.jsonl", row)
    ]  # fmt: skip
    return kept + dropped


def training_step(held: Held, run: str, task: str, row: str = "") -> Row:
    """What the run trains on of the task, or of one row."""
    name = f"mix/{run}.jsonl"
    found = [
        (place, line) for place, line in held.rows(name, lambda each: each.get("task") == task)
        if not row or line["id"].rpartition("/")[0] == row
    ]  # fmt: skip
    strategies = Counter(line["strategy"] for _, line in found)
    step: Row = {"link": "training rows", "run": run, **held.output("build/mix")}
    step |= {"file": f"build/{name}", "count": len(found), "strategies": dict(strategies)}
    if row:
        step["rows"] = [{"file": place, "id": line["id"]} for place, line in found]
    return step


def checkpoint_step(held: Held, run: str) -> Row:
    """The run's weights: the best on valid, and when that was."""
    measured = held.maybe(f"training/{run}/valid.json") or []
    # as `train` does: among equals, the one that was trained longest
    best = max(measured, key=lambda each: (each["valid_accuracy"], each["step"]), default=None)
    step: Row = {"link": "checkpoint", "run": run, **held.output(f"build/checkpoints/{run}")}
    return {**step, "best_step": best and best["step"],
            "valid_accuracy": best and best["valid_accuracy"]}  # fmt: skip


def answer_step(held: Held, run: str, task: str, row: str = "") -> Row:
    """The run's answers to the task's test rows, or to one."""
    name = f"evaluations/{run}/predictions.jsonl"
    wanted = (lambda each: each["id"] == row) if row else (lambda each: each["task"] == task)
    found = list(held.rows(name, wanted))
    step: Row = {"link": "answers", "run": run, **held.output(f"build/evaluations/{run}")}
    step |= {"file": f"build/{name}", "count": len(found),
             "right": sum(bool(line["correct"]) for _, line in found)}  # fmt: skip
    step["answers"] = [
        {"file": place, "id": line["id"], "sample": line.get("sample", 0),
         "answer": line["answer"], "gold": line["gold"], "correct": line["correct"],
         "key": line["key"]}
        for place, line in found
    ]  # fmt: skip
    return step


def metric_step(held: Held, run: str, task: str) -> Row:
    """The scores, and the commit that brought the file as it is."""
    scores = held.maybe("metrics.json").get(run, {}).get(task, {})
    file = "build/metrics.json"
    return {"link": "metric", "run": run, "task": task, "file": file, "scores": scores,
            "commit": held.commit(file)}  # fmt: skip
