"""Try the student under every strategy: ``python -m stages.probe SUITE``.

In mode ``prompt`` the untrained student answers under each strategy's prompt; in mode ``finetune``
it first learns from a few rationales of each strategy, and then answers its own plain prompt.

Reads ``build/compiled/suites/SUITE/``, ``build/student``, ``build/teacher``; writes
``build/probe/SUITE.jsonl``, a header and then the answers, and ``SUITE.lessons.jsonl``, the
teacher's rationales that the student learns from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_rows
from stages.engines.ask import local_engine
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil
from stages.engines.request import Job, Planned, Request
from stages.engines.store import Store, default_path
from stages.spec.model import FINETUNE, PROMPT, Params
from stages.spec.read import load_params
from stages.teaching.chain import Asking, Record
from stages.teaching.lessons import Lessons, learn
from stages.training.adapter import AdapterEngine, Lesson


@dataclass(frozen=True)
class Trial:
    """Who is asked what; `header` and `rationales` are written beside the answers."""

    engine: Planned
    jobs: Callable[[], Iterator[Job[Record]]]
    header: dict[str, Any]
    rationales: Sequence[Record] = ()


def main() -> None:
    """Probe one suite."""
    top = root()
    params = load_params(top)
    suite = argument("suite", params.suites)
    with Store(default_path()) as store:
        if params.probe["mode"] == FINETUNE:
            trial = learning(top, params, suite)
        else:
            trial = prompting(top, params, suite)
        total = sum(1 for _ in trial.jobs())
        progress = Progress(f"probe {suite}", "answers")
        counts = fulfil(trial.jobs(), total, trial.engine, store, progress)
        write_rows(top / f"build/probe/{suite}.lessons.jsonl", trial.rationales)
        answers = chain([trial.header], replay(trial.jobs(), store))
        count = write_rows(top / f"build/probe/{suite}.jsonl", answers) - 1
    say(f"probe {suite}: {count} answers, {counts.generated} generated, {counts.held} held")


def prompting(top: Path, params: Params, suite: str) -> Trial:
    """The untrained student under each strategy's prompt."""
    folder = top / f"build/compiled/suites/{suite}"
    engine = local_engine(top / "build/student", params.runtime)
    later = read_json(folder / "calls.json")
    asking = Asking(engine, suite, later, ceiling=params.probe["max_tokens"], forces=True)

    def jobs() -> Iterator[Job[Record]]:
        for row in read_rows(folder / "probe.jsonl"):
            for strategy in row["prompts"]:
                yield asking.chain(row, strategy)

    return Trial(engine, jobs, {"mode": PROMPT})


def learning(top: Path, params: Params, suite: str) -> Trial:
    """The student that has learnt from a few rows of each strategy, under its own prompt."""
    folder = top / f"build/compiled/suites/{suite}"
    lessons = Lessons(read_json(folder / "lessons.json"), params.probe["rows"])
    rationales = learn(top, params, suite, lessons)
    engine = AdapterEngine(
        top / "build/student",
        params.probe,
        params.train["max_length"],
        lambda about: Progress(f"probe {about}", "steps"),
    )
    told, models = {}, {}
    for task in lessons.candidates():
        taught = lessons.of(task)
        told[task] = taught.told()
        for strategy, rows in taught.lessons.items():
            lesson = Lesson(f"{suite}/{task}/{strategy}", rows)
            models[task, strategy] = engine.learn(lesson)

    def jobs() -> Iterator[Job[Record]]:
        for row in read_rows(folder / "probe.jsonl"):
            for strategy in row["prompts"]:
                if (row["task"], strategy) in models:
                    model = models[row["task"], strategy]
                    yield _answer(suite, row, strategy, model, params.probe["max_tokens"])

    return Trial(engine, jobs, {"mode": FINETUNE, "tasks": told}, rationales)


def _answer(suite: str, row: dict[str, Any], strategy: str, model: str, limit: int) -> Job[Record]:
    messages = row["student"].get(strategy, row["student"]["answers"])
    pairs = tuple((message["role"], message["content"]) for message in messages)
    about = f"{suite}/{row['task']}/{strategy}"
    asked = Request("local", model, pairs, limit, about=about, row=row["id"])
    done = yield asked
    return {
        "id": row["id"],
        "task": row["task"],
        "strategy": strategy,
        "completion": done.text,
        "finish_reason": done.finish_reason,
        "completion_tokens": done.completion_tokens,
        "error": done.error,
        "calls": [{"key": asked.key}],
    }


if __name__ == "__main__":
    entry(main)
