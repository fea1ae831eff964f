"""The teacher put in place: a model of its own, the student, or a checkpoint of a commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import teacher
from stages.core.errors import UserError
from stages.core.jsonl import read_rows, write_json
from stages.engines.local import folder_digest
from tests.projects import STEPS, Copy


@pytest.fixture
def local(project: Copy, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    monkeypatch.chdir(project.root)
    settle(project, student={"model": str(tiny)})
    return project


def settle(project: Copy, **sections: dict[str, Any]) -> None:
    params = yaml.safe_load(project.read("params.yaml"))
    project.write("params.yaml", yaml.safe_dump({**params, **sections}))


def same_weights(one: Path, other: Path) -> bool:
    return folder_digest(one) == folder_digest(other)


def test_the_student_teaches_itself(
    local: Copy, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(local, teacher={"engine": "local", "model": "student"})
    teacher.main()
    assert capsys.readouterr().out == "teacher: build/teacher holds student\n"
    from stages import student

    student.main()
    assert same_weights(local.root / "build/teacher", local.root / "build/student")


def test_a_folder_teaches(local: Copy, tiny: Path) -> None:
    shutil.copytree(tiny, local.root / "models/mine")
    settle(local, teacher={"engine": "local", "model": "models/mine"})
    teacher.main()
    assert (local.root / "build/teacher/model.safetensors").is_file()


def test_an_endpoint_leaves_its_name(local: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    settle(local, teacher={"engine": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"})
    teacher.main()
    assert capsys.readouterr().out == "teacher: openai, nothing to prepare\n"
    assert [path.name for path in (local.root / "build/teacher").iterdir()] == ["teacher.json"]


def test_the_checkpoint_of_a_commit_teaches(local: Copy, tiny: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=local.root, capture_output=True, text=True, check=True,
            env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"},
        )  # fmt: skip
        return done.stdout

    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    stage = {"cmd": "cp -r models/mine build/checkpoints/best", "outs": ["build/checkpoints/best"]}
    local.write("dvc.yaml", yaml.safe_dump({"stages": {"train": stage}}))
    shutil.copytree(tiny, local.root / "models/mine")
    (local.root / "build/checkpoints").mkdir(parents=True)
    run("dvc", "repro", "--quiet")
    run("git", "add", "dvc.yaml", "dvc.lock", ".dvc", "params.yaml")
    run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "a")
    commit = run("git", "rev-parse", "HEAD").strip()
    # the checkpoint that a later run leaves is another one
    (local.root / "build/checkpoints/best/model.safetensors").unlink()
    settle(
        local,
        teacher={"engine": "local", "model": "build/checkpoints/best", "revision": commit},
    )
    teacher.main()
    assert same_weights(local.root / "build/teacher", tiny)
    settle(local, teacher={"engine": "local", "model": "build/checkpoints/no", "revision": commit})
    with pytest.raises(UserError, match="E703 there is no 'build/checkpoints/no' at "):
        teacher.main()


def test_a_checkpoint_without_its_commit(local: Copy) -> None:
    settle(local, teacher={"engine": "local", "model": "build/checkpoints/best"})
    with pytest.raises(UserError) as caught:
        teacher.main()
    assert str(caught.value) == (
        "params.yaml: E704 the teacher 'build/checkpoints/best' is named without a revision\n"
        "    hint: add teacher.revision, the commit whose checkpoint is to teach: a run cannot "
        "wait for its own result"
    )


def taught(project: Copy) -> tuple[str, list[dict[str, Any]]]:
    """What the stage says, and the rationales that it writes."""
    for stage in ("compile", "teacher"):
        done = project.run("-m", f"stages.{stage}")
        assert done.returncode == 0, done.stderr
    choice = {task: {"strategy": "step_by_step"} for task in ("coin_flip", "last_letter")}
    write_json(project.root / "build/selected/symbolic.json", choice)
    done = project.run("-m", "stages.teach", "symbolic")
    assert done.returncode == 0, done.stderr
    return done.stdout, list(read_rows(project.root / "build/rationales/symbolic.jsonl"))


def test_a_local_model_writes_rationales(local: Copy) -> None:
    settle(
        local,
        teacher={"engine": "local", "model": "student", "temperature": 1.0},
        teach={"samples": 2},
    )
    local.write("specs/strategies/step_by_step.yaml", local.read(STEPS).replace("512", "12"))
    said, made = taught(local)
    assert said.splitlines()[-1] == "teach symbolic: 12 rationales, 12 asked for, 0 held"
    assert [record["sample"] for record in made] == [0, 1] * 6
    assert len({record["completion"] for record in made}) == 12
    again, same = taught(local)
    assert again.splitlines()[-1] == "teach symbolic: 12 rationales, 0 asked for, 12 held"
    assert same == made


def test_recorded_answers_become_rationales(local: Copy) -> None:
    from stages.compiler.check import checked

    _, rows = checked(local.root)
    lines = [
        json.dumps({"question": row.question, "rationale": text, "answer_completion": row.gold})
        for name in ("coin_flip", "last_letter")
        for row in rows["symbolic", name]["train"]
        for text in ("First.", "Second.")
    ]
    text = "\n".join(lines) + "\n"
    local.write("answers.jsonl", text)
    digest = sha256(text.encode()).hexdigest()
    recording = {"file": "answers.jsonl", "format": "rationales", "sha256": digest}
    for task in ("coin_flip", "last_letter"):
        spec = f"specs/tasks/symbolic/{task}.yaml"
        local.edit(spec, "  worked: {get: worked}\n", "")
    settle(local, teacher={"engine": "recorded", "recordings": [recording]}, teach={"samples": 2})
    said, made = taught(local)
    assert said.splitlines()[-1] == "teach symbolic: 12 rationales, 0 asked for, 12 held"
    assert [record["completion"].split("\n")[0] for record in made] == ["First.", "Second."] * 6
    done = local.run("-m", "stages.curate", "symbolic")
    assert done.stdout == "curate symbolic: kept 12 of 12 rationales\n"
