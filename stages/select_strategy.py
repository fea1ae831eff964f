"""Choose each task's strategy: ``python -m stages.select_strategy SUITE``.

The one that serves the student best, not the teacher (Orca 2, arXiv 2311.11045).

Reads ``build/probe/SUITE.jsonl``, ``build/compiled/suites/SUITE/``; writes
``build/selected/SUITE.json`` with the decision and its evidence.
"""

from __future__ import annotations

from dataclasses import asdict

from stages.core.console import argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_json
from stages.scoring.choose import choose
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
    outcomes: dict[str, dict[str, list[tuple[bool, int]]]] = {
        name: {strategy: [] for strategy in task["candidates"]} for name, task in tasks.items()
    }
    for answer in read_rows(top / f"build/probe/{suite}.jsonl"):
        name = answer["task"]
        verdict = judge(answer["completion"], rows[answer["id"]], tasks[name])
        outcomes[name][answer["strategy"]].append((verdict.correct, answer["completion_tokens"]))
    options = {row["task"]: len(row["options"]) for row in rows.values()}
    selected = {}
    for name, task in tasks.items():
        guess = chance(task["answer"]["type"], options.get(name, 0))
        choice = choose(outcomes[name], guess, params.fallback)
        selected[name] = asdict(choice) | {"chance": guess}
        say(f"select {suite}/{name}: {choice.strategy}, because {choice.reason}")
    write_json(top / f"build/selected/{suite}.json", selected)


if __name__ == "__main__":
    entry(main)
