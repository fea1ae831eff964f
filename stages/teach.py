"""Ask the teacher for rationales: ``python -m stages.teach SUITE``.

Only under the strategies that runs train on.

Reads ``build/compiled/suites/SUITE/``, ``build/selected/SUITE.json``, ``build/teacher``; writes
``build/rationales/SUITE.jsonl``, and ``build/ranked/SUITE.json``: the strategy that serves the
teacher best, by task, where a run trains on it, with the rationales that tell in ``SUITE.jsonl``.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from stages.core.console import argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_json, write_rows
from stages.spec.model import Params
from stages.spec.read import load_params
from stages.teaching.chain import Record
from stages.teaching.ranking import rank, ranked_rows
from stages.teaching.rationales import wanted
from stages.teaching.teacher import Teacher


def main() -> None:
    """Teach one suite."""
    top = root()
    params = load_params(top)
    suite = argument("suite", params.suites)
    folder, out = top / f"build/compiled/suites/{suite}", top / f"build/rationales/{suite}.jsonl"
    tasks = read_json(folder / "tasks.json")
    selected = read_json(top / f"build/selected/{suite}.json")
    with Teacher.of(top, params, suite, tasks) as teacher:
        strategies = {name: wanted(task, selected.get(name)) for name, task in tasks.items()}
        tried, ranked = _tried(teacher, folder, tasks, params)
        for name, choice in ranked.items():
            strategies[name] = list(dict.fromkeys([*strategies[name], choice["strategy"]]))
            say(f"teach {suite}/{name}: {choice['strategy']} for the teacher: {choice['reason']}")
        made = teacher.rationales(
            lambda: read_rows(folder / "train.jsonl"), strategies, params.teach
        )
        count = write_rows(out, made)
    # kept as well, so that whoever pulls them need not buy them again
    write_rows(top / f"build/ranked/{suite}.jsonl", chain([{"rationales": len(tried)}], tried))
    write_json(top / f"build/ranked/{suite}.json", ranked)
    told = teacher.told or f"0 asked for, {count} held"
    say(f"teach {suite}: {count} rationales, {told}")


def _tried(
    teacher: Teacher, folder: Path, tasks: dict[str, Any], params: Params
) -> tuple[list[Record], dict[str, Any]]:
    """The teacher's answers under every candidate, and what they rank first, by task."""
    ranking = {name: task["candidates"] for name, task in tasks.items() if task["ranks"]}
    if not ranking:
        return [], {}
    rows = list(ranked_rows(read_rows(folder / "train.jsonl"), tasks, params.ranked_rows))
    tried = list(teacher.rationales(lambda: iter(rows), ranking, {"samples": 1}))
    told = teacher.told or f"0 asked for, {len(tried)} held"
    say(f"teach {teacher.suite}: {len(tried)} rationales to rank by, {told}")
    return tried, rank(tried, rows, tasks, params)


if __name__ == "__main__":
    entry(main)
