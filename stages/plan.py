"""What the teacher would be asked, and what the store already holds: ``python -m stages.plan``.

Asks nothing and writes nothing.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from stages.compiler.check import checked
from stages.core.console import entry, root, say
from stages.engines.store import Store, default_path
from stages.planning.requests import reasons, requests


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


if __name__ == "__main__":
    entry(main)
