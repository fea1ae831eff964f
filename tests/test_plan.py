"""`make plan`: what would be asked, what is held, and nothing asked."""

from __future__ import annotations

import re

import pytest

from stages import plan
from stages.compiler.check import checked
from stages.core.jsonl import write_json
from stages.engines.request import Completion
from stages.engines.store import Store, default_path
from stages.planning.requests import requests
from tests.projects import Copy

URL = "http://127.0.0.1:9/v1"


def shown(capsys: pytest.CaptureFixture[str]) -> tuple[list[list[str]], str]:
    """The table's rows, cell by cell, and the closing line."""
    plan.main()
    lines = capsys.readouterr().out.splitlines()
    cells = [re.split(r"\s*│\s*", line.strip("│ ")) for line in lines if line.startswith("│")]
    return cells, lines[-1]


@pytest.fixture
def planned(project: Copy, monkeypatch: pytest.MonkeyPatch) -> Copy:
    project.edit("params.yaml", "engine: recorded", "engine: openai")
    project.edit("params.yaml", "model: null", "model: some-model")
    project.edit("params.yaml", "base_url: null", f"base_url: {URL}")
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return project


def test_before_the_probe_every_candidate_counts(
    planned: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, last = shown(capsys)
    candidates = ("direct", "step_by_step", "explain_then_answer")
    assert rows == [
        ["symbolic", task, strategy, "3", "0", "3", "one of these will be selected"]
        for task in ("coin_flip", "last_letter")
        for strategy in candidates
    ]
    assert last == "plan: 18 requests to ask for"


def test_what_is_held_is_not_asked_for_again(
    planned: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    project, rows = checked(planned.root)
    choice = {task: {"strategy": "step_by_step"} for task in ("coin_flip", "last_letter")}
    write_json(planned.root / "build/selected/symbolic.json", choice)
    task = project.tasks[("symbolic", "coin_flip")]
    asked = requests(
        planned.root, project, task, "step_by_step", rows[("symbolic", "coin_flip")]["train"]
    )
    with Store(default_path()) as store:
        store.put_many([(item, Completion("text", "stop", 1, 1)) for item in asked[:2]])
    assert shown(capsys) == (
        [
            ["symbolic", "coin_flip", "step_by_step", "3", "2", "1", "selected"],
            ["symbolic", "last_letter", "step_by_step", "3", "0", "3", "selected"],
        ],
        "plan: 4 requests to ask for",
    )


def test_the_recorded_teacher_is_free(
    project: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    plan.main()
    assert capsys.readouterr().out == (
        "plan: the recorded teacher answers from the rows themselves; nothing is asked for\n"
    )
