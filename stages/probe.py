"""Ask the untrained student under every strategy: ``python -m stages.probe SUITE``.

Reads ``build/compiled/suites/SUITE/probe.jsonl``, ``build/student``; writes
``build/probe/SUITE.jsonl``.
"""

from __future__ import annotations

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_rows, write_rows
from stages.engines.ask import request
from stages.engines.fulfil import fulfil
from stages.engines.local import LocalEngine
from stages.engines.store import Store, default_path
from stages.spec.read import load_params


def main() -> None:
    """Probe one suite."""
    top = root()
    params = load_params(top)
    suite, limit = argument("suite", params.suites), params.probe["max_tokens"]
    engine = LocalEngine(top / "build/student")
    asked = [
        (row, strategy, request(engine, prompt["messages"], min(limit, prompt["max_tokens"])))
        for row in read_rows(top / f"build/compiled/suites/{suite}/probe.jsonl")
        for strategy, prompt in row["prompts"].items()
    ]
    with Store(default_path()) as store:
        progress = Progress(f"probe {suite}", "answers")
        done = fulfil([item for _, _, item in asked], engine, store, progress)
    write_rows(
        top / f"build/probe/{suite}.jsonl",
        (
            {"id": row["id"], "task": row["task"], "strategy": strategy, **done.answer(item)}
            for row, strategy, item in asked
        ),
    )
    say(f"probe {suite}: {len(asked)} answers, {done.generated} generated, {done.held} held")


if __name__ == "__main__":
    entry(main)
