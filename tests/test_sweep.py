"""A sweep in a real DVC repository: stopped, gone on with, run again, shown."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipeline import RUNNING, Copy

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(3000)]

SWEEP = """# yaml-language-server: $schema=../schema/sweep.schema.json
spec: 1
title: "Rationales <a> row"
set:
  suites: [symbolic]
  tasks: {symbolic: [coin_flip]}
  runs: {steps: {train_on: step_by_step}}
  train.epochs: 1
vary:
  teach.samples: [1, 3]
seeds: [1, 2]
x: {label: rationales a row, scale: log}
"""
HELD = re.compile(r"^sweep tiny: 2 points, 2 seeds, (\d) of 4 experiments held$", re.MULTILINE)


class Sweeping(Copy):
    """The project with the sweep ``tiny`` under Git."""

    def __init__(self, root: Path, student: Path) -> None:
        super().__init__(root, student)
        (root / "specs/sweeps/tiny.yaml").write_text(SWEEP, encoding="utf-8")

    def sweep(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "stages.sweep", "tiny", *arguments, check=False)

    def begun(self, log: Path) -> subprocess.Popen[bytes]:
        with log.open("w") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "stages.sweep", "tiny"],
                cwd=self.root, env=self.environment, stdout=file, stderr=file,
            )  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Sweeping]:
    yield Sweeping(tmp_path_factory.mktemp("sweep") / "project", tiny)


def until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 1200  # a dozen stages, each a process that loads torch
    while not ready():
        assert process.poll() is None, "the sweep ended before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def commands(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("dvc exp run ")]


def test_dry_prints_the_commands_and_runs_nothing(project: Sweeping) -> None:
    done = project.sweep("--dry")
    assert (done.returncode, done.stderr) == (0, "")
    assert HELD.findall(done.stdout) == ["0"]
    made = commands(done.stdout)
    expected = [
        (point, seed) for point in ("", " -S teach.samples=3") for seed in ("", " -S train.seed=2")
    ]
    for line, (point, seed) in zip(made, expected, strict=True):
        number = "3" if point else "1"
        name = rf"sweep-tiny-{number}-s{'2' if seed else '1'}-[0-9a-f]{{8}}"
        assert re.match(rf"dvc exp run --temp -n {name} -S 'suites=\[symbolic\]' ", line), line
        assert "-S '+runs.steps={train_on:step_by_step}'" in line
        assert ("-S teach.samples=3" in line) == bool(point)
        assert ("-S train.seed=2" in line) == bool(seed)
    assert project.git("for-each-ref", "refs/exps") == ""


def test_nothing_to_draw_yet(project: Sweeping) -> None:
    done = project.sweep("--draw")
    assert done.returncode == 2
    assert done.stderr == (
        "tiny: E548 no experiment of this sweep has run on these sources\n"
        "    hint: `make sweep NAME=tiny` runs them\n"
    )


def test_a_killed_sweep_goes_on(project: Sweeping, tmp_path: Path) -> None:
    status = project.git("status", "--short")
    log = tmp_path / "log"
    process = project.begun(log)

    def trains_second() -> bool:
        return RUNNING.findall(log.read_text()).count("train@steps") == 2

    try:
        until(trains_second, process)
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    finally:
        process.kill()
        process.wait(60)
    held = project.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    assert [re.sub("-[0-9a-f]{8}$", "", name.rpartition("/")[2]) for name in held] == [
        "sweep-tiny-1-s1"
    ]

    # stopped by a signal, it ends DVC as well, and the stage that runs
    process = project.begun(log)
    try:
        until(lambda: "train@steps" in RUNNING.findall(log.read_text()), process)
        running = psutil.Process(process.pid).children(recursive=True)
        other = project.sweep()
        assert (other.returncode, other.stderr) == (
            2,
            ".cache/sweep.lock: E545 a sweep is running in this repository\n"
            "    hint: wait for it, or stop it; `--draw` shows what is there already\n",
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert not any(child.is_running() and child.status() != "zombie" for child in running)

    done = project.sweep()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No file hash info" not in done.stderr
    (held,) = map(int, HELD.findall(done.stdout))
    assert held in (1, 2)  # the second may have ended before the signal came
    # seeds of a point share all that comes before training
    assert RUNNING.findall(done.stdout).count("train@steps") == 4 - held
    assert RUNNING.findall(done.stdout).count("teach@symbolic") == 1
    assert project.git("status", "--short") == status


def test_a_second_call_runs_nothing_and_shows_it_all(project: Sweeping) -> None:
    done = project.sweep()
    assert (done.returncode, done.stderr) == (0, "")
    assert HELD.findall(done.stdout) == ["4"]
    assert RUNNING.findall(done.stdout) == []
    assert "Rationales <a> row" in done.stdout
    table = [
        [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]
        for line in done.stdout.splitlines()
        if line.startswith(("│", "┃"))
    ]
    assert table[0] == [
        "run", "task", "rationales a row", "accuracy (mean ± sd, 95 % interval)",
        "against 1, in points (paired)",
    ]  # fmt: skip
    assert [row[:3] for row in table[1:]] == [
        ["steps", "coin_flip", "1"],
        ["steps", "coin_flip", "3"],
    ]
    assert all(
        re.fullmatch(r"\d+\.\d % ± \d+\.\d \(\d+ to \d+\), n=24", row[3]) for row in table[1:]
    )
    assert table[1][4] == ""
    number = r"[+-]\d+\.\d"
    assert re.fullmatch(rf"{number} ± \d+\.\d \({number} to {number}\)", table[2][4])


def results(project: Sweeping) -> Any:
    return json.loads((project.root / "build/sweeps/tiny.json").read_text(encoding="utf-8"))


def test_the_numbers_are_those_of_the_experiments(project: Sweeping) -> None:
    made = results(project)
    assert (made["title"], made["axis"]) == ("Rationales <a> row", "rationales a row")
    assert made["points"] == [{"name": "1", "x": 1.0}, {"name": "3", "x": 3.0}]
    assert [(row["point"], row["seed"]) for row in made["rows"]] == [
        ("1", 1), ("1", 2), ("3", 1), ("3", 2)
    ]  # fmt: skip
    for row in made["rows"]:
        assert (row["run"], row["task"], row["n"]) == ("steps", "coin_flip", 24)
        metrics = json.loads(project.git("show", f"{row['commit']}:build/metrics.json"))
        score = metrics["steps"]["coin_flip"]
        assert row["accuracy"] == score["accuracy"]
        assert row["ci"] == [score["ci_low"], score["ci_high"]]
        params = project.git("show", f"{row['commit']}:params.yaml")
        assert f"samples: {row['point']}" in params
        assert f"seed: {row['seed']}" in params
    first, second = made["summary"]
    assert first["gain"] is None
    values = {point: [r["accuracy"] for r in made["rows"] if r["point"] == point] for point in "13"}
    assert first["accuracy"]["value"] == pytest.approx(sum(values["1"]) / 2)
    assert second["accuracy"]["value"] == pytest.approx(sum(values["3"]) / 2)
    gain = second["gain"]
    assert gain["value"] == pytest.approx((sum(values["3"]) - sum(values["1"])) / 2, abs=1e-3)
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert (gain["seeds"], gain["n"]) == (2, 24)


def test_the_page_stands_alone(project: Sweeping) -> None:
    page = (project.root / "build/sweeps/tiny.html").read_text(encoding="utf-8")
    assert "<h1>Rationales &lt;a&gt; row</h1>" in page
    assert "<h2>coin_flip</h2>" in page
    assert page.count("<svg ") == page.count("<polyline ") == 1
    assert page.count('class="bar k0"') == 2
    assert page.count('class="seed f0"') == 4
    assert "color-scheme: light dark" in page
    assert not re.search(r"https?://|<script|src=", page)


def test_other_sources_are_other_experiments(project: Sweeping) -> None:
    path = project.root / "templates/student/plain.system.j2"
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "Be brief.\n", encoding="utf-8")
    assert len(commands(project.sweep("--dry").stdout)) == 4
    path.write_text(before, encoding="utf-8")
    readme = project.root / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert commands(project.sweep("--dry").stdout) == []
    project.git("restore", "README.md")
    sweep = project.root / "specs/sweeps/tiny.yaml"
    sweep.write_text(SWEEP.replace("[1, 3]", "[1, 2, 3]"), encoding="utf-8")
    assert len(commands(project.sweep("--dry").stdout)) == 2
    sweep.write_text(SWEEP, encoding="utf-8")


def test_files_that_git_does_not_track(project: Sweeping) -> None:
    new = project.root / "specs/tasks/symbolic/_new.yaml"
    new.write_text("title: T", encoding="utf-8")
    done = project.sweep()
    new.unlink()
    assert done.returncode == 2
    assert done.stderr == (
        "specs/tasks/symbolic/_new.yaml: E543 Git does not track this file, so that experiments "
        "lack it\n"
        "    hint: `git add specs/tasks/symbolic/_new.yaml`, or remove it\n"
    )


def test_a_stage_that_fails(project: Sweeping) -> None:
    sweep = project.root / "specs/sweeps/tiny.yaml"
    # a rationale is longer than this
    sweep.write_text(
        SWEEP.replace("  train.epochs: 1", "  train.epochs: 1\n  train.max_length: 16")
    )
    done = project.sweep()
    sweep.write_text(SWEEP, encoding="utf-8")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.search(
        r"\nsweep-tiny-1-s1-[0-9a-f]{8}: E546 DVC stopped with exit code 255\n"
        r"    hint: its messages stand above; the same command goes on with this experiment\n$",
        done.stderr,
    )
