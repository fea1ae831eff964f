"""What stages that would run cost: counted on build files made by hand, and by `make plan`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from stages import why
from stages.changes.costs import Answers, Costs, Teaching, Training, costs, training_line
from stages.compiler.check import checked
from stages.core.jsonl import write_json, write_rows
from stages.engines.store import Store, default_path
from stages.spec.read import load_params
from stages.teaching.forecast import forecast
from stages.training.memory import estimate
from stages.training.speed import keep, measured
from tests.pipeline import edited
from tests.projects import Copy


@pytest.fixture
def built(project: Copy, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """Two training rows of six tokens, by a tokenizer that counts words."""
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with edited(project.root / "params.yaml") as params:
        params["runs"] = {"direct": {"train_on": "answers", "train": {"epochs": 3}},
                          "plain": {"train_on": "nothing"}}  # fmt: skip
    build = project.root / "build"
    messages = [{"role": "system", "content": "You help"}, {"role": "user", "content": "Why ?"}]
    row = {"id": "x/train/0/0", "messages": messages, "completion": "It is"}
    write_rows(build / "mix/direct.jsonl", [{"run": "direct"}, row, row])
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (build / "student").mkdir()
    tokenizer.save(str(build / "student/tokenizer.json"))
    write_rows(build / "compiled/runs/direct/test.jsonl", [{}] * 5)
    write_rows(build / "compiled/suites/symbolic/probe.jsonl", [{"prompts": {"a": 1, "b": 2}}] * 3)
    return project


def test_training_and_answers_are_counted_on_the_last_build(built: Copy) -> None:
    params = load_params(built.root)
    named = ["train@direct", "train@plain", "evaluate@direct", "probe@symbolic", "evaluate@plain"]
    expected = Costs(
        None,
        [Training("direct", 2, 3, 2 * 3 * 6, None)],
        [
            Answers("evaluate@direct", 5),
            Answers("probe@symbolic", 6),
            Answers("evaluate@plain", None),
        ],
    )
    assert costs(built.root, params, named) == expected
    assert expected.training[0].seconds is None


def test_time_is_told_by_what_was_measured_here(built: Copy) -> None:
    params = load_params(built.root)
    keep(built.root, params.student, 0, 1.0)  # nothing was trained on
    assert measured(built.root, params.student) is None
    keep(built.root, params.student, 100, 25.0)
    keep(built.root, {"model": "another"}, 1, 1.0)
    (training,) = costs(built.root, params, ["train@direct"]).training
    assert (training.speed, training.seconds) == (4.0, 9.0)
    assert list(why._costs(Costs(Teaching(3, 1200, 0.5, 61.0), [training], []))) == [
        "teacher: 3 requests, about 1,200 tokens, 0.50 USD, about 1:01; `make plan` has the tasks",
        "training direct: 2 rows, 3 epochs, about 36 tokens, about 0:09 at 4 tokens/s, as measured",
    ]


def test_memory_is_told_of_the_largest_step(built: Copy, tiny: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny / name, built.root / "build/student")
    params = load_params(built.root)
    (training,) = costs(built.root, params, ["train@direct"]).training
    # four rows of six tokens, two of them completion
    assert training.memory == estimate(tiny, {}, 24, 8)
    assert training_line(training) == (
        "training direct: 2 rows, 3 epochs, about 36 tokens; no figure yet for the time; about "
        "0.5 GB of memory (weights 0.0, gradients 0.0, optimizer 0.0, activations 0.0, logits 0.0)"
    )
    with edited(built.root / "params.yaml") as changed:
        changed["train"]["micro_tokens"] = 12
    (training,) = costs(built.root, load_params(built.root), ["train@direct"]).training
    assert training.memory == estimate(tiny, {}, 12, 4)


def test_a_damaged_measure_is_none(built: Copy) -> None:
    student = load_params(built.root).student
    keep(built.root, student, 100, 25.0)
    (file,) = (built.root / ".cache/training").iterdir()
    file.write_text("{")
    assert measured(built.root, student) is None


def test_requests_are_those_of_make_plan(built: Copy, tmp_path: Path) -> None:
    built.edit("params.yaml", "engine: recorded", "engine: openai")
    with edited(built.root / "params.yaml") as params:
        params["teacher"] |= {"model": "some-model", "base_url": "http://127.0.0.1:9/v1"}
        params["runs"]["steps"] = {"train_on": "step_by_step"}
        params["runtime"]["price"] = {"prompt": 1, "completion": 2}
    write_json(built.root / "build/selected/symbolic.json", {})
    project, rows = checked(built.root)
    with Store(default_path()) as store:
        lines = [line for line, _ in forecast(built.root, project, rows, store).lines]
    found = costs(built.root, project.params, ["teach@symbolic"]).teaching
    assert found is not None
    assert found.requests == sum(line.asked for line in lines) > 0
    assert found.usd == pytest.approx(sum(line.usd or 0 for line in lines))
    assert found.tokens == round(sum(line.prompt + line.completion for line in lines))
    assert costs(built.root, project.params, ["train@steps"]).teaching is None
