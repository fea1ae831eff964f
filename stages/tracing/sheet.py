"""All that there is of one row: what was asked, and what teacher and student wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stages.scoring.judge import judge
from stages.tracing.chain import Tracer
from stages.tracing.held import Row
from stages.tracing.made import keys_of, verdicts


@dataclass
class Sheet:
    """One row.

    Args:
        row: As compiled: `id`, `question`, `gold`, `options`.
        prompts: Messages as sent, by who is asked: ``teacher, step_by_step``.
        rationales: Of the teacher, each with its `verdict`; of the probed student likewise.
        targets: What each run trains on of it, by run.
        answers: Of each run to a test row.
    """

    row: Row
    prompts: dict[str, Any] = field(default_factory=dict)
    rationales: list[Row] = field(default_factory=list)
    targets: dict[str, list[str]] = field(default_factory=dict)
    answers: list[Row] = field(default_factory=list)


def sheet(tracer: Tracer, name: str) -> Sheet:
    """Gather a row, ``[suite/]task/split/number``. Raises `UserError` as `Tracer.find`."""
    suite, task, split, row = tracer.find(name)
    made = Sheet(row)
    if split == "train":
        _taught(tracer, suite, made)
    elif split == "probe":
        _probed(tracer, suite, made)
    else:
        _examined(tracer, suite, task, split, made)
    return made


def _taught(tracer: Tracer, suite: str, made: Sheet) -> None:
    row, held = made.row, tracer.held
    known: dict[tuple[str, Any], Row] = {}
    for each in verdicts(held, suite, row["id"]):
        known.setdefault((each["strategy"], each["sample"]), each)
    for _, record in held.of(f"rationales/{suite}.jsonl", row["id"]):
        place = record["strategy"], record.get("sample", 0)
        became = known.pop(place, {})
        made.rationales.append({
            **_written(record, became.get("verdict", "not taken in by curate")),
            "answer": became.get("answer"), "near": became.get("near", ""),
        })  # fmt: skip
    for (strategy, sample), became in known.items():
        text = row.get("worked", {}).get(strategy, "")
        made.rationales.append({
            "strategy": strategy, "sample": sample, "completion": text,
            "verdict": became["verdict"], "answer": became["answer"],
        })  # fmt: skip
    asked = dict.fromkeys(each["strategy"] for each in made.rationales)
    for strategy in [name for name in row["prompts"] if name in asked] or row["prompts"]:
        made.prompts[f"teacher, {strategy}"] = row["prompts"][strategy]["messages"]
    wanted = f"{row['id']}/"
    for run in tracer.runs_of(suite, row["task"]):
        mix = held.rows(f"mix/{run.id}.jsonl", lambda each: each.get("id", "").startswith(wanted))
        for _, line in mix:
            made.targets.setdefault(run.id, []).append(line["completion"])


def _probed(tracer: Tracer, suite: str, made: Sheet) -> None:
    tasks = tracer.held.json(f"compiled/suites/{suite}/tasks.json")
    row = made.row
    for strategy, prompt in row["prompts"].items():
        made.prompts[f"student, {strategy}"] = prompt["messages"]
    for _, record in tracer.held.of(f"probe/{suite}.jsonl", row["id"]):
        verdict = judge(record["completion"], row, tasks[row["task"]])
        told = "right" if verdict.correct else "wrong"
        made.rationales.append(_written(record, told) | {"answer": verdict.answer})


def _examined(tracer: Tracer, suite: str, task: str, split: str, made: Sheet) -> None:
    for run in tracer.runs_of(suite, task):
        wanted = made.row["id"]
        for _, row in tracer.held.of(f"compiled/runs/{run.id}/{split}.jsonl", wanted):
            if "messages" in row:
                made.prompts[f"student, {run.id}"] = row["messages"]
            for strategy, prompt in row.get("prompts", {}).items():
                made.prompts[f"student, {run.id}, {strategy}"] = prompt["messages"]
        for _, line in tracer.held.of(f"evaluations/{run.id}/predictions.jsonl", wanted):
            made.answers.append({"run": run.id, **line})


def _written(record: Row, verdict: str) -> Row:
    return {
        "strategy": record["strategy"], "sample": record.get("sample", 0), "verdict": verdict,
        "completion": record["completion"], "finish_reason": record["finish_reason"],
        "error": record["error"], "keys": keys_of(record),
    }  # fmt: skip
