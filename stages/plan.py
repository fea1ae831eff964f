"""What the teacher would be asked, and what the store already holds: ``python -m stages.plan``.

Asks nothing and writes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stages.compiler.build import checked
from stages.compiler.prompts import Renderer
from stages.compiler.rows import Row
from stages.core.console import entry, root, say
from stages.core.jsonl import read_json
from stages.engines.ask import request, sampling, teacher_engine
from stages.engines.request import Request
from stages.engines.store import Store, default_path
from stages.spec.model import Task
from stages.spec.project import Project


def main() -> None:
    """Print requests, held and missing by task and strategy."""
    top = root()
    project, rows = checked(top)
    teacher = project.params.teacher
    if teacher["engine"] == "recorded":
        say("plan: the recorded teacher answers from the rows themselves; nothing is asked for")
        return
    table = Table(title=f"Requests to {teacher['model']}")
    for name in ("suite", "task", "strategy", "requests", "held", "missing", "because"):
        table.add_column(
            name, justify="right" if name in ("requests", "held", "missing") else "left"
        )
    missing = 0
    with Store(default_path()) as store:
        for (suite, name), task in project.tasks.items():
            for strategy, because in reasons(top, project, task).items():
                asked = requests(top, project, task, strategy, rows[(suite, name)]["train"])
                held = len(store.get_many(asked))
                missing += len(asked) - held
                counts = (str(len(asked)), str(held), str(len(asked) - held))
                table.add_row(suite, name, strategy, *counts, because)
    Console(width=None if Console().is_terminal else 120).print(table)
    say(f"plan: {missing} requests to ask for")


def reasons(top: Path, project: Project, task: Task) -> dict[str, str]:
    """The strategies whose rationales are wanted, and why each is."""
    trained: dict[str, Any] = project.params.trained(task)
    made = dict.fromkeys(trained["fixed"], "a run trains on it")
    if trained["selects"]:
        file = top / f"build/selected/{task.suite}.json"
        chosen = read_json(file).get(task.id) if file.is_file() else None
        if chosen:
            made.setdefault(chosen["strategy"], "selected")
        else:
            for strategy in project.params.candidates(task):
                made.setdefault(strategy, "one of these will be selected")
    return made


def requests(
    top: Path, project: Project, task: Task, strategy: str, rows: list[Row]
) -> list[Request]:
    """What teach would ask for the rows under one strategy."""
    params, renderer = project.params, Renderer(project)
    engine = teacher_engine(params.teacher, params.runtime, top)
    chosen = project.strategies[strategy]
    return [
        request(
            engine,
            renderer.asked(chosen, task, row),
            chosen.calls[0].max_tokens,
            sample=sample,
            **sampling(params.teacher),
        )
        for row in rows
        for sample in range(params.samples)
    ]


if __name__ == "__main__":
    entry(main)
