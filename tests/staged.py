"""The stages that need no torch, one after the other in this process, on tasks from files."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest

from stages import compile as compiling
from stages import curate, evaluate, mix, teach
from stages.core.jsonl import read_rows, write_json
from stages.engines.request import Completion, Deliver, Request
from tests.pipeline import edited
from tests.projects import Copy

SUITE, RUN, TASK = "shown", "steps", "numbers"
SPLITS = ("train", "valid", "test", "probe")


class Staged:
    """A project with one task, its rows in a file with their worked solutions."""

    def __init__(self, project: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._patch = project.root, monkeypatch
        monkeypatch.chdir(self.root)
        monkeypatch.delenv("DVC_ROOT", raising=False)

    def write(self, rows: dict[str, list[dict[str, str]]], **task: Any) -> None:
        """Rows by split, each with `question`, `answer` and `worked`."""
        lines = [{**row, "split": name} for name in SPLITS for row in rows.get(name, ())]
        path = self.root / "data/rows.jsonl"
        path.parent.mkdir(exist_ok=True)
        # escaped, as a lone surrogate cannot be written otherwise
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        spec = {
            "spec": 1, "id": TASK, "title": "Numbers <b>|</b>",
            "data": {
                "source": {
                    "file": "data/rows.jsonl",
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                },
                "splits": {name: {"from": name} for name in SPLITS if rows.get(name)},
                **task,
            },
            "row": {
                "question": {"get": "question"}, "gold": {"get": "answer"},
                "worked": {"step_by_step": {"get": "worked"}},
            },
            "answer": {"type": "number", "extract": [{"after": "The answer is"}]},
            "strategies": ["step_by_step"],
            "examples": [{"completion": "The answer is 4.", "answer": "4"}],
        }  # fmt: skip
        file = self.root / f"specs/tasks/{SUITE}/{TASK}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(spec), encoding="utf-8")
        with edited(self.root / "params.yaml") as params:
            params["suites"], params["tasks"] = [SUITE], None
            params["runs"] = {
                RUN: {"train_on": "step_by_step"}, "plain": {"train_on": "answers"},
            }  # fmt: skip
            params["teach"], params["evaluate"] = {"samples": 1}, {"max_tokens": 80}
            params["curate"] = {"filter": "answer"}

    def train(self) -> None:
        """Everything up to what the runs are trained on."""
        self.run(compiling.main)
        # as `select` writes it where no run selects
        write_json(self.root / f"build/selected/{SUITE}.json", {})
        self.run(teach.main, SUITE)
        self.run(curate.main, SUITE)
        self.run(mix.main)

    def evaluate(self, run: str, answer: Callable[[str], str]) -> None:
        """The test rows, answered by `answer` of the last message."""

        class Student:
            endpoint, model = "local", f"sha256:{run}"

            def __init__(self, folder: Path, runtime: object) -> None:
                pass

            def complete(
                self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
            ) -> None:
                fresh = [item for item in requests if item.key in missing]
                deliver(
                    [
                        (item, Completion(answer(item.messages[-1][1]), "stop", 3, 5))
                        for item in fresh
                    ]
                )

        self._patch.setattr(evaluate, "local_engine", Student)
        self.run(evaluate.main, run)

    def run(self, main: Callable[[], None], *arguments: str) -> None:
        self._patch.setattr(sys, "argv", ["stage", *arguments])
        main()

    def rows(self, name: str) -> list[dict[str, Any]]:
        return list(read_rows(self.root / "build" / name))
