"""The stage `train` on a tiny student: what it writes and says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stages.core.jsonl import read_rows, write_rows
from tests.projects import Copy
from tests.trainings import another, build, losses, read, told, trained


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def project(built: Copy, tmp_path: Path) -> Copy:
    return another(built, tmp_path)


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
