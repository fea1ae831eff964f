"""The stage `train` on a tiny student: what it writes and says, in one process and in two."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy with all that `train` reads for the run `selected`: 2 tasks, 3 rows each."""
    copy = copy_project(tmp_path_factory.mktemp("built"))
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


@pytest.fixture
def project(built: Copy, tmp_path: Path) -> Copy:
    shutil.copytree(built.root, tmp_path / "copy")
    return Copy(tmp_path / "copy")


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


def test_two_trainings_give_the_same_bytes_and_leave_nothing(project: Copy, built: Copy) -> None:
    said = trained(project).stdout.splitlines()
    assert said[0].endswith(" tokens, fp32 on cpu")
    assert said[-1].startswith("train selected: best on valid at step ")
    first = {
        path.relative_to(project.root): path.read_bytes()
        for folder in ("checkpoints", "training")
        for path in (project.root / "build" / folder).rglob("*.*")
    }
    assert {path.name for path in first} >= {"loss.json", "valid.json", "precision.json",
                                            "model.safetensors", "tokenizer.json"}  # fmt: skip
    assert read(project, "precision") == {"device": "cpu", "precision": "fp32"}
    assert list((project.root / ".cache/unfinished").iterdir()) == []
    for folder in ("checkpoints", "training"):
        shutil.rmtree(project.root / "build" / folder)
    trained(project)
    assert {path: (project.root / path).read_bytes() for path in first} == first


def test_two_processes_give_the_losses_of_one_and_go_on_when_killed(project: Copy) -> None:
    project.edit("params.yaml", "  epochs: 1\n", "  epochs: 12\n")  # so that the end is far
    trained(project)
    alone, evaluations = losses(project), read(project, "valid")
    shutil.rmtree(project.root / "build/checkpoints")
    told(project, "accelerate", "launch/cpu.yaml")
    told(project, "checkpoint", 0)
    said = trained(project, warm=False).stdout
    assert losses(project) == pytest.approx(alone, rel=1e-5)
    assert [item["step"] for item in read(project, "valid")] == [
        item["step"] for item in evaluations
    ]
    assert said.count("best on valid at step") == 1
    assert said.count("steps, ") == 1  # the line of progress, of one process
    assert list((project.root / ".cache/unfinished").iterdir()) == []

    checkpoint = project.root / "build/checkpoints/selected/model.safetensors"
    weights, log = checkpoint.read_bytes(), project.read("build/training/selected/loss.json")
    for folder in ("checkpoints", "training"):
        shutil.rmtree(project.root / "build" / folder)
    step = kill_after_a_step(project)
    assert not checkpoint.exists()
    assert f"train selected: goes on from step {step}\n" in trained(project, warm=False).stdout
    assert checkpoint.read_bytes() == weights
    assert project.read("build/training/selected/loss.json") == log


def kill_after_a_step(project: Copy) -> int:
    """Kill -9 all processes of a training once one of its checkpoints is whole; of which step."""
    process = project.start("-m", "stages.train", "selected")
    deadline = time.monotonic() + 120
    while not (found := [*(project.root / ".cache/unfinished").glob(f"*/checkpoint-*/{MARK}")]):
        assert process.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    found = [*(project.root / ".cache/unfinished").glob(f"*/checkpoint-*/{MARK}")]
    return max(json.loads(mark.read_text())["step"] for mark in found)


def refused(project: Copy) -> str:
    done = project.run("-m", "stages.train", "selected", warm=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (project.root / "build/checkpoints").exists()
    return done.stderr.rstrip("\n")


def test_a_configuration_that_does_not_exist(project: Copy) -> None:
    told(project, "accelerate", "launch/gpu.yaml")
    assert refused(project) == (
        "params.yaml: E731 runtime.accelerate names 'launch/gpu.yaml', which does not exist\n"
        "    hint: shipped in launch/: cpu.yaml, fsdp.yaml, gpus.yaml, nodes.yaml"
    )


def test_rows_are_checked_before_any_process_is_started(project: Copy) -> None:
    told(project, "accelerate", "launch/cpu.yaml")
    path = project.root / "build/mix/selected.jsonl"
    header, first, *rows = read_rows(path)
    write_rows(path, [header, {**first, "completion": ""}, *rows])
    assert refused(project) == (
        f"build/mix/selected.jsonl:2:1: E721 1 of {len(rows) + 1} training rows have no token to "
        "learn from: the prompt fills train.max_length, or the completion is empty; the first is "
        f"{first['id']}\n"
        "    hint: raise train.max_length, or drop these rows in curation"
    )


def test_stops_early_and_trains_an_adapter_as_params_say(project: Copy) -> None:
    project.edit("params.yaml", "  evaluations: 2", "  evaluations: 1000")
    after = "  evaluations: 1000\n"
    more = "  patience: 1\n  lora: {rank: 2}\n  batch_tokens: 600\n  micro_tokens: 300\n"
    project.edit("params.yaml", after, after + more)
    trained(project)
    # a student that knows nothing is as good at the second measurement as at the first
    assert len(read(project, "valid")) == 2
    assert len(losses(project)) == 2
    names = {path.name for path in (project.root / "build/checkpoints/selected").iterdir()}
    assert not [name for name in names if "adapter" in name]
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
