"""One parameter at several values: ``python -m stages.sweep [NAME] [--dry | --draw]``.

Reads ``specs/sweeps/NAME.yaml``; runs each point from each seed as a DVC experiment, those that are
held already aside; writes ``build/sweeps/NAME.json`` and ``NAME.html``, and prints the table. With
``--dry`` it prints the commands and runs nothing, with ``--draw`` it shows what has run. Without a
name it lists the sweeps.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Console
from rich.table import Table

from stages.core.console import entry, root, say
from stages.core.errors import user_error
from stages.core.jsonl import atomic, write_json
from stages.spec.load import load
from stages.sweeping import chart, results
from stages.sweeping.check import projects
from stages.sweeping.design import Sweep, load_sweep, sweep_files
from stages.sweeping.experiments import Experiment, alone, command, held, run
from stages.sweeping.inputs import Inputs
from stages.sweeping.overrides import overrides
from stages.sweeping.summary import Line, Mean, Trained, accuracies, summarised


def main() -> None:
    """Run what lacks, then show it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", help="a file under specs/sweeps/, without its ending")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--dry", action="store_true", help="print the commands, run nothing")
    only.add_argument("--draw", action="store_true", help="show what has run, run nothing")
    arguments = parser.parse_args()
    top = root()
    if arguments.name is None:
        for path in sweep_files(top):
            say(f"{path.stem}: {load_sweep(top, path.stem).title}")
        return
    sweep = load_sweep(top, arguments.name)
    planned = plan(top, sweep)
    lacking = [experiment for experiment in planned if experiment.commit is None]
    say(
        f"sweep {sweep.name}: {len(sweep.points)} points, {len(sweep.seeds)} seeds, "
        f"{len(planned) - len(lacking)} of {len(planned)} experiments held"
    )
    if arguments.dry:
        for experiment in lacking:
            say(shlex.join(["dvc", *experiment.command]))
        return
    if lacking and not arguments.draw:
        with alone(top) as lock:
            for number, experiment in enumerate(lacking, len(planned) - len(lacking) + 1):
                say(f"[{number}/{len(planned)}] {experiment.name}")
                run(top, experiment, lock)
        commits = held(top)
        planned = [replace(each, commit=commits.get(each.name)) for each in planned]
    show(top, sweep, planned)


def plan(top: Path, sweep: Sweep) -> list[Experiment]:
    """All experiments of the sweep, point by point; each point checked. Raises `UserError`."""
    checked, inputs, commits = projects(top, sweep), Inputs(top), held(top)
    params = load(top / "params.yaml", top).data
    planned = []
    for point, project in zip(sweep.points, checked, strict=True):
        copied = inputs.copied(project)
        for seed in sweep.seeds:
            wanted = point.seeded(seed)
            name = f"sweep-{sweep.name}-{point.slug}-s{seed}-{inputs.digest(wanted)}"
            words = command(name, list(overrides(params, wanted)), copied)
            planned.append(Experiment(name, point, seed, words, commits.get(name)))
    return planned


def show(top: Path, sweep: Sweep, planned: Sequence[Experiment]) -> None:
    """Write the numbers and the page, print the table.

    Raises:
        UserError: E548 when nothing has run.
    """
    done = [experiment for experiment in planned if experiment.commit]
    if not done:
        raise user_error(
            sweep.name, "E548", "no experiment of this sweep has run on these sources",
            f"`make sweep NAME={sweep.name}` runs them",
        )  # fmt: skip
    trained = [_trained(top, sweep, experiment) for experiment in done]
    lines = summarised(trained)
    rows = [
        {
            "run": key[0], "task": key[1], "point": sweep.points[each.point].name,
            "seed": each.seed, "accuracy": estimate.value, "ci": [estimate.low, estimate.high],
            "n": estimate.n, "experiment": experiment.name, "commit": experiment.commit,
        }
        for each, experiment in zip(trained, done, strict=True)
        for key, estimate in accuracies(each).items()
    ]  # fmt: skip
    told = [{**asdict(line), "point": sweep.points[line.point].name} for line in lines]
    out = top / f"build/sweeps/{sweep.name}"
    write_json(
        out.with_suffix(".json"),
        {"title": sweep.title, "axis": sweep.axis, "rows": rows, "summary": told,
         "points": [{"name": point.name, "x": point.x} for point in sweep.points]},
    )  # fmt: skip
    with atomic(out.with_suffix(".html")) as file:
        file.write(page(top, sweep, trained, lines, len(planned) - len(done)))
    _print(sweep, lines)
    if bare := sum(not each.items for each in trained):
        say(
            f"{bare} experiments have no predictions at hand and are not compared item by item: "
            "`dvc exp pull` fetches what was pushed"
        )
    say(f"sweep: build/sweeps/{sweep.name}.json, build/sweeps/{sweep.name}.html")


def _trained(top: Path, sweep: Sweep, experiment: Experiment) -> Trained:
    assert experiment.commit
    metrics = results.metrics(top, experiment.name, experiment.commit)
    items = results.items(top, experiment.commit, list(metrics))
    return Trained(sweep.points.index(experiment.point), experiment.seed, metrics, items)


def page(
    top: Path, sweep: Sweep, trained: Sequence[Trained], lines: Sequence[Line], lacking: int
) -> str:
    """One static page; all that a spec wrote is escaped."""
    environment = Environment(
        loader=FileSystemLoader(top / "templates/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"told": chart.told, "gain": lambda line: _gain(line.gain)}
    single = chart.series(
        ((key, each.point), estimate.value)
        for each in trained
        for key, estimate in accuracies(each).items()
    )
    return environment.get_template("sweep.html.j2").render(
        sweep=sweep, lines=lines, lacking=lacking, charts=chart.charts(sweep, lines, single),
        width=chart.WIDTH, height=chart.HEIGHT, left=chart.LEFT, right=chart.RIGHT,
        bottom=chart.BOTTOM,
    )  # fmt: skip


def _gain(gain: Mean | None) -> str:
    if gain is None:
        return ""
    spread = "" if gain.sd is None else f" ± {100 * gain.sd:.1f}"
    return f"{_points(gain.value)}{spread} ({_points(gain.low)} to {_points(gain.high)})"


def _points(share: float) -> str:
    # adding 0 takes the sign off a zero
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def _print(sweep: Sweep, lines: Sequence[Line]) -> None:
    table = Table(title=sweep.title)
    for name in ("run", "task"):
        table.add_column(name, overflow="fold")
    table.add_column(sweep.axis)
    spread = "mean ± sd, " if len(sweep.seeds) > 1 else ""
    table.add_column(f"accuracy ({spread}95 % interval)")
    table.add_column(f"against {sweep.points[0].name}, in points (paired)")
    values: list[Any] = []
    for line in lines:
        values = [line.run, line.task, sweep.points[line.point].name, chart.told(line)]
        table.add_row(*values, _gain(line.gain))
    # piped output has no width of its own
    Console(width=None if Console().is_terminal else 140).print(table)


if __name__ == "__main__":
    entry(main)
