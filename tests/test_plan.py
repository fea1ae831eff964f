"""`make plan`: what would be asked, what is held, why not, what it costs; and nothing asked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from stages import plan
from stages.compiler.build import asked_rows, scoring, suite_calls
from stages.compiler.check import checked
from stages.core.jsonl import write_json
from stages.engines.ask import sampling, teacher_engine
from stages.engines.request import Completion, Request
from stages.engines.store import Store, default_path
from stages.teaching.chain import Asking
from stages.teaching.rationales import jobs
from tests.projects import LETTER, STEPS, Copy

URL = "http://127.0.0.1:9/v1"
STEP = "step_by_step"


@pytest.fixture
def planned(project: Copy, monkeypatch: pytest.MonkeyPatch) -> Copy:
    project.edit("params.yaml", "engine: recorded", "engine: openai")
    project.edit("params.yaml", "model: null", "model: some-model")
    project.edit("params.yaml", "base_url: null", f"base_url: {URL}")
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    choice = {task: {"strategy": STEP} for task in ("coin_flip", "last_letter")}
    write_json(project.root / "build/selected/symbolic.json", choice)
    return project


def requests(copy: Copy, task: str, strategy: str = STEP) -> Iterator[Request]:
    """The first requests of the task's train rows."""
    project, rows = checked(copy.root)
    params = project.params
    engine = teacher_engine(params.teacher, params.runtime, copy.root, None)
    asking = Asking(engine, "symbolic", suite_calls(project, "symbolic"), sampling(params.teacher))
    tasks = {item.id: scoring(project, item) for item in project.suite("symbolic")}
    train = [r for r in asked_rows(project, rows, "symbolic", "train") if r["task"] == task]
    for job in jobs(train, tasks, {task: [strategy]}, params.teach, asking):
        yield next(job)


def hold(copy: Copy, task: str, count: int, strategy: str = STEP, **fields: Any) -> None:
    done = replace(Completion("text", "stop", 100, 50, seconds=2.0), **fields)
    with Store(default_path()) as store:
        store.put_many([(item, done) for item in [*requests(copy, task, strategy)][:count]])


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["plan", "--format", "json"])
    plan.main()
    lines = json.loads(capsys.readouterr().out)["lines"]
    return {line["about"].removeprefix("symbolic/"): line for line in lines}


def test_the_table(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["plan"])
    planned.edit(
        "params.yaml", "retries: 6", "retries: 6\n  price: {prompt: 1000, completion: 2000}"
    )
    hold(planned, "coin_flip", 2)
    plan.main()
    lines = capsys.readouterr().out.splitlines()
    cells = [re.split(r"\s*│\s*", line.strip("│ ")) for line in lines if line.startswith("│")]
    assert cells == [
        ["symbolic", "coin_flip", STEP, "3", "2", "1", "~150", "0.20", "0:02", "selected"],
        ["symbolic", "last_letter", STEP, "3", "0", "3", "~450", "0.60", "0:02", "selected"],
    ]
    assert lines[-3:] == [
        "  symbolic/coin_flip/step_by_step misses 1: 1 new row",
        "  symbolic/last_letter/step_by_step misses 3: 3 never asked before",
        "plan: 4 requests to ask for; about 0.80 USD by the price of params.yaml, 0.00 spent so "
        "far; no budget is stated; about 0:04",
    ]


def test_before_the_probe_every_candidate_counts(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (planned.root / "build/selected/symbolic.json").unlink()
    lines = told(capsys, monkeypatch)
    assert {name: (line["missing"], line["because"]) for name, line in lines.items()} == {
        f"{task}/{strategy}": (3, "may be selected")
        for task in ("coin_flip", "last_letter")
        for strategy in ("direct", STEP, "explain_then_answer")
    }


def test_what_the_probe_learns_from_is_counted(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned.edit("params.yaml", "mode: prompt", "rows: 2\n  mode: finetune")
    hold(planned, "coin_flip", 1, "direct")
    lines = told(capsys, monkeypatch)
    assert {name: (line["held"], line["missing"]) for name, line in lines.items()} == {
        f"{task}/{strategy}": counts
        for task, held in (("coin_flip", 1), ("last_letter", 0))
        for strategy, counts in (
            ("direct", (held, 2 - held)), (STEP, (0, 3)), ("explain_then_answer", (0, 2)),
        )
    }  # fmt: skip
    assert lines[f"coin_flip/{STEP}"]["because"] == "selected"
    assert lines["coin_flip/direct"]["because"] == "the probe learns from it"


def test_without_anything_held_the_limits_are_the_estimate(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = told(capsys, monkeypatch)[f"coin_flip/{STEP}"]
    texts = [
        sum(len(text) // 4 + 4 for _, text in r.messages) for r in requests(planned, "coin_flip")
    ]
    assert (line["prompt"], line["completion"]) == (sum(texts), 3 * 512)
    assert (line["measured"], line["usd"], line["seconds"]) == (False, 0.0, None)


@pytest.mark.parametrize(
    ("file", "old", "new", "because"),
    [
        ("params.yaml", "samples: 1", "samples: 2", {"new sample": 3}),
        ("params.yaml", "temperature: 0", "temperature: 0.7", {"changed sampling values": 3}),
        ("params.yaml", "model: some-model", "model: another", {"changed model": 3}),
        ("params.yaml", URL, "http://127.0.0.1:8/v1", {"changed endpoint": 3}),
        (STEPS, "max_tokens: 512", "max_tokens: 20", {"longer than 20 tokens before": 3}),
        (
            "templates/strategies/step_by_step.system.j2", "Think step by step", "Think in steps",
            {"changed system message": 3},
        ),
        (
            "templates/strategies/question.user.j2", "{{ question }}", "Q: {{ question }}",
            {"changed prompt": 3},
        ),
    ],
)  # fmt: skip
def test_why_a_request_is_missing(
    planned: Copy,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: str,
    new: str,
    because: dict[str, int],
) -> None:
    hold(planned, "coin_flip", 3)
    assert told(capsys, monkeypatch)[f"coin_flip/{STEP}"]["why"] == {}
    planned.edit(file, old, new)
    line = told(capsys, monkeypatch)[f"coin_flip/{STEP}"]
    assert line["why"] == because
    assert line["missing"] == 3


def test_a_raised_limit_misses_what_was_cut_short(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(planned, "coin_flip", 1, finish_reason="length")
    hold(planned, "coin_flip", 3)
    planned.edit(STEPS, "max_tokens: 512", "max_tokens: 600")
    line = told(capsys, monkeypatch)[f"coin_flip/{STEP}"]
    assert (line["held"], line["why"]) == (2, {"cut short before, at 512 tokens": 1})


def test_appended_rows_are_the_only_ones_missing(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(planned, "last_letter", 3)
    text = planned.read(LETTER)
    planned.write(LETTER, re.sub(r"train: \{take: 3", "train: {take: 8", text))
    line = told(capsys, monkeypatch)[f"last_letter/{STEP}"]
    assert (line["held"], line["why"]) == (3, {"new row": 5})


def test_later_calls_and_samples_are_counted_at_most(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned.edit("params.yaml", "samples: 1", "samples: 4\n  enough: 2")
    planned.edit("params.yaml", "[direct, step_by_step, explain_then_answer]", "all")
    choice = {"coin_flip": {"strategy": "recall_then_generate"}, "last_letter": {"strategy": STEP}}
    write_json(planned.root / "build/selected/symbolic.json", choice)
    hold(planned, "coin_flip", 1, "recall_then_generate")
    lines = told(capsys, monkeypatch)
    found = lines["coin_flip/recall_then_generate"]
    assert (found["held"], found["missing"], found["later"]) == (1, 3, 2 * 7 + 6)
    assert found["why"] == {"changed prompt": 1, "new row": 2}


def test_nobody_knows_the_price(
    planned: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned.edit("params.yaml", URL, "https://models.invalid/v1")
    monkeypatch.setattr(sys, "argv", ["plan"])
    plan.main()
    assert capsys.readouterr().out.splitlines()[-1] == (
        "plan: 6 requests to ask for; nobody knows their price: state runtime.price"
    )


def test_the_recorded_teacher_is_free(
    project: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(sys, "argv", ["plan"])
    plan.main()
    assert capsys.readouterr().out == (
        "plan: the recorded teacher answers from the rows themselves; nothing is asked for\n"
    )
    assert told(capsys, monkeypatch) == {}  # a program reads JSON all the same
