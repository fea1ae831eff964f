"""Published accuracies beside ours, for the tasks that stand for the published ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from stages.core.console import say
from stages.reporting.tables import Metrics, one_task_each, printed
from stages.scoring.items import MACRO
from stages.spec.model import Params
from stages.spec.published import Figures, Published, load_published
from stages.spec.read import task_files

Scores = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Column:
    """A published task, and those of ours that it stands beside: one, or a suite's."""

    name: str
    ours: tuple[str, ...]
    test: int | None


def show_published(top: Path, metrics: Metrics, params: Params) -> None:
    """A table a paper, with sources and notes beneath it."""
    suites = {
        path.stem: path.parent.name
        for path in task_files(top)
        if params.names(path.parent.name, path.stem)
    }
    shown = False
    for paper in load_published(top):
        found = list(columns(paper, suites, metrics))
        if found:
            shown = True
            printed(_table(paper, found, metrics, params))
            for line in _footnotes(paper, found):
                say(line)
    if not shown:
        say("published figures: none is on a task of these runs' suites")


def columns(paper: Published, suites: Mapping[str, str], metrics: Metrics) -> Iterator[Column]:
    """The published tasks that a run has, in the paper's order.

    Args:
        paper: Tells the suites in which a name stands for its task. A task of the same name
            elsewhere, such as the embedded ``coin_flip``, has other rows.
        suites: By task.
        metrics: What the runs have.
    """
    measured = {task for scores in metrics.values() for task in scores} - {MACRO}
    for name, stated in paper.tasks.items():
        if "suite" in stated:
            ours = [task for task, suite in suites.items() if suite == stated["suite"]]
        else:
            task = stated.get("task", name)
            ours = [task] if paper.holds(suites.get(task, "")) else []
        if ours and measured.issuperset(ours):
            yield Column(name, tuple(ours), stated.get("test"))


def _table(paper: Published, found: Sequence[Column], metrics: Metrics, params: Params) -> Table:
    table = Table(title=f"{paper.title}: published figures beside ours, accuracy in %")
    for name in ("figures", "model", "method"):
        table.add_column(name, overflow="fold")
    for column in found:
        told = column.name
        if column.ours != (column.name,):
            count = len(column.ours)
            told += f"\n(ours: {f'mean of {count} tasks' if count > 1 else column.ours[0]})"
        table.add_column(told, justify="right", overflow="fold")
    means = any(row.mean is not None for row in paper.rows)
    if means:
        table.add_column("mean of all\npublished", justify="right")
    numbers = _sources(paper)
    for row in paper.rows:
        cells = [_figure(row.accuracy.get(column.name)) for column in found]
        if any(cells) or row.mean is not None:
            last = [_figure(row.mean)] if means else []
            source = f"published ({numbers[row.source]})"
            table.add_row(source, row.who, row.method, *(cell or "-" for cell in cells), *last)
    if any(column.test for column in found):
        sizes = (f"{column.test:,}" if column.test else "-" for column in found)
        table.add_row("published (1)", "", "test rows", *sizes, *([""] if means else []))
    table.add_section()
    reference = next((row for row in paper.rows if row.reference), None)
    for run, scores in _ours(metrics).items():
        held = [_score(scores, column) for column in found]
        if not any(held):
            continue
        table.add_row(
            "ours", str(params.student["model"]), run, *map(_accuracy, held),
            *([""] if means else []),
        )  # fmt: skip
        if reference:
            pairs = zip(held, found, strict=True)
            cells = [
                _against(score, reference.accuracy.get(column.name)) for score, column in pairs
            ]
            against = f"against {reference.who},\n{reference.method}"
            table.add_row("", "", against, *cells, *([""] if means else []))
    return table


def _ours(metrics: Metrics) -> Mapping[str, Scores]:
    """The runs; one line for all where each has a task of its own."""
    alone = one_task_each(metrics)
    if not alone:
        return metrics
    return {"a run for each task": {task: metrics[run][task] for run, task in alone.items()}}


def _score(scores: Scores, column: Column) -> dict[str, Any] | None:
    """A run's accuracy on a column; a mean over tasks has no interval here."""
    if any(task not in scores for task in column.ours):
        return None
    held = [scores[task] for task in column.ours]
    made = {"accuracy": fmean(score["accuracy"] for score in held)}
    made["n"] = sum(score["n"] for score in held)
    if len(held) == 1:
        made |= {"ci_low": held[0]["ci_low"], "ci_high": held[0]["ci_high"]}
    return made


def _accuracy(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "-"
    told = f"{100 * score['accuracy']:.1f}"
    if "ci_low" in score:
        told += f"\n{100 * score['ci_low']:.0f} to {100 * score['ci_high']:.0f}"
    return f"{told}\nn={score['n']:,}"


def _against(score: Mapping[str, Any] | None, figure: float | None) -> str:
    """Above or below, and whether our interval leaves the published figure out."""
    if score is None or figure is None:
        return "-"
    ours = 100 * score["accuracy"]
    told = "equal" if ours == figure else "above" if ours > figure else "below"
    inside = 100 * score.get("ci_low", 0.0) <= figure <= 100 * score.get("ci_high", 0.0)
    return f"{told},\nin noise" if inside and told != "equal" else told


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _sources(paper: Published) -> dict[str, int]:
    """The number of each source, the paper's own first."""
    named = dict.fromkeys([paper.source, *(row.source for row in paper.rows)])
    return {source: number for number, source in enumerate(named, start=1)}


def _footnotes(paper: Published, found: Sequence[Column]) -> Iterator[str]:
    shown: list[Figures] = [
        row
        for row in paper.rows
        if row.mean is not None or any(column.name in row.accuracy for column in found)
    ]
    held = {row.source for row in shown} | {paper.source}
    for source, number in _sources(paper).items():
        if source in held:
            yield f"({number}) {source}"
    if any(row.reference for row in shown):
        yield "above, below: our accuracy; in noise where our own 95 % interval holds the figure"
    yield from paper.notes
    yield from (row.note for row in shown if row.note)
