"""What dvc.yaml declares for DVC's own views: plots that say what they show, metrics, artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from dvc_render.vega_templates import TEMPLATES

from stages.reporting.plots import accuracy_plot, answers_plot, yield_plot
from tests.test_deps import ROOT, STAGES, inside, outs

ROWS: dict[str, list[dict[str, Any]]] = {
    "build/plots/accuracy.json": [
        *accuracy_plot({"best": {"coins": {"accuracy": 0.5}, "macro": {"accuracy": 0.5}}})
    ],
    "build/plots/answers.json": [
        *answers_plot({"best": [
            {"task": "coins", "correct": True, "answer": "yes", "finish_reason": "stop"},
            {"task": "coins", "correct": False, "answer": "no", "finish_reason": "stop"},
            {"task": "coins", "correct": False, "answer": "no", "finish_reason": "length"},
            {"task": "coins", "correct": False, "answer": None, "finish_reason": "length"},
            {"task": "coins", "correct": False, "answer": None, "finish_reason": "stop"},
        ]})
    ],
    "build/plots/yield.json": [
        *yield_plot({"symbolic": {"counts": {"coins": {"steps": {"kept": 3, "wrong answer": 1}}}}})
    ],
    # as stages/training/sft.py logs them
    "build/training/${key}/loss.json": [{"step": 1, "loss": 2.0, "learning_rate": 0.1}],
    "build/training/${key}/valid.json": [{"step": 1, "valid_accuracy": 0.5}],
}  # fmt: skip


def plots() -> Iterator[tuple[str, dict[str, Any]]]:
    for stage in STAGES.values():
        for entry in stage.get("plots", []):
            yield from entry.items()


@pytest.mark.parametrize(("file", "shown"), list(plots()))
def test_a_plot_has_a_template_a_title_and_named_axes(file: str, shown: dict[str, Any]) -> None:
    assert {"template", "title", "x", "y", "x_label", "y_label"} <= shown.keys()
    own = {path.stem for path in (ROOT / ".dvc/plots").iterdir()}
    assert shown["template"] in own | {template.DEFAULT_NAME for template in TEMPLATES}
    assert all({shown["x"], shown["y"]} <= row.keys() for row in ROWS[file])
    # lines have their measure up the side, bars along it
    measure = shown["x" if shown["template"] == "bars" else "y"]
    assert all(isinstance(row[measure], float | int) for row in ROWS[file])


def test_every_file_of_rows_is_declared() -> None:
    assert sorted(ROWS) == sorted(file for file, _ in plots())


def test_bars_begin_at_zero() -> None:
    bars = json.loads((ROOT / ".dvc/plots/bars.json").read_text(encoding="utf-8"))
    # DVC's own template of bars cuts them off, so that a small difference looks like a large one
    assert bars["encoding"]["x"]["scale"] == {"zero": True}


def test_bars_say_what_they_count() -> None:
    answers = ROWS["build/plots/answers.json"]
    assert {row["run_task_outcome"]: row["answers"] for row in answers} == {
        "best/coins: right": 1, "best/coins: wrong": 2, "best/coins: cut short": 1,
        "best/coins: no answer": 1,
    }  # fmt: skip
    assert ROWS["build/plots/yield.json"] == [
        {"task_strategy_reason": "coins/steps: kept", "rationales": 3},
        {"task_strategy_reason": "coins/steps: wrong answer", "rationales": 1},
    ]
    assert ROWS["build/plots/accuracy.json"][0] == {"run_task": "best/coins", "accuracy": 0.5}


def test_the_metrics_are_scores_alone() -> None:
    files = [
        file for stage in STAGES.values() for entry in stage.get("metrics", []) for file in entry
    ]
    assert files == ["build/metrics.json"]  # digests among them would drown `dvc metrics diff`


def test_an_artifact_is_an_output_of_a_stage() -> None:
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    made = [out for stage in STAGES.values() for out in outs(stage)]
    assert declared.keys() == {"student", "checkpoints", "curated", "report"}
    for artifact in declared.values():
        assert artifact.keys() == {"path", "type", "desc"}
        assert any(inside(out, artifact["path"]) for out in made), artifact["path"]
