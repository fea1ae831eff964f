"""The stage counter around `dvc repro`, with a stand-in for dvc that says what dvc says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import Copy

SAYS = """\
'data.dvc' didn't change, skipping
Stage 'student' didn't change, skipping
Running stage 'compile':
> python -m stages.compile
compile: 2 tasks

Running stage 'probe@symbolic':
ERROR: failed to reproduce 'probe@symbolic'
"""


@pytest.fixture
def dvc(project: Copy) -> Path:
    folder = project.root / "bin"
    folder.mkdir()
    script = folder / "dvc"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{SAYS}END\nexit 1\n")
    script.chmod(0o755)
    return folder


def test_each_stage_is_counted_once_and_the_exit_code_is_dvcs(project: Copy, dvc: Path) -> None:
    paths = os.pathsep.join([str(dvc), os.environ["PATH"]])
    result = subprocess.run(
        [sys.executable, "-m", "stages.repro"],
        cwd=project.root,
        env={**os.environ, "PATH": paths, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "'data.dvc' didn't change, skipping",
        "[1/13] Stage 'student' didn't change, skipping",
        "[2/13] Running stage 'compile':",
        "> python -m stages.compile",
        "compile: 2 tasks",
        "[3/13] Running stage 'probe@symbolic':",
        "ERROR: failed to reproduce 'probe@symbolic'",
    ]
