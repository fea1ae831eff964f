"""Chains from a result back to what people wrote, and from a row forward to the results.

A chain is a list of links, each plain data under ``link``; the last one is the commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stages.core.errors import nearest, user_error
from stages.spec.methods import NOTHING
from stages.spec.model import Params, Run
from stages.tracing.held import Held, Row
from stages.tracing.made import (
    answer_step,
    checkpoint_step,
    metric_step,
    request_step,
    training_step,
    verdict_step,
)
from stages.tracing.sources import decision_step, spec_step, template_step

RUN_SPLITS = ("valid", "test")


@dataclass(frozen=True)
class Tracer:
    """What is traced: the build under `held`, as `params` name it."""

    held: Held
    params: Params

    def metric(self, run: str, task: str) -> list[Row]:
        """From a score back.

        Raises:
            UserError: E513 when there is no such run or task.
        """
        names = {each.id: each for each in self.params.runs}
        if run not in names:
            raise user_error(
                "command line", "E513", f"params.yaml names no run {run!r}", nearest(run, names)
            )
        suite, task = self.task(task)
        return [
            metric_step(self.held, run, task),
            answer_step(self.held, run, task),
            *self._trained(names[run], suite, task),
            *self._written(suite, task, self._strategies(suite, task, [run])),
            self._commits(),
        ]

    def row(self, name: str) -> list[Row]:
        """From a test row back, from a train row forward, from others to what they decide.

        Raises:
            UserError: E513 when there is no such row.
        """
        suite, task, split, row = self.find(name)
        runs = self.runs_of(suite, task)
        names = [run.id for run in runs]
        read = {"link": "row", "id": row["id"], "file": row["file"], "question": row["question"],
                "gold": row["gold"]}  # fmt: skip
        written = self._written(suite, task, self._strategies(suite, task, names), split)
        if split in RUN_SPLITS:
            back: list[Row] = []
            for run in runs:
                if split == "test":
                    back.append(answer_step(self.held, run.id, task, row["id"]))
                    back.append(metric_step(self.held, run.id, task))
                back += self._trained(run, suite, task)
            return [read, *back, *written, self._commits()]
        forward = [*reversed(written), read]
        if split == "train":
            forward.append(request_step(self.held, suite, task, row["id"]))
            forward.append(verdict_step(self.held, suite, task, row["id"]))
        for run in runs:
            if split == "train" and run.train_on != NOTHING:
                forward.append(training_step(self.held, run.id, task, row["id"]))
                forward.append(checkpoint_step(self.held, run.id))
            forward.append(metric_step(self.held, run.id, task))
        return [*forward, self._commits()]

    def task(self, name: str) -> tuple[str, str]:
        """(suite, task) of a task's name, with its suite before it or without.

        Raises:
            UserError: E513 when no task of the build has that name.
        """
        known = {
            f"{suite}/{task}": (suite, task)
            for suite in self.params.suites
            for task in self.held.json(f"compiled/suites/{suite}/tasks.json")
        }
        found = [key for full, key in known.items() if name in (full, key[1])]
        if not found:
            hint = nearest(name, [task for _, task in known.values()])
            raise user_error("command line", "E513", f"the build has no task {name!r}", hint)
        return found[0]

    def find(self, name: str) -> tuple[str, str, str, Row]:
        """(suite, task, split, compiled row with its place) of ``[suite/]task/split/number``.

        Raises:
            UserError: E513 when there is no such row.
        """
        head, _, number = name.rpartition("/")
        owner, _, split = head.rpartition("/")
        if not owner or not number.isdigit():
            raise user_error(
                "command line", "E513", f"{name!r} is not the name of a row",
                "a row is task/split/number, such as coin_flip/test/0",
            )  # fmt: skip
        suite, task = self.task(owner)
        wanted, last = f"{task}/{split}/{number}", -1
        for file in self._files(suite, task, split):
            for place, row in self.held.rows(file, lambda row: row["task"] == task):
                if row["id"] == wanted:
                    return suite, task, split, {**row, "file": place}
                last = max(last, int(row["id"].rpartition("/")[2]))
        hint = f"the last one is {task}/{split}/{last}" if last >= 0 else (
            "splits are train, probe, valid and test; probe has rows where a run selects by it"
        )  # fmt: skip
        raise user_error("command line", "E513", f"the build has no row {wanted!r}", hint)

    def runs_of(self, suite: str, task: str) -> list[Run]:
        """Those that are measured on the task."""
        return [
            run for run in self.params.runs
            if suite in run.suites and (not run.tasks or task in run.tasks)
        ]  # fmt: skip

    def _files(self, suite: str, task: str, split: str) -> Iterator[str]:
        if split in ("train", "probe"):
            yield f"compiled/suites/{suite}/{split}.jsonl"
        if split in RUN_SPLITS:
            yield from (
                f"compiled/runs/{run.id}/{split}.jsonl" for run in self.runs_of(suite, task)[:1]
            )

    def _strategies(self, suite: str, task: str, runs: list[str]) -> list[str]:
        """Those that the task's rows are trained on, or prompted with, by the runs' mixes."""
        found: dict[str, None] = {}
        for run in runs:
            _, header = next(self.held.rows(f"mix/{run}.jsonl", lambda row: True))
            chosen = header["strategies"].get(task)
            found |= dict.fromkeys([chosen] if chosen else ())
        return list(found)

    def _trained(self, run: Run, suite: str, task: str) -> Iterator[Row]:
        yield checkpoint_step(self.held, run.id)
        if run.train_on == NOTHING:
            return
        yield training_step(self.held, run.id, task)
        if run.train_on != "answers":
            yield verdict_step(self.held, suite, task)
            yield request_step(self.held, suite, task)

    def _written(self, suite: str, task: str, strategies: list[str], split: str = "") -> list[Row]:
        return [
            decision_step(self.held, suite, task),
            template_step(self.held, suite, task, strategies),
            spec_step(self.held, suite, task, split),
        ]

    def _commits(self) -> dict[str, Any]:
        return {
            "link": "commits",
            "head": self.held.commit("."),
            "dvc.lock": self.held.commit("dvc.lock"),
            "params.yaml": self.held.commit("params.yaml"),
        }
