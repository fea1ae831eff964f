"""`evaluate` in one process, its student a table of answers: once greedily, or several samples."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import evaluate
from stages.core.errors import UserError
from stages.core.jsonl import read_rows, write_json, write_rows
from stages.engines.request import Completion, Deliver, Request
from tests.pipeline import edited
from tests.projects import Copy

RUN = "direct"
SUM = "Two and two?"
SPAN = "Who won?"
RULES = [{"after": "The answer is"}, {"last": "number"}]
ANSWERS = {
    SUM: ["The answer is 4.", "It is 5.", "I do not know.", "The answer is 4."],
    SPAN: ["The answer is the Bears of Chicago.", "The answer is Bears."],
    "Steps.": ["Two more than two.", "Three, four."],
    "So?": ["4", "five"],
}


class Student:
    """Says what `ANSWERS` holds for the last message, by sample."""

    endpoint, model = "local", "sha256:0"
    asked: list[Request]

    def __init__(self, folder: Path, runtime: object) -> None:
        pass

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        fresh = [item for item in requests if item.key in missing]
        Student.asked += fresh
        deliver([(item, self.answer(item)) for item in fresh])

    def answer(self, item: Request) -> Completion:
        given = ANSWERS[item.messages[-1][1]]
        text = given[item.sample % len(given)]
        return Completion(text, "stop", 3, len(text.split()))


@pytest.fixture
def root(project: Copy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stages before `evaluate` leave for a run on two tasks."""
    Student.asked = []
    monkeypatch.setattr(evaluate, "local_engine", Student)
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(sys, "argv", ["evaluate", RUN])
    rows = [
        {"id": "sums/test/0", "task": "sums", "question": SUM, "gold": "4", "options": [],
         "messages": [{"role": "user", "content": SUM}]},
        {"id": "spans/test/0", "task": "spans", "question": SPAN, "gold": "Bears", "options": [],
         "messages": [{"role": "user", "content": SPAN}]},
    ]  # fmt: skip
    compiled(project.root, rows, {"calls": {}, "exemplars": {}})
    write_rows(project.root / f"build/mix/{RUN}.jsonl", [{"strategies": {"sums": "", "spans": ""}}])
    return project.root


def compiled(root: Path, rows: list[dict[str, Any]], calls: dict[str, Any]) -> None:
    tasks = {
        "sums": {"answer": {"type": "number", "extract": RULES, "marker": "The answer is"}},
        "spans": {"answer": {"type": "f1", "extract": RULES[:1], "marker": "The answer is"}},
    }
    folder = root / f"build/compiled/runs/{RUN}"
    kept = {name: task for name, task in tasks.items() if name in {row["task"] for row in rows}}
    write_json(folder / "tasks.json", kept)
    write_json(folder / "calls.json", calls)
    write_rows(folder / "test.jsonl", rows)


def measured(root: Path, **section: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The predictions and scores under a section `evaluate` of params.yaml."""
    with edited(root / "params.yaml") as params:
        params["evaluate"] = {"max_tokens": 8, **section}
    evaluate.main()
    out = root / f"build/evaluations/{RUN}"
    return list(read_rows(out / "predictions.jsonl")), json.loads((out / "scores.json").read_text())


def test_one_greedy_answer(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, scores = measured(root)
    sums, spans = Student.asked
    assert [(item.temperature, item.top_p, item.sample) for item in (sums, spans)] == [
        (0.0, 1.0, 0)
    ] * 2
    assert (sums.max_tokens, sums.about) == (8, f"test/sums/{RUN}")
    common = {"follows_format": True, "finish_reason": "stop", "error": ""}
    assert rows == [
        {"id": "sums/test/0", "task": "sums", "question": SUM, "gold": "4", "answer": "4",
         "correct": True, "key": sums.key, "completion": "The answer is 4.",
         "completion_tokens": 4, **common},
        {"id": "spans/test/0", "task": "spans", "question": SPAN, "gold": "Bears",
         "answer": "the Bears of Chicago", "correct": False, "key": spans.key, "f1": 0.5,
         "completion": "The answer is the Bears of Chicago.", "completion_tokens": 7, **common},
    ]  # fmt: skip
    whole = {"format_followed": 1.0, "n": 1}
    assert scores == {
        "sums": {"accuracy": 1.0, "ci_low": 0.2065, "ci_high": 1.0, "mean_tokens": 4.0, **whole},
        "spans": {"accuracy": 0.0, "ci_low": 0.0, "ci_high": 0.7935, "mean_tokens": 7.0, "f1": 0.5,
                  **whole},
        "macro": {"accuracy": 0.5, "ci_low": 0.1033, "ci_high": 0.8967, "n": 2},
    }  # fmt: skip
    assert capsys.readouterr().out.splitlines()[-1] == (
        "evaluate direct: 2 answers, 2 generated, 0 held; spans 0.0%, sums 100.0%, macro 50.0%"
    )


def test_several_samples(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, scores = measured(root, samples=4, temperature=0.7, top_p=0.9)
    assert [(item.temperature, item.top_p, item.sample) for item in Student.asked] == [
        (0.7, 0.9, sample) for _ in range(2) for sample in range(4)
    ]
    assert [(row["id"], row["sample"], row["answer"]) for row in rows] == [
        ("sums/test/0", 0, "4"), ("sums/test/0", 1, "5"), ("sums/test/0", 2, None),
        ("sums/test/0", 3, "4"), ("spans/test/0", 0, "the Bears of Chicago"),
        ("spans/test/0", 1, "Bears"), ("spans/test/0", 2, "the Bears of Chicago"),
        ("spans/test/0", 3, "Bears"),
    ]  # fmt: skip
    assert len({row["key"] for row in rows}) == 8
    limits = {"ci_low": scores["sums"]["ci_low"], "ci_high": scores["sums"]["ci_high"]}
    assert 0.0 < limits["ci_low"] < 0.5 < limits["ci_high"] < 1.0
    macro = {key: scores["macro"][key] for key in limits}
    # of two tasks alike, the square root of a half
    assert macro["ci_high"] == pytest.approx(0.5 + (limits["ci_high"] - 0.5) * 0.5**0.5, abs=1e-4)
    common = {"accuracy": 0.5, "n": 1, "samples": 4, "avg@4": 0.5, "pass@1": 0.5, "pass@2": 0.8333,
              "pass@4": 1.0, "maj@1": 0.5, **limits}  # fmt: skip
    assert scores == {
        # 4, 5, nothing, 4: of the six pairs 4 wins all but (5, nothing) and (5, 4)
        "sums": {**common, "maj@2": 0.6667, "maj@4": 1.0, "maj_ties": 0, "format_followed": 0.5,
                 "mean_tokens": 3.75},
        # wrong and right in turn: the first of a pair counts, and all four tie
        "spans": {**common, "maj@2": 0.3333, "maj@4": 0.0, "maj_ties": 1, "format_followed": 1.0,
                  "mean_tokens": 5.5, "f1": 0.75},
        "macro": {"accuracy": 0.5, **macro, "n": 2, "samples": 4},
    }  # fmt: skip
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "evaluate direct: 8 answers, 8 generated, 0 held; spans 50.0%, sums 50.0%, macro 50.0%",
        "evaluate direct: maj@4: spans 0.0%, sums 100.0%; 1 of 2 items tied over all 4 samples, "
        "where the answer that came first counts",
    ]


def test_more_samples_cost_those_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(root, samples=2, temperature=0.7)
    rows, scores = measured(root, samples=3, temperature=0.7, ks=[3, 1])
    assert (len(rows), len(Student.asked)) == (6, 6)
    assert [key for key in scores["sums"] if "@" in key] == [
        "avg@3", "maj@1", "maj@3", "pass@1", "pass@3",
    ]  # fmt: skip
    assert "evaluate direct: 6 answers, 2 generated, 4 held; " in capsys.readouterr().out


def test_every_call_of_an_untrained_student_is_sampled(root: Path) -> None:
    limits = {"max_tokens": 6, "continues": True, "system": None}
    calls = [
        {"system": None, "user": "{{ question }}", "max_tokens": 5, "continues": False,
         "gives": "rationale"},
        {**limits, "user": "So?", "gives": "answer"},
    ]  # fmt: skip
    row = {"id": "sums/test/0", "task": "sums", "question": SUM, "gold": "4", "options": [],
           "variables": {"question": SUM, "answer_marker": "The answer is"},
           "prompts": {"cot": {"messages": [{"role": "user", "content": "Steps."}],
                               "max_tokens": 5}}}  # fmt: skip
    compiled(root, [row], {"calls": {"cot": calls}, "exemplars": {}})
    write_rows(root / f"build/mix/{RUN}.jsonl", [{"strategies": {"sums": "cot"}}])
    rows, scores = measured(root, samples=2, temperature=1.0)
    assert [row["completion"] for row in rows] == [
        "Two more than two.\nThe answer is 4", "Three, four.\nThe answer is five",
    ]  # fmt: skip
    assert [row["sample"] for row in rows] == [0, 1]
    assert [(item.messages[-1][1], item.temperature, item.sample) for item in Student.asked] == [
        ("Steps.", 1.0, 0), ("Steps.", 1.0, 1), ("So?", 1.0, 0), ("So?", 1.0, 1),
    ]  # fmt: skip
    assert scores["sums"]["accuracy"] == 0.5


def test_samples_at_temperature_0_are_refused_before_any_work(root: Path) -> None:
    with pytest.raises(UserError) as caught:
        measured(root, samples=4)
    assert str(caught.value.problems[0]).splitlines()[0].endswith(
        "E507 at temperature 0 all 4 samples are the same answer"
    )  # fmt: skip
    assert Student.asked == []


def test_nothing_but_the_limit_concerns_training() -> None:
    """More test answers are no reason to train anew."""
    declared = yaml.safe_load((Path(__file__).parents[1] / "dvc.yaml").read_text(encoding="utf-8"))
    train = declared["stages"]["train"]["do"]["params"]
    assert [name for name in train if name.startswith("evaluate")] == ["evaluate.max_tokens"]
    assert declared["stages"]["evaluate"]["do"]["params"] == ["evaluate"]
