"""The workflow that users may copy: it parses, names what exists, and its own commands run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import compile as compiling
from tests.projects import COIN, REPOSITORY, Copy

FILE = REPOSITORY / "examples/github-actions.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
COMMANDS = [step["run"] for step in STEPS if "run" in step]


def test_every_command_is_there() -> None:
    goals = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    used = {goal for text in COMMANDS for goal in re.findall(r"\bmake ([a-z-]+)", text)}
    assert used == {"setup", "pull", "demo", "compare"}
    assert used <= goals
    modules = {name for text in COMMANDS for name in re.findall(r"-m stages\.(\w+)", text)}
    assert modules == {"compile"}
    tools = {name for text in COMMANDS for name in re.findall(r"\.venv/bin/(\w+)", text)}
    assert tools == {"python", "dvc"}


def test_it_may_do_no_more_than_it_needs() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in JOBS.items()} == {
        "check": None, "metrics": {"contents": "read", "pull-requests": "write"},
    }  # fmt: skip
    # `on` is a boolean to YAML 1.1; pull_request_target would hand secrets to forks
    assert WORKFLOW[True] == "pull_request"
    assert (
        "github.event.pull_request.head.repo.full_name == github.repository"
        in (JOBS["metrics"]["if"])
    )
    # text of a pull request in a script would be run as a part of it
    assert not any("${{" in text for text in COMMANDS)


def test_the_check_marks_the_changed_file(
    project: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [text] = [text for text in COMMANDS if "stages.compile" in text]
    project.edit(COIN, "type: yes_no", "type: yes_noo")
    monkeypatch.chdir(project.root)
    monkeypatch.setattr("sys.argv", text.split()[2:])
    with pytest.raises(SystemExit) as caught:
        compiling.main()
    assert caught.value.code == 2
    assert capsys.readouterr().out.startswith(f"::error file={COIN},line=")


def test_what_changed_is_written_whether_or_not_it_can_be_compared(tmp_path: Path) -> None:
    [text] = [text for text in COMMANDS if "metrics diff" in text]
    tools = {".venv/bin/dvc": "echo dvc $@", "bin/make": "echo make $@; exit 2"}
    for name, line in tools.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    environment = {
        **os.environ, "BASE": "abc", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    # as GitHub runs a step
    subprocess.run(["bash", "-e", "-c", text], cwd=tmp_path, env=environment, check=True)
    made = (tmp_path / "differences.md").read_text()
    assert made == "### Metrics\ndvc metrics diff --md abc\n\n```\nmake compare REV=abc\n```\n"
    assert (tmp_path / "summary.md").read_text() == made
