"""Keep the rationales whose answer verifies: ``python -m stages.curate SUITE``.

Reads ``build/rationales/SUITE.jsonl``, ``build/compiled/suites/SUITE/``; writes
``build/curated/SUITE.jsonl``, and ``build/yield/SUITE.jsonl``: the counts by task, strategy and
reason, then every dropped rationale with its reason.
"""

from __future__ import annotations

from typing import Any

from stages.core.console import argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_rows
from stages.scoring.judge import Verdict, judge
from stages.spec.read import load_params

KEPT = "kept"


def main() -> None:
    """Curate one suite."""
    top = root()
    suite = argument("suite", load_params(top).suites)
    tasks = read_json(top / f"build/compiled/suites/{suite}/tasks.json")
    rows = {row["id"]: row for row in read_rows(top / f"build/compiled/suites/{suite}/train.jsonl")}
    kept, dropped = [], []
    counts: dict[str, dict[str, dict[str, int]]] = {name: {} for name in tasks}
    for item in read_rows(top / f"build/rationales/{suite}.jsonl"):
        row = rows[item["id"]]
        verdict = judge(item["completion"], row, tasks[item["task"]])
        reason = reason_for(item, verdict)
        place = {key: item[key] for key in ("id", "task", "strategy", "sample")}
        if reason == KEPT:
            kept.append({**place, "rationale": verdict.rationale, "answer": row["answer"]})
        else:
            dropped.append(
                {**place, "reason": reason, "answer": verdict.answer, "gold": row["gold"],
                 "completion": item["completion"]}
            )  # fmt: skip
        by_reason = counts[item["task"]].setdefault(item["strategy"], {})
        by_reason[reason] = by_reason.get(reason, 0) + 1
    write_rows(top / f"build/curated/{suite}.jsonl", kept)
    write_rows(top / f"build/yield/{suite}.jsonl", [counts, *dropped])
    say(f"curate {suite}: kept {len(kept)} of {len(kept) + len(dropped)} rationales")


def reason_for(item: dict[str, Any], verdict: Verdict) -> str:
    """Why a rationale is kept or dropped; the answer filter of Fine-tune-CoT."""
    if item["error"]:
        return "refused by the endpoint"
    if item["finish_reason"] == "length":
        return "cut short"
    if verdict.answer is None:
        return "no answer found"
    return KEPT if verdict.correct else "wrong answer"


if __name__ == "__main__":
    entry(main)
