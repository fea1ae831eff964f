"""Ask the untrained student under every strategy: ``python -m stages.probe SUITE``.

Reads ``build/compiled/suites/SUITE/probe.jsonl`` and ``calls.json``, ``build/student``; writes
``build/probe/SUITE.jsonl``.
"""

from __future__ import annotations

from collections.abc import Iterator

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_rows
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil
from stages.engines.local import LocalEngine
from stages.engines.request import Job
from stages.engines.store import Store, default_path
from stages.spec.read import load_params
from stages.teaching.chain import Asking, Record


def main() -> None:
    """Probe one suite."""
    top = root()
    params = load_params(top)
    suite = argument("suite", params.suites)
    folder = top / f"build/compiled/suites/{suite}"
    engine = LocalEngine(top / "build/student")
    later = read_json(folder / "calls.json")
    asking = Asking(engine, suite, later, ceiling=params.probe["max_tokens"])

    def jobs() -> Iterator[Job[Record]]:
        for row in read_rows(folder / "probe.jsonl"):
            for strategy in row["prompts"]:
                yield asking.chain(row, strategy)

    with Store(default_path()) as store:
        total = sum(1 for _ in jobs())
        counts = fulfil(jobs(), total, engine, store, Progress(f"probe {suite}", "answers"))
        count = write_rows(top / f"build/probe/{suite}.jsonl", replay(jobs(), store))
    say(f"probe {suite}: {count} answers, {counts.generated} generated, {counts.held} held")


if __name__ == "__main__":
    entry(main)
