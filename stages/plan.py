"""What the teacher would be asked, and what that and training cost: ``python -m stages.plan``.

Asks nothing and writes nothing.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from stages.changes.costs import training, training_line
from stages.compiler.check import checked
from stages.core.console import clock, entry, root, say
from stages.engines.prices import Price
from stages.engines.store import Store, default_path
from stages.spec.methods import NOTHING
from stages.teaching.forecast import forecast
from stages.teaching.plan import Line


def main() -> None:
    """Print requests, held and missing by task and strategy, and what the missing ones cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    top = root()
    project, rows = checked(top)
    teacher, runtime = project.params.teacher, project.params.runtime
    trained = [training(top, project.params, run) for run in project.params.runs
               if run.train_on != NOTHING]  # fmt: skip
    built = [run for run in trained if run.rows is not None]
    if teacher["engine"] == "recorded":
        if arguments.format == "json":
            say(json.dumps({"spent_usd": 0.0, "lines": []}, indent=2))
            return
        say("plan: the recorded teacher answers from the rows themselves; nothing is asked for")
        for run in built:
            say(training_line(run))
        return
    with Store(default_path()) as store:
        found = forecast(top, project, rows, store)
    if arguments.format == "json":
        told = [{**asdict(line), "because": because} for line, because in found.lines]
        counted = [asdict(run) for run in built]
        say(json.dumps({"spent_usd": found.spent, "lines": told, "training": counted}, indent=2))
        return
    _print(teacher["model"], found.lines)
    say(_total([line for line, _ in found.lines], found.price, found.spent, runtime.get("max_usd")))
    for run in built:
        say(training_line(run))


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
