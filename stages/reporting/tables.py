"""The result tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from stages.core.console import say
from stages.scoring.items import MACRO
from stages.spec.model import Params

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""``metrics.json``: scores by run and task."""


def cell(score: Mapping[str, Any] | None) -> str:
    """An accuracy with its interval and n, as a reader takes it in."""
    if score is None:
        return "-"
    low, high = round(100 * score["ci_low"]), round(100 * score["ci_high"])
    told = f"{100 * score['accuracy']:.1f} % ({low} to {high}) n={score['n']}"
    return f"{told}, F1 {100 * score['f1']:.1f}" if "f1" in score else told


def show(metrics: Metrics, selected: Mapping[str, Any], params: Params) -> None:
    """Accuracy by task and run, and beneath it what several samples of an item add."""
    samples = max(
        (score.get("samples", 1) for run in metrics.values() for score in run.values()), default=1
    )
    several = f", mean of {samples} samples" if samples > 1 else ""
    title = f"Test accuracy with 95 % interval{several}"
    alone = one_task_each(metrics)
    if alone:
        printed(_by_task(title, metrics, selected, params, alone))
    else:
        printed(_by_run(title, metrics, selected))
    if samples > 1:
        names, *lines = sampled(metrics)
        table = _table("Several samples of each item", *names)
        for line in lines:
            table.add_row(*line)
        printed(table)
        say("ties: items on which no answer alone had most votes; the one that came first counts")


def one_task_each(metrics: Metrics) -> dict[str, str]:
    """The task of each run, where every run has one and no two the same; empty otherwise."""
    tasks = {run: [task for task in scores if task != MACRO] for run, scores in metrics.items()}
    names = [task for held in tasks.values() for task in held]
    apart = len(names) == len(set(names)) and all(len(held) == 1 for held in tasks.values())
    return {run: held[0] for run, held in tasks.items()} if apart and len(tasks) > 1 else {}


def printed(table: Table) -> None:
    """Print a table; piped output has no width of its own, and 80 columns would break its cells."""
    console = Console() if Console().is_terminal else Console(width=140)
    console.print(table)


def _by_run(title: str, metrics: Metrics, selected: Mapping[str, Any]) -> Table:
    table = _table(title, "task", *metrics, "strategy selected")
    named = dict.fromkeys([*selected, *(task for run in metrics.values() for task in run)])
    named.pop(MACRO, None)
    for task in (*named, MACRO):
        table.add_row(
            task, *(cell(run.get(task)) for run in metrics.values()), _choice(selected.get(task))
        )
    return table


def _by_task(
    title: str,
    metrics: Metrics,
    selected: Mapping[str, Any],
    params: Params,
    alone: Mapping[str, str],
) -> Table:
    """One row a task, where a column a run would be empty but for one cell."""
    kinds = {run.id: run.train_on for run in params.runs}
    renamed = any(run != task for run, task in alone.items())
    table = _table(title, "task", *(["run"] if renamed else []), "accuracy", "trained on")
    for run, task in alone.items():
        kind = kinds.get(run, "")
        if kind == "selected":
            kind = _choice(selected.get(task)) or kind
        table.add_row(task, *([run] if renamed else []), cell(metrics[run][task]), kind)
    return table


def sampled(metrics: Metrics) -> Iterator[list[str]]:
    """A line of names, then pass@k, maj@k and ties of each run and task with several samples."""
    scores = [
        (run, task, score)
        for run, tasks in metrics.items()
        for task, score in tasks.items()
        if task != MACRO and score.get("samples", 1) > 1
    ]
    names = list(dict.fromkeys(name for *_, score in scores for name in _kept(score)))
    yield ["run", "task", *names, "ties"]
    for run, task, score in scores:
        values = (f"{100 * score[name]:.1f} %" if name in score else "-" for name in names)
        yield [run, task, *values, f"{score['maj_ties']} of {score['n']}"]


def _kept(score: Mapping[str, Any]) -> Iterator[str]:
    """pass@k and then maj@k, by k; read back from JSON they stand in the order of their letters."""
    for kind in ("pass@", "maj@"):
        yield from sorted(
            (name for name in score if name.startswith(kind)),
            key=lambda name: int(name.split("@")[1]),
        )


def _choice(choice: Mapping[str, Any] | None) -> str:
    if not choice:
        return ""
    return f"{choice['strategy']}{' (fallback: student at floor)' if choice['at_floor'] else ''}"


def _table(title: str, *names: str) -> Table:
    table = Table(title=title)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
