"""What the teacher would be asked by task and strategy, and the bill of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.compiler.build import asked_rows, scoring, suite_calls
from stages.compiler.check import Rows
from stages.core.jsonl import read_json
from stages.engines.ask import base_urls, sampling, teacher_engine
from stages.engines.batch.run import Batching
from stages.engines.prices import Price, price_of
from stages.engines.request import Engine
from stages.engines.store import Store
from stages.spec.project import Project
from stages.teaching.chain import Asking
from stages.teaching.lessons import asked as probe_rows
from stages.teaching.plan import Line, estimate, survey, usual
from stages.teaching.rationales import jobs, wanted

FREE = Price(0.0, 0.0, "this machine")


@dataclass(frozen=True)
class Forecast:
    """Each line with why it is wanted; `price` is None when nobody knows it, `spent` in USD."""

    lines: list[tuple[Line, str]]
    price: Price | None
    spent: float


def forecast(top: Path, project: Project, rows: Rows, store: Store) -> Forecast:
    """A line for each task and strategy; not for the recorded teacher, which is not asked."""
    teacher, runtime = project.params.teacher, project.params.runtime
    servers = 1
    price: Price | None = FREE
    if teacher["engine"] == "openai":
        urls = base_urls(teacher)
        servers, price = len(urls), price_of(teacher["model"], urls, runtime.get("price"))
        batch = runtime.get("batch")
        if price and batch is not None:
            share = Batching(**batch).factor
            price = Price(price.prompt * share, price.completion * share, price.source)
    engine = teacher_engine(teacher, runtime, top / "build/teacher", None)
    known = usual(store, engine.endpoint, engine.model)
    lines = list(_lines(top, project, rows, store, engine))
    for line, _ in lines:
        estimate(line, known, price, runtime, servers)
    return Forecast(lines, price, store.spent())


def _lines(
    top: Path, project: Project, rows: Rows, store: Store, engine: Engine
) -> Iterator[tuple[Line, str]]:
    """A line for each task and strategy, with why it is wanted."""
    params = project.params
    for suite in params.suites:
        tasks = {task.id: scoring(project, task) for task in project.suite(suite)}
        selected, ranked = (_built(top / f"build/{k}/{suite}.json") for k in ("selected", "ranked"))
        later = suite_calls(project, suite)
        asking = Asking(engine, suite, later, sampling(params.teacher))
        for name, task in tasks.items():
            train = [r for r in asked_rows(project, rows, suite, "train") if r["task"] == name]
            taught = _taught(task, selected.get(name), ranked.get(name))
            for strategy, because in taught.items():
                yield _line(asking, train, name, task, strategy, params.teach, store), because
            learned = params.learned(project.tasks[suite, name])
            tried = task["candidates"] if task["ranks"] else ()
            for strategy in dict.fromkeys([*learned, *tried]):
                if strategy not in taught:  # otherwise these requests are among those above
                    because = "the probe learns from it"
                    most = params.probe["rows"] if strategy in learned else 0
                    if strategy in tried and params.ranked_rows > most:
                        because, most = "the teacher is tried on it", params.ranked_rows
                    few = list(probe_rows(train, [name], most))
                    yield _line(asking, few, name, task, strategy, {"samples": 1}, store), because


def _built(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.is_file() else {}


def _taught(task: dict[str, Any], selected: Any, ranked: Any) -> dict[str, str]:
    """By strategy under which all rows are taught, why."""
    taught = dict.fromkeys(task["fixed"], "a run trains on it")
    for strategy in wanted(task, selected):
        taught.setdefault(strategy, "selected" if selected else "may be selected")
    if task["ranks"]:
        for strategy in [ranked["strategy"]] if ranked else task["candidates"]:
            because = "serves the teacher best" if ranked else "may serve the teacher best"
            taught.setdefault(strategy, because)
    return taught


def _line(
    asking: Asking, rows: list[Any], name: str, task: dict[str, Any], strategy: str,
    teach: Mapping[str, Any], store: Store,
) -> Line:  # fmt: skip
    calls = len(asking.later["calls"].get(strategy, [None]))
    early = teach.get("enough") or teach.get("give_up")
    most = calls * (teach["samples"] if early else 1)
    asked: Any = jobs(rows, {name: task}, {name: [strategy]}, teach, asking)
    if most == 1:
        asked = (r for row in rows for r in asking.first(row, strategy, teach["samples"]))
    return survey(f"{asking.suite}/{name}/{strategy}", asked, most, store)
