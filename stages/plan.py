"""What the teacher would be asked, and what that costs: ``python -m stages.plan``.

Asks nothing and writes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stages.compiler.build import asked_rows, scoring, suite_calls
from stages.compiler.check import Rows, checked
from stages.core.console import clock, entry, root, say
from stages.core.jsonl import read_json
from stages.engines.ask import base_urls, sampling, teacher_engine
from stages.engines.batch.run import Batching
from stages.engines.prices import Price, price_of
from stages.engines.store import Store, default_path
from stages.spec.project import Project
from stages.teaching.chain import Asking
from stages.teaching.lessons import asked as probe_rows
from stages.teaching.plan import Line, estimate, survey, usual
from stages.teaching.rationales import jobs, wanted

FREE = Price(0.0, 0.0, "this machine")


def main() -> None:
    """Print requests, held and missing by task and strategy, and what the missing ones cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    top = root()
    project, rows = checked(top)
    teacher, runtime = project.params.teacher, project.params.runtime
    if teacher["engine"] == "recorded":
        say("plan: the recorded teacher answers from the rows themselves; nothing is asked for")
        return
    servers = 1
    price: Price | None = FREE
    if teacher["engine"] == "openai":
        urls = base_urls(teacher)
        servers, price = len(urls), price_of(teacher["model"], urls, runtime.get("price"))
        batch = runtime.get("batch")
        if price and batch is not None:
            share = Batching(**batch).factor
            price = Price(price.prompt * share, price.completion * share, price.source)
    with Store(default_path()) as store:
        lines = plan(top, project, rows, store)
        spent = store.spent()
        for line, because in lines:
            estimate(line, because["usual"], price, runtime, servers)
    if arguments.format == "json":
        told = [{**asdict(line), "because": because["because"]} for line, because in lines]
        say(json.dumps({"spent_usd": spent, "lines": told}, indent=2))
        return
    _print(teacher["model"], [(line, because["because"]) for line, because in lines])
    say(_total([line for line, _ in lines], price, spent, runtime.get("max_usd")))


def plan(
    top: Path, project: Project, rows: Rows, store: Store
) -> list[tuple[Line, dict[str, Any]]]:
    """A line for each task and strategy, with why it is wanted and what is usual for it."""
    params = project.params
    engine = teacher_engine(params.teacher, params.runtime, top / "build/teacher", None)
    known = usual(store, engine.endpoint, engine.model)
    made = []
    for suite in params.suites:
        tasks = {task.id: scoring(project, task) for task in project.suite(suite)}
        selected, ranked = (_built(top / f"build/{k}/{suite}.json") for k in ("selected", "ranked"))
        later = suite_calls(project, suite)
        asking = Asking(engine, suite, later, sampling(params.teacher))
        for name, task in tasks.items():
            train = [r for r in asked_rows(project, rows, suite, "train") if r["task"] == name]
            taught = _taught(task, selected.get(name), ranked.get(name))
            for strategy, because in taught.items():
                line = _line(asking, train, name, task, strategy, params.teach, store)
                made.append((line, {"because": because, "usual": known}))
            learned = params.learned(project.tasks[suite, name])
            tried = task["candidates"] if task["ranks"] else ()
            for strategy in dict.fromkeys([*learned, *tried]):
                if strategy not in taught:  # otherwise these requests are among those above
                    because = "the probe learns from it"
                    most = params.probe["rows"] if strategy in learned else 0
                    if strategy in tried and params.ranked_rows > most:
                        because, most = "the teacher is tried on it", params.ranked_rows
                    few = list(probe_rows(train, [name], most))
                    line = _line(asking, few, name, task, strategy, {"samples": 1}, store)
                    made.append((line, {"because": because, "usual": known}))
    return made


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


def _print(model: str, lines: list[tuple[Line, str]]) -> None:
    table = Table(title=f"Requests to {model}")
    for name in ("suite", "task", "strategy"):
        table.add_column(name)
    for name in ("requests", "held", "missing", "tokens", "USD", "time"):
        table.add_column(name, justify="right")
    table.add_column("wanted because")
    for line, because in lines:
        table.add_row(*line.about.split("/"), *_cells(line), because)
    Console(width=None if Console().is_terminal else 140).print(table)
    for line, _ in lines:
        if line.missing:
            most = sorted(line.why.items(), key=lambda item: -item[1])
            why = ", ".join(f"{count} {reason}" for reason, count in most)
            say(f"  {line.about} misses {line.missing}: {why}")


def _cells(line: Line) -> tuple[str, ...]:
    about = "~" if line.measured else "≤ "
    tokens = f"{about}{line.prompt + line.completion:,.0f}" if line.asked else "0"
    usd = "?" if line.usd is None else f"{line.usd:.2f}"
    time = "?" if line.seconds is None else clock(line.seconds)
    missing = str(line.missing) if not line.later else f"{line.missing} + {line.later}"
    return str(line.held + line.asked), str(line.held), missing, tokens, usd, time


def _total(lines: list[Line], price: Price | None, spent: float, budget: float | None) -> str:
    asked = sum(line.asked for line in lines)
    parts = [f"plan: {asked} requests to ask for"]
    if price is None:
        parts.append("nobody knows their price: state runtime.price")
    elif price.prompt or price.completion:
        usd = sum(line.usd or 0.0 for line in lines)
        parts.append(
            f"about {usd:.2f} USD by the price of {price.source}, {spent:.2f} spent so far"
        )
        parts.append(f"budget {budget:g}" if budget is not None else "no budget is stated")
    times = [line.seconds for line in lines if line.asked]
    if times and all(time is not None for time in times):
        parts.append(f"about {clock(sum(time or 0.0 for time in times))}")
    return "; ".join(parts)


if __name__ == "__main__":
    entry(main)
