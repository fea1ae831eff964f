"""Put the teacher in place: ``python -m stages.teacher``.

A local model, the student itself, a checkpoint of an earlier commit, or recorded answers; an
endpoint needs nothing but a note of its name.

Reads ``params.yaml`` (teacher, student); writes ``build/teacher/``.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stages.core.console import entry, root, say
from stages.core.errors import user_error
from stages.core.jsonl import write_json, write_rows
from stages.data.file import check_digest
from stages.engines.recordings import recordings
from stages.spec.read import load_params
from stages.teaching.recorded import FILE
from stages.training.base import EMBEDDED, materialise

CHECKPOINTS = "build/checkpoints/"


def main() -> None:
    """Write ``build/teacher``."""
    top = root()
    params = load_params(top)
    teacher, out = params.teacher, top / "build/teacher"
    out.mkdir(parents=True, exist_ok=True)
    if teacher["engine"] == "local":
        _local(top, teacher["model"], teacher.get("revision"), params.student, out)
        say(f"teacher: build/teacher holds {teacher['model']}")
        return
    write_json(out / "teacher.json", {"engine": teacher["engine"], "model": teacher.get("model")})
    if teacher.get("recordings"):
        count = write_rows(out / FILE, _recorded(top, teacher["recordings"]))
        say(f"teacher: {count} recorded answers")
        return
    say(f"teacher: {teacher['engine']}, nothing to prepare")


def _local(top: Path, model: str, revision: str | None, student: Any, out: Path) -> None:
    if model == "student":
        materialise(student["model"], student.get("revision"), out)
    elif model.startswith(CHECKPOINTS) and revision:
        shutil.rmtree(out)
        done = subprocess.run(
            ["dvc", "get", ".", model, "--rev", revision, "--out", str(out)],
            cwd=top, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [""]
            raise user_error(
                "params.yaml", "E703", f"there is no {model!r} at {revision!r}: {lines[0][:200]}",
                "name a commit whose dvc.lock is in Git, and pull what a remote holds of it",
            )  # fmt: skip
    elif model.startswith(CHECKPOINTS):
        raise user_error(
            "params.yaml", "E704", f"the teacher {model!r} is named without a revision",
            "add teacher.revision, the commit whose checkpoint is to teach: a run cannot wait "
            "for its own result",
        )  # fmt: skip
    elif model == EMBEDDED or not (top / model).is_dir():
        materialise(model, revision, out)
    else:
        materialise(str(top / model), None, out)


def _recorded(top: Path, files: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for recording in files:
        path = top / recording["file"]
        if not path.is_file():
            raise user_error(
                recording["file"], "E401", "there is no such file",
                "correct teacher.recordings; paths start at the repository root",
            )  # fmt: skip
        check_digest(path, recording["sha256"], recording["file"])
        asked = recording.get("requests")
        for item in recordings(path, recording["format"], top / asked if asked else None):
            yield {**asdict(item), "strategy": recording.get("strategy")}


if __name__ == "__main__":
    entry(main)
