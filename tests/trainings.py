"""Trainings of a tiny student by the stage `train`, and what they leave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from stages.core.jsonl import read_rows, write_rows
from stages.training.resume import MARK
from tests.projects import REPOSITORY, Copy, copy_project
from tests.tiny import save_tiny

PARAMS = """\
  max_length: 2048
  evaluations: 2
  precision: fp32
  loss: sft
"""


def build(folder: Path) -> Copy:
    """A copy with all that `train` reads for the run `selected`: 2 tasks, 3 rows each."""
    copy = copy_project(folder)
    shutil.copytree(REPOSITORY / "launch", copy.root / "launch")
    params = copy.read("params.yaml")
    head, tail = params.split("  max_length:")
    tail = tail[tail.index("\nevaluate:") :].replace("max_tokens: 80", "max_tokens: 8")
    copy.write("params.yaml", head + PARAMS + tail)
    save_tiny(copy.root / "build/student")
    done = copy.run("-m", "stages.compile")
    assert done.returncode == 0, done.stderr
    rows = read_rows(copy.root / "build/compiled/suites/symbolic/train.jsonl")
    mixed = [
        {
            "id": f"{row['id']}/0", "task": row["task"], "strategy": "step_by_step",
            "messages": row["student"]["answers"], "completion": f"The answer is {row['answer']}.",
        }
        for row in rows
    ]  # fmt: skip
    tasks = {row["task"]: "step_by_step" for row in mixed}
    write_rows(copy.root / "build/mix/selected.jsonl", [{"strategies": tasks}, *mixed])
    return copy


def another(built: Copy, folder: Path) -> Copy:
    """One more of the same."""
    shutil.copytree(built.root, folder / "copy")
    return Copy(folder / "copy")


def trained(project: Copy, *, warm: bool = True) -> subprocess.CompletedProcess[str]:
    done = project.run("-m", "stages.train", "selected", warm=warm)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def read(project: Copy, name: str) -> Any:
    return json.loads(project.read(f"build/training/selected/{name}.json"))


def losses(project: Copy) -> list[float]:
    return [step["loss"] for step in read(project, "loss")]


def told(project: Copy, key: str, value: Any) -> None:
    """Set a key of the section `train`, or of `runtime`."""
    after = "  retries: 6" if key in ("accelerate", "checkpoint") else "  evaluations: 2"
    project.edit("params.yaml", after, f"{after}\n  {key}: {json.dumps(value)}")


def kill_after_a_step(
    project: Copy, command: Sequence[str] = ("-m", "stages.train", "selected")
) -> int:
    """Kill -9 all processes of a training once one of its checkpoints is whole; of which step."""
    process = project.start(*command)
    deadline = time.monotonic() + 300
    while not (found := [*(project.root / ".cache/unfinished").glob(f"*/checkpoint-*/{MARK}")]):
        assert process.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    while any(one.info["cwd"] == str(project.root) for one in psutil.process_iter(["cwd"])):
        assert time.monotonic() < deadline, "a process goes on without its launcher"
        time.sleep(0.05)
    found = [*(project.root / ".cache/unfinished").glob(f"*/checkpoint-*/{MARK}")]
    return max(json.loads(mark.read_text())["step"] for mark in found)
