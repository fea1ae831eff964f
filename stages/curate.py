"""Keep the rationales that are fit to train on: ``python -m stages.curate SUITE``.

Reads ``build/rationales/SUITE.jsonl``, ``build/compiled/suites/SUITE/``,
``build/compiled/tests.jsonl``, ``build/student/tokenizer.json``; writes
``build/curated/SUITE.jsonl``, and ``build/yield/SUITE.jsonl``: the counts by task, strategy and
reason and what became of hard rows, then every dropped rationale with its reason.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from stages.core.console import argument, entry, root, say, watch
from stages.core.jsonl import absent, atomic, canonical, count_rows, read_json, read_rows
from stages.curation.cases import joined
from stages.curation.decide import Decide
from stages.curation.lines import dropped_lines, kept_lines
from stages.curation.measure import Measure
from stages.curation.settings import Settings
from stages.curation.stream import measured
from stages.curation.tally import Tally
from stages.spec.read import load_params


def main() -> None:
    """Curate one suite."""
    top = root()
    params = load_params(top)
    suite = argument("suite", params.suites)
    settings = Settings.of(params.curate, top)
    say(f"curate {suite}: {curate(top, suite, settings)}")


def curate(top: Path, suite: str, settings: Settings) -> str:
    """Write both files in one go over the rationales; returns the summary."""
    folder, name = top / f"build/compiled/suites/{suite}", f"build/rationales/{suite}.jsonl"
    tasks = read_json(folder / "tasks.json")
    source, tokenizer = top / name, top / "build/student/tokenizer.json"
    for needed in [source, tokenizer] if settings.counts_tokens else [source]:
        if not needed.is_file():
            raise absent(needed)
    questions = None
    if settings.ngram is not None:
        from stages.curation.decontaminate import Questions

        tests = read_rows(top / "build/compiled/tests.jsonl")
        questions = Questions(tests, settings.ngram, settings.common)
    cases = joined(read_rows(folder / "train.jsonl"), read_rows(source), name)
    measure = Measure(settings, tasks, questions, tokenizer)
    report = top / f"build/yield/{suite}.jsonl"
    report.parent.mkdir(parents=True, exist_ok=True)
    decide, tally = Decide(settings, report.parent), Tally(tasks)
    # the counts stand in front of the dropped ones, and are known behind them
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=report.parent) as rest:
        with atomic(top / f"build/curated/{suite}.jsonl") as kept:
            total = count_rows(folder / "train.jsonl")
            found = measured(cases, measure, source.stat().st_size)
            for case, rationales in watch(found, total, f"curate {suite}"):
                outcomes = decide(case, rationales)
                tally.add(case.row, outcomes)
                kept.writelines(kept_lines(case, outcomes))
                rest.writelines(dropped_lines(case, outcomes))
        rest.seek(0)
        with atomic(report) as file:
            file.write(canonical(tally.header()) + "\n")
            shutil.copyfileobj(rest, file)
    return tally.summary()


if __name__ == "__main__":
    entry(main)
