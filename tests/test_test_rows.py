"""Nothing that chooses a strategy, a rationale or a checkpoint reads the rows that are tested on.

`curate` reads the questions of `test` rows to drop what overlaps with them: no gold is with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.core.jsonl import read_json, read_rows
from tests.pipeline import RUN_TASKS, TAKES, TASKS, Copy

pytestmark = pytest.mark.pipeline

BEFORE = ["probe", "select", "teach", "curate", "mix", "train"]
QUESTIONS = Path("build/compiled/tests.jsonl")


def stages() -> dict[str, Any]:
    text = Path(__file__).parents[1].joinpath("dvc.yaml").read_text(encoding="utf-8")
    return {name: stage.get("do", stage) for name, stage in yaml.safe_load(text)["stages"].items()}


def test_no_stage_before_evaluate_depends_on_test_rows() -> None:
    readers = {
        name for name, stage in stages().items()
        for path in stage["deps"]
        if path.endswith("/test.jsonl") or path in ("build/compiled", "build/compiled/runs")
    }  # fmt: skip
    assert readers == {"evaluate", "report"}
    makers = {
        name for name, stage in stages().items()
        if {"stages/data", "stages/data/sources.py"} & set(stage["deps"])
    }  # fmt: skip
    assert makers == {"compile"}
    assert [
        name for name, stage in stages().items() if str(QUESTIONS) in stage["deps"]
    ] == ["curate"]  # fmt: skip


def test_all_stages_before_evaluate_do_without_test_rows(tmp_path: Path, tiny: Path) -> None:
    project = Copy(tmp_path / "tutelage", tiny)

    def run(stage: str, *arguments: str) -> str:
        done = project.run("python", "-m", f"stages.{stage}", *arguments, check=False)
        assert done.returncode == 0 or stage == "evaluate", done.stderr
        return done.stderr

    for stage in ("student", "teacher", "compile"):
        run(stage)
    held: dict[Path, str] = {}
    for path in sorted(project.root.glob("build/compiled/**/test.jsonl")):
        held[path] = path.read_text(encoding="utf-8")
        path.unlink()
    assert len(held) == len(RUN_TASKS)
    questions = list(read_rows(project.root / QUESTIONS))
    assert len(questions) == TAKES["test"] * sum(map(len, TASKS.values()))
    assert {frozenset(row) for row in questions} == {frozenset({"id", "task", "question"})}
    tested = {json.dumps(row["question"], ensure_ascii=False)[1:-1] for row in questions}
    for path in (project.root / "build/compiled").glob("**/*.json*"):
        if path != project.root / QUESTIONS:
            text = path.read_text(encoding="utf-8")
            assert [it for it in tested if it in text] == [], path
    kept = (project.root / QUESTIONS).read_text(encoding="utf-8")
    for stage in BEFORE:
        if stage == "curate":
            (project.root / QUESTIONS).write_text(kept, encoding="utf-8")
        name = "select_strategy" if stage == "select" else stage
        for of in {"mix": [()], "train": [(run_,) for run_ in RUN_TASKS]}.get(
            stage, [(suite,) for suite in TASKS]
        ):
            run(name, *of)
        (project.root / QUESTIONS).unlink(missing_ok=True)
    said = run("evaluate", "selected")
    assert "build/compiled/runs/selected/test.jsonl" in said
    for path, text in held.items():
        path.write_text(text, encoding="utf-8")
    run("evaluate", "selected")
    scores = read_json(project.root / "build/evaluations/selected/scores.json")
    assert {task: scores[task]["n"] for task in RUN_TASKS["selected"]} == dict.fromkeys(
        RUN_TASKS["selected"], TAKES["test"]
    )
