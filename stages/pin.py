"""Write the SHA-256 of data files into the specs that name them: ``python -m stages.pin SUITE …``.

A spec pins its file, so that no result rests on rows that changed unseen. After a change that is
meant, or for a spec whose file somebody else has, this writes the new digest.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from stages.core.console import entry, root, say
from stages.core.errors import Problem, UserError
from stages.core.jsonl import atomic
from stages.data.file import sha256_of
from stages.spec.model import Task
from stages.spec.read import load_specs


def main() -> None:
    """Pin the files of whole suites."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="+", help="folders under specs/tasks/")
    wanted = parser.parse_args().suites
    top = root()
    specs, found = load_specs(top)
    problems = [p for p in found if Path(p.file).parent.name in wanted]
    tasks = [task for (suite, _), task in specs.tasks.items() if suite in wanted]
    tasks = [task for task in tasks if "file" in task.source]
    absent = [task for task in tasks if not (top / task.source["file"]).is_file()]
    problems += [
        specs.task_document(task).problem(
            ("data", "source"), "E401", f"there is no file {task.source['file']!r}",
            "paths start at the repository root",
        )
        for task in absent
    ]  # fmt: skip
    if not tasks and not problems:
        problems = [
            Problem("specs/tasks", 0, 0, "E401", f"no task of {', '.join(wanted)} reads a file")
        ]
    tasks = [task for task in tasks if task not in absent]
    changed = sum(pin(top, task) for task in tasks)
    say(f"pin: {changed} of {len(tasks) + len(absent)} specs changed")
    if problems:
        raise UserError(problems)


def pin(top: Path, task: Task) -> bool:
    """Whether the spec named another digest than its file's; it names that one now."""
    old, new = task.source["sha256"], sha256_of(top / task.source["file"])
    if old == new:
        return False
    path = top / task.file
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read()
    with atomic(path) as out:
        out.write(re.sub(rf"\b{old}\b", new, text))
    say(f"{task.file}: {task.source['file']} has sha256 {new}")
    return True


if __name__ == "__main__":
    entry(main)
