"""Trainings that are killed go on, and end as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from stages.training.resume import MARK, Unfinished, unfinished
from tests import warm

LONG = {"epochs": 4, "evaluations": 4, "warmup_ratio": 0.2, "weight_decay": 0.01}


def child(top: Path, tiny: Path, out: Path, hang: int, settings: dict[str, Any]) -> Any:
    # forks hash strings alike, so the plain case loads its libraries each time
    cold = settings == LONG
    python = sys.executable if cold else str(warm.programs() / "python")
    return subprocess.Popen(
        [python, "-m", "tests.training.resumed", str(top), str(tiny), str(out), str(hang),
         json.dumps(settings)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def said_until(process: Any, step: int) -> None:
    for line in process.stdout:
        if line.startswith(f"{step} "):
            return
    raise AssertionError("the training ended early")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("kills", "settings"),
    [
        ((3, 5), {}),
        ((5,), {"lora": {"rank": 4}, "learning_rate": 1e-2}),
        ((5,), {"batch_tokens": 130, "micro_tokens": 64}),
    ],
    ids=["all weights", "lora", "cut into passes"],
)
def test_killed_it_ends_with_the_same_bytes(
    tiny: Path, tmp_path: Path, kills: tuple[int, ...], settings: dict[str, Any]
) -> None:
    settings = {**LONG, **settings}
    whole = child(tmp_path / "a", tiny, tmp_path / "whole", -1, settings)
    assert whole.wait(120) == 0
    whole.stdout.close()

    for hang in kills:
        killed = child(tmp_path / "b", tiny, tmp_path / "resumed", hang, settings)
        said_until(killed, hang)
        os.kill(killed.pid, signal.SIGKILL)
        assert killed.wait(60) == -signal.SIGKILL
        killed.stdout.close()
        assert not (tmp_path / "resumed").exists()
        (held,) = (tmp_path / "b/.cache/unfinished").glob("run-*/")
        found = sorted(path.name for path in held.iterdir())
        # at a step's end it is told before its checkpoint is written
        assert found == ["best-2", f"checkpoint-{hang - 1}"]

    resumed = child(tmp_path / "b", tiny, tmp_path / "resumed", -1, settings)
    said = resumed.communicate(timeout=120)[0]
    assert resumed.returncode == 0
    assert said.splitlines()[0] == "5 "
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")
    assert list((tmp_path / "b/.cache/unfinished").glob("run-*/")) == []
    log = json.loads((tmp_path / "whole/log.json").read_text())
    assert len(log[0]) == 8
    assert log[2] == 2


def test_a_checkpoint_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    with unfinished(tmp_path, "run", ["run"], "key", None) as held:
        for step, whole in ((9, True), (10, True), (11, False)):
            folder = held.folder / f"checkpoint-{step}"
            folder.mkdir(parents=True)
            if whole:
                (folder / MARK).write_text(json.dumps({"step": step}))
        found = held.newest()
        assert found is not None
        assert (found[0].name, found[1]) == ("checkpoint-10", {"step": 10})


def test_one_checkpoint_and_the_best_are_kept(tmp_path: Path) -> None:
    held = Unfinished(tmp_path)
    for name in ("checkpoint-1", "checkpoint-2", "best-1", "best-2", ".best-2"):
        (tmp_path / name).mkdir()
    held.seal(tmp_path / "checkpoint-2", {}, tmp_path / "best-1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-1", "checkpoint-2"]


def test_whatever_decides_the_training_starts_it_anew_and_leaves_nothing(tmp_path: Path) -> None:
    names = {}
    for run, key in (("one", "k"), ("one", "l"), ("two", "k"), ("gone", "k")):
        with unfinished(tmp_path, run, ["one", "two"], key, None) as held:
            held.folder.mkdir()
            names[run, key] = held.folder
            assert held.newest() is None
    with unfinished(tmp_path, "two", ["one", "two"], "k", None) as held:
        assert held.folder == names["two", "k"]
    left = sorted(path for path in (tmp_path / ".cache/unfinished").iterdir())
    assert left == [names["one", "l"], names["two", "k"]]


def test_a_training_beside_this_one_is_left_alone(tmp_path: Path) -> None:
    with unfinished(tmp_path, "run", ["run"], "other", None) as beside:
        beside.folder.mkdir()
        with unfinished(tmp_path, "run", ["run"], "key", None) as held:
            held.folder.mkdir()
            with unfinished(tmp_path, "run", ["run"], "key", None) as same:
                assert same.folder != held.folder
                assert held.folder.is_dir()
        assert beside.folder.is_dir()
    assert not FileLock(beside.folder.with_suffix(".lock")).is_locked
