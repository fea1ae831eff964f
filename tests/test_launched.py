"""Training in several processes: the losses of one, and the same bytes after a kill -9."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.projects import REPOSITORY, Copy
from tests.trainings import another, build, kill_after_a_step, losses, read, told, trained

WEIGHTS = "build/checkpoints/selected/model.safetensors"
SHARDED = """
import runpy, sys
import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor
from stages.training import keeper
from stages.training.processes import agreed, is_main, state

first, whole = PartialState.__init__, keeper.whole

def several(self, *arguments, **named):
    first(self, *arguments, **named)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU

def measured(model):
    assert all(isinstance(weight, DTensor) for weight in model.parameters())
    assert agreed(state().process_index) == 0
    gathered = {name: weight.full_tensor() for name, weight in model.named_parameters()}
    copy = whole(model)
    assert (copy is None) == (not is_main())
    if copy is not None:
        after = dict(copy.named_parameters())
        assert after.keys() == gathered.keys()
        assert all(torch.equal(after[name], gathered[name]) for name in after)
    return copy

PartialState.__init__, keeper.whole = several, measured
sys.argv = ["stages.train", "selected"]
runpy.run_module("stages.train", run_name="__main__")
"""
"""accelerate shards on GPUs alone; told that its CPUs are some, it shards on them as well."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def project(built: Copy, tmp_path: Path) -> Copy:
    return another(built, tmp_path)


@pytest.fixture
def alone(project: Copy) -> list[float]:
    """The losses of one process; `project` is then as before but for its weights in `alone`."""
    project.edit("params.yaml", "  epochs: 1\n", "  epochs: 12\n")  # so that the end is far
    trained(project)
    made = losses(project)
    (project.root / WEIGHTS).rename(project.root / "alone")
    clear(project)
    return made


def clear(project: Copy) -> None:
    for folder in ("checkpoints", "training"):
        shutil.rmtree(project.root / "build" / folder)


def changed(project: Copy, name: str, **keys: object) -> str:
    """A file of `launch/` with other keys; those that are None are left out."""
    data = yaml.safe_load((REPOSITORY / f"launch/{name}").read_text()) | keys
    kept = {key: value for key, value in data.items() if value is not None}
    project.write("launch/changed.yaml", yaml.safe_dump(kept))
    return "launch/changed.yaml"


def test_two_processes_give_the_losses_of_one_and_go_on_when_killed(
    project: Copy, alone: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as torch's launcher sets it for two on a machine
    told(project, "checkpoint", 0)
    said = trained_on_two_machines(project)
    assert losses(project) == pytest.approx(alone, rel=1e-5)
    half, end = [item["step"] for item in read(project, "valid")]
    assert (2 * half, end) == (len(alone), len(alone))
    assert said.count("best on valid at step") == 1
    steps = [int(step) for step in re.findall(r"(\d+) of 24 steps", said)]
    assert steps == sorted(set(steps))  # of one process
    assert list((project.root / ".cache/unfinished").iterdir()) == []

    checkpoint = project.root / WEIGHTS
    weights, log = checkpoint.read_bytes(), project.read("build/training/selected/loss.json")
    clear(project)
    project.edit("params.yaml", "launch/changed.yaml", "launch/cpu.yaml")
    step = kill_after_a_step(project)
    assert not checkpoint.exists()
    assert f"train selected: goes on from step {step}\n" in trained(project, warm=False).stdout
    assert checkpoint.read_bytes() == weights
    assert project.read("build/training/selected/loss.json") == log


def trained_on_two_machines(project: Copy) -> str:
    """What the first of two says, each with a process; both are this one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = changed(
        project, "nodes.yaml", use_cpu=True, num_processes=2, gpu_ids=None,
        main_process_ip="127.0.0.1", main_process_port=port,
    )  # fmt: skip
    told(project, "accelerate", config)
    second = ["-m", "accelerate.commands.launch", "--config_file", config, "--machine_rank", "1",
              "--module", "stages.train", "selected"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TUTELAGE_LAUNCHED": "1"}
    with subprocess.Popen(
        [sys.executable, *second], cwd=project.root, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        said = trained(project, warm=False).stdout
        silent, errors = other.communicate(timeout=60)
    assert (other.returncode, silent) == (0, ""), errors
    return said


def test_weights_that_are_sharded(project: Copy, alone: list[float]) -> None:
    config = changed(project, "fsdp.yaml", use_cpu=True, num_processes=2, gpu_ids=None)
    project.write("sharded.py", SHARDED)
    told(project, "checkpoint", 0)
    command = ["-m", "accelerate.commands.launch", "--config_file", config, "sharded.py"]
    step = kill_after_a_step(project, command)
    done = project.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"train selected: goes on from step {step}\n" in done.stdout
    assert losses(project) == pytest.approx(alone, rel=1e-5)
    wanted, found = (load_file(project.root / name) for name in ("alone", WEIGHTS))
    assert wanted.keys() == found.keys()
    assert all(torch.allclose(wanted[name], found[name], atol=1e-5) for name in wanted)
