"""Gather every run's scores: ``python -m stages.report [--show] [--published] [--sweeps]``.

Reads ``build/evaluations/``, ``build/selected/``, ``build/yield/``, ``build/training/``, and for
the rationale browser ``build/compiled/``, ``build/rationales/``, ``build/curated/``,
``build/mix/``; writes ``build/metrics.json``, ``build/report.html`` and ``build/plots/``. With
``--show`` it prints the result table, with ``--published`` also what papers report on the same
tasks. With ``--sweeps`` it writes ``build/sweeps/report.html``, the page with the curves of all
sweeps that have run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stages.core.console import entry, root, say
from stages.core.errors import user_error
from stages.core.jsonl import atomic, read_json, read_rows, write_json
from stages.reporting.page import render
from stages.reporting.plots import accuracy_plot, answers_plot, yield_plot
from stages.reporting.published import show_published
from stages.reporting.tables import show
from stages.scoring.differences import p_value
from stages.scoring.items import Items, outcomes
from stages.spec.model import Params
from stages.spec.read import load_params


def main() -> None:
    """Write the report, or show the table of the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print the table; write nothing")
    parser.add_argument(
        "--published", action="store_true", help="as --show, with published figures beneath"
    )
    parser.add_argument(
        "--sweeps", action="store_true", help="write the page with the curves of sweeps as well"
    )
    arguments = parser.parse_args()
    top = root()
    params = load_params(top)
    if arguments.show or arguments.published:
        if not (top / "build/metrics.json").is_file():
            raise user_error(
                "build/metrics.json", "E512", "there is no result yet", "run `make demo`"
            )
        metrics = read_json(top / "build/metrics.json")
        show(metrics, selections(top, params), params)
        if arguments.published:
            show_published(top, metrics, params)
        return
    metrics = gather(top, params)
    # what no stage makes is in no stage's output
    out = "build/sweeps/report.html" if arguments.sweeps else "build/report.html"
    page = render(top, params, metrics, selections(top, params), sweeps=arguments.sweeps)
    with atomic(top / out) as file:
        file.write(page)
    if arguments.sweeps:
        say(f"report: {out}")
        return
    write_json(top / "build/metrics.json", metrics)
    draw(top, params, metrics)
    say(f"report: build/metrics.json, {out}, build/plots")


def gather(top: Path, params: Params) -> dict[str, Any]:
    """All scores, each with the p value against the first run on shared items."""
    metrics: dict[str, Any] = {}
    held: dict[str, Items] = {}
    for run in params.runs:
        folder = top / f"build/evaluations/{run.id}"
        metrics[run.id] = read_json(folder / "scores.json")
        held[run.id] = outcomes(read_rows(folder / "predictions.jsonl"))
    baseline = params.runs[0].id
    for run in params.runs[1:]:
        for task, ours in held[run.id].items():
            theirs = held[baseline].get(task, {})
            shared = [(theirs[name], item) for name, item in ours.items() if name in theirs]
            if shared:
                p = p_value([shared])
                metrics[run.id][task][f"p_against_{baseline}"] = float(f"{p:.3g}")
    return metrics


def selections(top: Path, params: Params) -> dict[str, Any]:
    """The decision and evidence of every task."""
    files = [top / f"build/selected/{suite}.json" for suite in params.suites]
    return {
        task: choice for file in files if file.is_file() for task, choice in read_json(file).items()
    }


def draw(top: Path, params: Params, metrics: dict[str, Any]) -> None:
    """Write what ``dvc plots`` draws."""
    predictions = {
        run.id: read_rows(top / f"build/evaluations/{run.id}/predictions.jsonl")
        for run in params.runs
    }
    for name, rows in (
        ("accuracy", accuracy_plot(metrics)),
        ("answers", answers_plot(predictions)),
        ("yield", yield_plot(yields(top, params))),
    ):
        write_json(top / f"build/plots/{name}.json", list(rows))


def yields(top: Path, params: Params) -> dict[str, Any]:
    """What became of the rationales of each suite: the first line of its ``build/yield``."""
    return {suite: next(read_rows(top / f"build/yield/{suite}.jsonl")) for suite in params.suites}


if __name__ == "__main__":
    entry(main)
