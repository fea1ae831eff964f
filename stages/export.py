"""Results for other tools: ``make export WHAT=dataset|chat|student|lm-eval OUT=folder``.

``dataset``: what was curated, as a folder that `datasets` loads. ``chat``: what a run was trained
on, as JSON Lines that other trainers take. ``student``: a run's checkpoint with a model card.
``lm-eval``: a run's test rows as tasks of lm-evaluation-harness. OUT must not be there yet, or
hold an earlier export and nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from stages.core.console import entry, root, say
from stages.core.errors import nearest, user_error
from stages.exporting import chat, dataset, lm_eval, student
from stages.exporting.facts import Facts
from stages.exporting.folder import exported

RUNS: dict[str, Callable[[Facts, str, Path], str]] = {
    "chat": chat.write,
    "student": student.write,
    "lm-eval": lm_eval.write,
}


def main() -> None:
    """Export one thing, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("dataset", *RUNS))
    parser.add_argument("out", type=Path, help="the folder to make")
    parser.add_argument("--suite", help="dataset: one suite; all without it")
    parser.add_argument("--run", help="the run of params.yaml; the last one without it")
    arguments = parser.parse_args()
    facts = Facts.of(root())
    runs = [run.id for run in facts.params.runs]
    suite, run = arguments.suite, arguments.run or runs[-1]
    for kind, name, names in (("suite", suite, facts.params.suites), ("run", run, runs)):
        if name and name not in names:
            raise user_error(
                "command line", "E513", f"params.yaml names no {kind} {name!r}",
                nearest(name, names),
            )  # fmt: skip
    with exported(arguments.out, arguments.what) as folder:
        if arguments.what == "dataset":
            told = dataset.write(facts, [suite] if suite else list(facts.params.suites), folder)
        else:
            told = RUNS[arguments.what](facts, run, folder)
    say(f"export: {arguments.out} holds {told}")


if __name__ == "__main__":
    entry(main)
