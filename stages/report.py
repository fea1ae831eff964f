"""Gather every run's scores: ``python -m stages.report [--show]``.

Reads ``build/evaluations/``, ``build/selected/``, ``build/yield/``, ``build/training/``; writes
``build/metrics.json`` and ``build/report.html``. With ``--show`` it prints the result table.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Console
from rich.table import Table

from stages.core.console import entry, root, say
from stages.core.errors import user_error
from stages.core.jsonl import atomic, read_json, read_rows, write_json
from stages.scoring.paired import mcnemar, pairs
from stages.spec.model import Params
from stages.spec.read import load_params

SHOWN_ROWS = 5


def main() -> None:
    """Write the report, or show the table of the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print the table; write nothing")
    arguments = parser.parse_args()
    top = root()
    params = load_params(top)
    if arguments.show:
        if not (top / "build/metrics.json").is_file():
            raise user_error(
                "build/metrics.json", "E512", "there is no result yet", "run `make demo`"
            )
        show(read_json(top / "build/metrics.json"), selections(top, params), params)
        return
    metrics = gather(top, params)
    write_json(top / "build/metrics.json", metrics)
    with atomic(top / "build/report.html") as file:
        file.write(render(top, params, metrics))
    say("report: build/metrics.json, build/report.html")


def gather(top: Path, params: Params) -> dict[str, Any]:
    """All scores, each with the exact McNemar p value against the first run on shared items."""
    metrics: dict[str, Any] = {}
    right: dict[str, dict[str, dict[str, bool]]] = {}
    for run in params.runs:
        folder = top / f"build/evaluations/{run.id}"
        metrics[run.id] = read_json(folder / "scores.json")
        right[run.id] = {}
        for row in read_rows(folder / "predictions.jsonl"):
            right[run.id].setdefault(row["task"], {})[row["id"]] = row["correct"]
    baseline = params.runs[0].id
    for run in params.runs[1:]:
        for task, ours in right[run.id].items():
            theirs = right[baseline].get(task, {})
            shared = ours.keys() & theirs.keys()
            if shared:
                p = mcnemar(pairs({i: theirs[i] for i in shared}, {i: ours[i] for i in shared}))
                metrics[run.id][task][f"p_against_{baseline}"] = float(f"{p:.3g}")
    return metrics


def selections(top: Path, params: Params) -> dict[str, Any]:
    """The decision and evidence of every task."""
    files = [top / f"build/selected/{suite}.json" for suite in params.suites]
    return {
        task: choice for file in files if file.is_file() for task, choice in read_json(file).items()
    }


def cell(score: dict[str, Any] | None) -> str:
    """An accuracy with its interval and n, as a reader takes it in."""
    if score is None:
        return "-"
    low, high = round(100 * score["ci_low"]), round(100 * score["ci_high"])
    return f"{100 * score['accuracy']:.1f} % ({low} to {high}) n={score['n']}"


def show(metrics: dict[str, Any], selected: dict[str, Any], params: Params) -> None:
    """The result table on the terminal."""
    table = Table(title="Test accuracy with 95 % interval")
    for name in ("task", *metrics, "strategy selected"):
        table.add_column(name, overflow="fold")
    named = dict.fromkeys([*selected, *(task for run in metrics.values() for task in run)])
    named.pop("macro", None)
    for task in (*named, "macro"):
        choice = selected.get(task)
        note = (
            f"{choice['strategy']}{' (fallback: student at floor)' if choice['at_floor'] else ''}"
            if choice
            else ""
        )
        table.add_row(task, *(cell(run.get(task)) for run in metrics.values()), note)
    # Piped output has no width of its own; 80 columns would break every cell.
    console = Console() if Console().is_terminal else Console(width=140)
    console.print(table)


def render(top: Path, params: Params, metrics: dict[str, Any]) -> str:
    """One static page; everything that a model or a spec wrote is escaped."""
    environment = Environment(
        loader=FileSystemLoader(top / "templates/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    yields = {suite: next(read_rows(top / f"build/yield/{suite}.jsonl")) for suite in params.suites}
    return environment.get_template("report.html.j2").render(
        runs={run.id: run.train_on for run in params.runs},
        metrics=metrics,
        selected=selections(top, params),
        yields=yields,
        training={
            run.id: read_json(top / f"build/training/{run.id}/valid.json") for run in params.runs
        },
        samples={run.id: samples(top, run.id) for run in params.runs},
        teacher=params.teacher,
        student=params.student,
    )


def samples(top: Path, run: str) -> list[dict[str, Any]]:
    """The first wrong and the first right answers of each task."""
    kept: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for row in read_rows(top / f"build/evaluations/{run}/predictions.jsonl"):
        group = kept.setdefault((row["task"], row["correct"]), [])
        if len(group) < SHOWN_ROWS:
            group.append(row)
    return [row for _, group in sorted(kept.items()) for row in group]


if __name__ == "__main__":
    entry(main)
