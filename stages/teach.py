"""Ask the teacher for rationales: ``python -m stages.teach SUITE``.

Only under the strategies that runs train on.

Reads ``build/compiled/suites/SUITE/``, ``build/selected/SUITE.json``, ``build/teacher``; writes
``build/rationales/SUITE.jsonl``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_rows
from stages.engines.ask import sampling, teacher_engine
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil
from stages.engines.request import Job
from stages.engines.store import Store, default_path
from stages.spec.model import Params
from stages.spec.read import load_params
from stages.teaching.chain import Asking, Record
from stages.teaching.rationales import jobs, wanted
from stages.teaching.recorded import Recorded
from stages.teaching.refill import refill


def main() -> None:
    """Teach one suite."""
    top = root()
    params = load_params(top)
    suite = argument("suite", params.suites)
    folder, out = top / f"build/compiled/suites/{suite}", top / f"build/rationales/{suite}.jsonl"
    tasks = read_json(folder / "tasks.json")
    selected = read_json(top / f"build/selected/{suite}.json")
    strategies = {name: wanted(task, selected.get(name)) for name, task in tasks.items()}
    rows = folder / "train.jsonl"
    if params.teacher["engine"] == "recorded":
        recorded = Recorded(top / "build/teacher")
        count = write_rows(out, recorded.rationales(read_rows(rows), strategies, params.samples))
        say(f"teach {suite}: {count} rationales, 0 asked for, {count} held")
        return
    _ask(top, params, suite, rows, tasks, strategies, out)


def _ask(
    top: Path,
    params: Params,
    suite: str,
    rows: Path,
    tasks: dict[str, Any],
    strategies: dict[str, list[str]],
    out: Path,
) -> None:
    with Store(default_path()) as store:
        engine = teacher_engine(params.teacher, params.runtime, top / "build/teacher", store)
        later = read_json(rows.parent / "calls.json")
        asking = Asking(engine, suite, later, sampling(params.teacher))

        def made() -> Iterator[Job[list[Record]]]:
            return jobs(read_rows(rows), tasks, strategies, params.teach, asking)

        total = sum(1 for _ in made())
        refilled = refill(made, store, top, f"build/rationales/{suite}.jsonl")
        progress = Progress(f"teach {suite}", "rationales")
        counts = fulfil(made(), total, engine, store, progress)
        count = write_rows(out, chain.from_iterable(replay(made(), store)))
    note = f", {refilled} of them from the last output" if refilled else ""
    say(
        f"teach {suite}: {count} rationales, {counts.generated} asked for, {counts.held} held{note}"
    )


if __name__ == "__main__":
    entry(main)
