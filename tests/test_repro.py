"""`python -m stages.repro` in a DVC repository: stages are counted, DVC's exit code is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.spec.read import load_params
from tests.repository import repository

PIPELINE = {
    "stages": {
        "student": {"cmd": "echo one > build/student", "outs": ["build/student"]},
        "compile": {"cmd": "echo 'compile: 2 tasks'", "deps": ["build/student"]},
        "probe": {
            "foreach": ["symbolic"],
            "do": {"cmd": "exit 3", "deps": ["build/student"]},
        },
    }
}


def test_each_stage_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "made")
    (made.root / "build").mkdir()
    made.start(monkeypatch, PIPELINE)
    params = load_params(made.root)
    total = 5 + 4 * len(params.suites) + 2 * len(params.runs)
    done = made.run("-m", "stages.repro")
    assert done.returncode == 255
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert [line for line in lines if line.startswith("[")] == [
        f"[1/{total}] Running stage 'student':",
        f"[2/{total}] Running stage 'compile':",
        f"[3/{total}] Running stage 'probe@symbolic':",
    ]
    assert "compile: 2 tasks" in lines  # a stage writes where this process does
    assert "failed to reproduce 'probe@symbolic'" in done.stderr

    made.write("dvc.yaml", made.read("dvc.yaml").replace("exit 3", "echo probed"))
    done = made.run("-m", "stages.repro")
    assert done.returncode == 0, done.stderr
    assert f"[1/{total}] Stage 'student' didn't change, skipping" in done.stdout
