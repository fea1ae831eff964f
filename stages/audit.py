"""Draw rationales for a person to check the verifier by: ``make audit SUITE=… ROWS=… SEED=…``.

Reads the recorded solutions of all rows of a suite's tasks, or else the teacher's in
``build/rationales/SUITE.jsonl`` with ``build/compiled/suites/SUITE/``; writes
``build/audit/SUITE.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stages.auditing.page import page
from stages.auditing.readings import recorded, taught
from stages.auditing.tally import Tally
from stages.core.console import entry, root, say
from stages.core.errors import UserError, nearest, user_error
from stages.core.jsonl import atomic
from stages.spec.model import Params, Task
from stages.spec.project import Specs
from stages.spec.read import load_params, load_specs

ROWS, SEED = 10, 1
OF_SOURCE = "recorded with the tasks: every row of their sources, whatever split it is in"
OF_TEACHER = "those that the teacher wrote for the train rows"


def main() -> None:
    """Write the page of one suite, and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", help="a folder under specs/tasks/")
    parser.add_argument("--rows", type=int, default=ROWS, help="accepts, and rejects, of each task")
    parser.add_argument("--seed", type=int, default=SEED, help="decides which ones")
    arguments = parser.parse_args()
    if arguments.rows < 1:
        raise user_error("command line", "E513", f"--rows is {arguments.rows}", "ask for 1 or more")
    top = root()
    params = load_params(top)
    specs, problems = load_specs(top)
    if problems:
        raise UserError(problems)
    suite = _suite(arguments.suite, specs)
    tally = Tally(arguments.rows, arguments.seed)
    source = _read(top, params, specs, suite, tally)
    file = top / f"build/audit/{suite}.md"
    with atomic(file) as out:
        out.writelines(page(suite, source, tally, arguments.rows, arguments.seed))
    total = sum(counts.total for counts in tally.counts.values())
    right = sum(counts.accepted for counts in tally.counts.values())
    told = f"{total} rationales, {right} accepted"
    if any(counts.known for counts in tally.counts.values()):
        told += f", {len(tally.differ)} that the publisher reads otherwise"
    say(f"audit {suite}: {told}; {file.relative_to(top)}")


def _suite(name: str, specs: Specs) -> str:
    known = list(dict.fromkeys(suite for suite, _ in specs.known_tasks))
    if name not in known:
        raise user_error(
            "command line", "E513", f"there is no suite {name!r}", nearest(name, known)
        )
    return name


def _read(top: Path, params: Params, specs: Specs, suite: str, tally: Tally) -> str:
    """Fill the tally; returns what was read, in words."""
    run = suite in params.suites
    tasks: list[Task] = [
        task
        for (held, name), task in specs.tasks.items()
        if held == suite and (not run or params.names(suite, name))
    ]
    # a suite that is not run has no other teacher than its recorded solutions
    if params.teacher["engine"] == "recorded" or not run:
        for task in tasks:
            if "worked" in task.row and not _tallied(task, top, tally, run):
                say(f"left out: {task.id}, as {task.source['file']} is not there")
        if tally.counts:
            return OF_SOURCE
    if not run:
        raise user_error(
            f"specs/tasks/{suite}", "E514", "no task of this suite has recorded solutions",
            "name the suite in params.yaml and run `dvc repro`, so that a teacher is asked",
        )  # fmt: skip
    tally.add(taught(top, suite))
    return OF_TEACHER


def _tallied(task: Task, top: Path, tally: Tally, run: bool) -> bool:
    """Whether the task's data is there; only a suite that is not run can do without."""
    file = task.source.get("file")
    if not run and file and not (top / file).is_file():
        return False
    tally.add(recorded(task, top))
    return True


if __name__ == "__main__":
    entry(main)
