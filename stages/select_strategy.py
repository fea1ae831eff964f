"""Choose each task's strategy: ``python -m stages.select_strategy SUITE``.

The one that serves the student best, not the teacher (Orca 2, arXiv 2311.11045).

Reads ``build/probe/SUITE.jsonl``, ``build/compiled/suites/SUITE/``; writes
``build/selected/SUITE.json`` with the decision and its evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stages.core.console import argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_json
from stages.scoring.choose import Outcome, choose
from stages.scoring.judge import judge
from stages.scoring.stats import chance
from stages.spec.read import load_params


def main() -> None:
    """Select for one suite, for the tasks that a run selects for."""
    top = root()
    params = load_params(top)
    suite = argument("suite", params.suites)
    folder = top / f"build/compiled/suites/{suite}"
    tasks = {k: task for k, task in read_json(folder / "tasks.json").items() if task["selects"]}
    rows = {row["id"]: row for row in read_rows(folder / "probe.jsonl")}
    answers = read_rows(top / f"build/probe/{suite}.jsonl")
    header = next(answers)
    taught = header.get("tasks", {})
    outcomes: dict[str, dict[str, dict[str, Outcome]]] = {
        name: {
            strategy: {}
            for strategy in task["candidates"]
            if strategy not in taught.get(name, {}).get("set_aside", ())
        }
        for name, task in tasks.items()
    }
    for answer in answers:
        name, row = answer["task"], rows[answer["id"]]
        verdict = judge(answer["completion"], row, tasks[name])
        outcomes[name][answer["strategy"]][row["id"]] = Outcome(
            verdict.correct, answer["completion_tokens"], answer["finish_reason"] == "length"
        )
    options = {row["task"]: len(row["options"]) for row in rows.values()}
    selected = {}
    for name, task in tasks.items():
        guess = chance(task["answer"]["type"], options.get(name, 0))
        choice = choose(outcomes[name], guess, params.fallback, params.tie)
        learned = taught.get(name, {})
        reason = choice.reason + learned_from(learned)
        selected[name] = {
            **asdict(choice), "reason": reason, "chance": guess, "tie": params.tie,
            "mode": header["mode"], **learned,
        }  # fmt: skip
        say(f"select {suite}/{name}: {choice.strategy}, because {reason}")
    write_json(top / f"build/selected/{suite}.json", selected)


def learned_from(taught: Mapping[str, Any]) -> str:
    """What the student had learnt before it was asked, as the end of a sentence."""
    if not taught:
        return ""
    told = f"; after learning from {taught['rows']} rows of each"
    if not taught["same_rows"]:
        told += ", which are not the same rows"
    for strategy in taught["set_aside"]:
        told += f"; {strategy} was not tried, with {taught['right'][strategy]} right rationales"
    return told


if __name__ == "__main__":
    entry(main)
