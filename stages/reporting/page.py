"""The page: what each section shows, put into the templates. All that is not ours is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stages.core.jsonl import read_json, read_rows
from stages.reporting import charts
from stages.reporting.cases import Case, examined, learners, taught
from stages.reporting.draw import svg
from stages.reporting.mistakes import KINDS
from stages.reporting.pack import Pack, drawn, packed, share
from stages.reporting.study import Study
from stages.reporting.tables import Metrics, cell, one_task_each, sampled
from stages.reporting.visible import visible
from stages.scoring.items import MACRO
from stages.spec.decoding import Decoding
from stages.spec.model import Params

Selected = Mapping[str, Mapping[str, Any]]


def render(
    top: Path, params: Params, metrics: Metrics, selected: Selected, sweeps: bool = False
) -> str:
    """One static page.

    Args:
        top: The repository root.
        params: Of the commit.
        metrics: ``metrics.json``.
        selected: Of all suites.
        sweeps: Whether to draw what ``build/sweeps`` holds, which no stage makes.
    """
    study, pack, whole = gathered(top, params)
    yields = {suite: next(read_rows(top / f"build/yield/{suite}.jsonl")) for suite in params.suites}
    bars, reasons = kept(yields)
    alone = one_task_each(metrics)
    long = [
        {"name": f"{task}, {strategy}", **line, "about": _length(task, strategy, line)}
        for (task, strategy), lengths in study.lengths.items()
        for line in lengths.told()
    ]
    values: dict[str, Any] = {
        "params": params, "metrics": metrics, "selected": selected, "yields": yields,
        "runs": {run.id: run.train_on for run in params.runs},
        "decoding": Decoding.of(params.evaluate), "alone": alone, "sampled": list(sampled(metrics)),
        "tasks": [task for task in _tasks(metrics) if task != MACRO],
        "heat": charts.heat(selected), "accuracies": list(accuracies(metrics, selected, alone)),
        "yield_bars": charts.yields(bars, reasons), "reasons": reasons,
        "length_bars": charts.lengths(long),
        "curves": {run.id: _training(top, run.id) for run in params.runs},
        "scaling": list(scaling(top)) if sweeps else None,
        "study": study, "kinds": KINDS, "whole": whole,
        "held": len(pack), "data": Markup(packed(pack.columns())),
    }  # fmt: skip
    return _environment(top).get_template("report.html.j2").render(values)


def gathered(top: Path, params: Params) -> tuple[Study, Pack, int]:
    """All cases counted, the share of them that the page holds, and how many there are."""
    runs = [run.id for run in params.runs]
    files = [top / f"build/rationales/{suite}.jsonl" for suite in params.suites]
    files += [top / f"build/evaluations/{run}/predictions.jsonl" for run in runs]
    part = share(sum(map(_lines, files)), sum(file.stat().st_size for file in files))
    study, pack, whole = Study(), Pack(), 0
    for case in _cases(top, params, runs):
        whole += 1
        study.add(case)
        if drawn(case, part):
            pack.add(case)
    return study, pack, whole


def _cases(top: Path, params: Params, runs: list[str]) -> Iterator[Case]:
    learned = learners(top, runs)
    for suite in params.suites:
        yield from taught(top, suite, learned)
    for run in runs:
        yield from examined(top, run)


def _lines(file: Path) -> int:
    with file.open("rb") as opened:
        return sum(part.count(b"\n") for part in iter(lambda: opened.read(1 << 20), b""))


def accuracies(
    metrics: Metrics, selected: Selected, alone: Mapping[str, str]
) -> Iterator[tuple[str, charts.Spec]]:
    """A chart for each task, a line for each run; one chart where each run has its own task."""
    if alone:
        yield "all tasks", charts.dots([_dot(t, metrics[run][t]) for run, t in alone.items()])
        return
    for task in _tasks(metrics):
        rows = [_dot(run, scores[task]) for run, scores in metrics.items() if task in scores]
        yield task, charts.dots(rows, selected.get(task, {}).get("chance"))


def kept(yields: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The parts of the bars, and the reasons, what was kept first and then the most frequent."""
    held = [
        (f"{task}, {strategy}", reason, count)
        for each in yields.values()
        for task, strategies in each["counts"].items()
        for strategy, counts in strategies.items()
        for reason, count in counts.items()
    ]
    totals: dict[str, int] = {}
    for _, reason, count in held:
        totals[reason] = totals.get(reason, 0) + count
    reasons = sorted(totals, key=lambda name: (name != "kept", -totals[name], name))
    rows = [
        {"name": name, "reason": reason, "count": count, "order": reasons.index(reason),
         "about": f"{name}: {reason} {count:,}"}
        for name, reason, count in held
    ]  # fmt: skip
    return rows, reasons


def scaling(top: Path) -> Iterator[dict[str, Any]]:
    """What each sweep that has run comes to, with a chart for each of its tasks."""
    for file in sorted((top / "build/sweeps").glob("*.json")):
        sweep = read_json(file)
        tasks = dict.fromkeys(line["task"] for line in sweep["summary"])
        runs = list(dict.fromkeys(line["run"] for line in sweep["summary"]))
        drawings = {task: charts.scaling(sweep, task) for task in tasks}
        yield {"title": sweep["title"], "axis": sweep["axis"], "runs": runs, "charts": drawings}


def _tasks(metrics: Metrics) -> list[str]:
    """In the order of the runs; their mean behind them where there are several."""
    named = [task for scores in metrics.values() for task in scores if task != MACRO]
    tasks = list(dict.fromkeys(named))
    return [*tasks, MACRO] if len(tasks) > 1 else tasks


def _dot(name: str, score: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "about": f"{name}: {cell(score)}",
        **{key: score[key] for key in ("accuracy", "ci_low", "ci_high")},
    }  # fmt: skip


def _length(task: str, strategy: str, line: Mapping[str, Any]) -> str:
    return (
        f"{task}, {strategy}, {line['fate']}: {line['n']:,} rationales, half of them of "
        f"{line['q25']:,} to {line['q75']:,} characters"
    )


def _training(top: Path, run: str) -> charts.Spec | None:
    folder = top / f"build/training/{run}"
    return charts.training(read_json(folder / "loss.json"), read_json(folder / "valid.json"))


def _environment(top: Path) -> Environment:
    folder = top / "templates/report"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("report.css", "browser.js")
    )
    environment.globals |= {
        "style": Markup(style), "script": Markup(script),
        "style_hash": _hash(style), "script_hash": _hash(script), "colours": charts.COLOURS,
    }  # fmt: skip
    environment.filters |= {"cell": cell, "visible": visible, "svg": svg}
    environment.tests["macro"] = MACRO.__eq__
    return environment


def _hash(text: str) -> str:
    """As a content security policy names what may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
