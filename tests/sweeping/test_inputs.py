"""What an experiment of DVC sees of the workspace, and what tells one from another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stages.compiler.check import Loaded
from stages.core.errors import UserError
from stages.spec.model import Task
from stages.sweeping.inputs import Inputs
from tests.projects import Copy

DVC = """stages:
  compile: {cmd: python, deps: [specs, stages/compile.py], outs: [build/compiled]}
  train:
    foreach: [a]
    do: {cmd: python, deps: ["build/mix/${item}", build/student, templates/student]}
"""
PARAMS = {"train": {"seed": 1}, "runtime": {"retries": 1}}


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    files = {
        "dvc.yaml": DVC, ".gitignore": "/data\n/build\n", "specs/a.yaml": "1", "README.md": "1",
        "specs/sweeps/s.yaml": "1", "stages/compile.py": "1", "stages/sweep.py": "1",
        "templates/student/t.j2": "1", "templates/report/r.j2": "1", "files/kept.jsonl": "1",
        "data/deep/rows.jsonl": "1", "files/own.jsonl": "1",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "rm", "--cached", "--quiet", "files/own.jsonl")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "t")
    return folder


@pytest.mark.parametrize(
    ("file", "decides"),
    [
        ("specs/a.yaml", True), ("stages/compile.py", True), ("templates/student/t.j2", True),
        ("dvc.yaml", True), ("specs/sweeps/s.yaml", False), ("stages/sweep.py", False),
        ("templates/report/r.j2", False), ("README.md", False), ("data/deep/rows.jsonl", False),
    ],
)  # fmt: skip
def test_what_decides(repository: Path, file: str, decides: bool) -> None:
    before = Inputs(repository).digest(PARAMS)
    assert before == Inputs(repository).digest(PARAMS)
    path = repository / file
    path.write_text(path.read_text() + "# 2\n")
    assert (Inputs(repository).digest(PARAMS) != before) == decides


def test_parameters_decide_but_for_runtime(repository: Path) -> None:
    inputs = Inputs(repository)
    assert inputs.digest(PARAMS) == inputs.digest({**PARAMS, "runtime": {"retries": 2}})
    assert inputs.digest(PARAMS) != inputs.digest({**PARAMS, "train": {"seed": 2}})


def told(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        Inputs(folder)
    return str(caught.value)


def test_files_that_git_lacks(repository: Path) -> None:
    (repository / "specs/sweeps/new.yaml").write_text("1")
    (repository / "templates/report/new.j2").write_text("1")
    Inputs(repository)
    (repository / "templates/student/new.j2").write_text("1")
    (repository / "specs/b.yaml").write_text("1")
    assert told(repository) == (
        "specs/b.yaml: E543 Git does not track this file, so that experiments lack it "
        "(2 such files in all)\n    hint: `git add specs/b.yaml`, or remove it"
    )
    git(repository, "add", "specs", "templates")
    Inputs(repository)


@pytest.mark.parametrize("begun", [False, True])
def test_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "dvc.yaml").write_text(DVC)
    if begun:
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "add", "--all")
    assert told(tmp_path) == (
        "command line: E544 this folder is no Git repository with a commit in it\n"
        "    hint: `git init`, `git add .` and `git commit` first"
    )


def test_data_that_git_does_not_track_is_copied(repository: Path, project: Copy) -> None:
    loaded = Loaded.of(project.root)
    assert loaded.project
    (first, *_) = loaded.project.tasks.values()

    def copied(*files: str) -> list[str]:
        tasks = {("s", str(at)): _from(first, file) for at, file in enumerate(files)}
        assert loaded.project
        loaded.project.tasks = tasks
        return Inputs(repository).copied(loaded.project)

    assert copied() == []
    assert copied("files/kept.jsonl") == []
    # its folder is not in a checkout, and DVC makes no folders for a file
    assert copied("data/deep/rows.jsonl", "data/deep/more.jsonl") == ["data/deep"]
    assert copied("data/deep/rows.jsonl", "data/rows.jsonl") == ["data"]
    assert copied("files/own.jsonl", "./files/kept.jsonl") == ["files/own.jsonl"]


def _from(task: Task, file: str) -> Task:
    made = object.__new__(Task)
    made.__dict__.update({**task.__dict__, "source": {"file": file, "sha256": ""}})
    return made
