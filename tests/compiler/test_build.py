from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from stages.compiler.build import prune, write
from stages.compiler.check import checked
from stages.core.errors import UserError
from stages.core.jsonl import read_json, read_rows
from stages.spec.read import load_params
from tests.projects import COIN, REPOSITORY, Copy


def _compile(project: Copy, out: str = "out") -> dict[str, Any]:
    return write(*checked(project.root), project.root / out)


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_one_file_for_each_reader(project: Copy) -> None:
    runs = _compile(project)["runs"]
    assert list(_tree(project.root / "out")) == [
        *(
            f"runs/{run}/{name}"
            for run in sorted(runs)
            for name in ("calls.json", "tasks.json", "test.jsonl", "valid.jsonl")
        ),
        "suites/symbolic/calls.json",
        "suites/symbolic/lessons.json",
        "suites/symbolic/probe.jsonl",
        "suites/symbolic/tasks.json",
        "suites/symbolic/train.jsonl",
        "targets.json",
        "tests.jsonl",
    ]


def test_rows_carry_what_their_reader_needs_and_no_gold_in_a_prompt(project: Copy) -> None:
    project.edit(COIN, "gold: {get: answer}", 'gold: {render: "yes indeed"}')
    _compile(project)
    suite = project.root / "out/suites/symbolic"
    probe = next(read_rows(suite / "probe.jsonl"))
    assert sorted(probe) == ["gold", "id", "options", "prompts", "question", "task", "variables"]
    assert list(probe["prompts"]) == ["direct", "explain_then_answer", "step_by_step"]
    train = next(read_rows(suite / "train.jsonl"))
    assert list(train["worked"]) == ["direct", "explain_then_answer", "step_by_step"]
    assert "answers" in train["student"]
    assert "yes indeed" not in str([probe["prompts"], train["student"], train["prompts"]])
    tasks = read_json(suite / "tasks.json")
    assert tasks["coin_flip"]["selects"] is True


def test_the_answer_to_train_on_is_the_gold_as_a_reader_would_write_it(project: Copy) -> None:
    _compile(project)
    rows = project.root / "out/suites/symbolic/train.jsonl"
    assert {row["answer"] for row in read_rows(rows) if row["task"] == "coin_flip"} <= {"yes", "no"}
    project.edit(COIN, "gold: {get: answer}", 'gold: {render: \'["yes", "no"]\'}')
    project.edit(COIN, "type: yes_no", "type: list")
    task = project.read(COIN).replace(", {last: yes_no}", "")
    kept = task[: task.index('  - {completion: "Yes')]
    project.write(COIN, kept.replace('is no.", answer: "no"', 'is no.", answer: \'["no"]\''))
    _compile(project)
    coins = [row for row in read_rows(rows) if row["task"] == "coin_flip"]
    assert {(row["gold"], row["answer"]) for row in coins} == {('["yes", "no"]', "yes, no")}


def test_splits_of_a_run_are_its_suites_rows(project: Copy) -> None:
    _compile(project)
    rows = list(read_rows(project.root / "out/runs/selected/test.jsonl"))
    assert [row["id"] for row in rows] == [
        f"{task}/test/{i}" for task in ("coin_flip", "last_letter") for i in range(3)
    ]


def test_a_comment_in_a_spec_changes_the_manifest_alone(project: Copy) -> None:
    before = _compile(project, "one")
    project.write(COIN, project.read(COIN).replace("row:\n", "row:   # a comment\n"))
    after = _compile(project, "two")
    assert _tree(project.root / "one") == _tree(project.root / "two")
    key = "symbolic/coin_flip"
    assert before["tasks"][key].pop("sha256") != after["tasks"][key].pop("sha256")
    assert before == after


def test_the_manifest_counts_rows_and_marks_changed_prompts(project: Copy) -> None:
    before = _compile(project)
    file = "templates/strategies/direct.system.j2"
    project.write(file, project.read(file).replace("directly", "at once"))
    after = _compile(project)
    task = before["tasks"]["symbolic/coin_flip"]
    assert task["rows"] == {"train": 3, "probe": 3, "valid": 3, "test": 3}
    changed = after["tasks"]["symbolic/coin_flip"]["prompts"]
    assert [name for name in changed if changed[name] != task["prompts"][name]] == ["direct"]


@pytest.fixture
def outputs(project: Copy) -> list[dict[str, bytes]]:
    made = []
    other = project.root.parent / "other"
    for path in sorted(project.root.rglob("*"), reverse=True):  # so a folder lists it otherwise
        if path.is_file():
            there = other / path.relative_to(project.root)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)
    for seed, folder in (("0", project.root), ("4242", other)):
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": seed,
        }
        subprocess.run(
            [sys.executable, "-m", "stages.compile"],
            cwd=folder, env=environment, check=True, capture_output=True,
        )  # fmt: skip
        made.append(_tree(folder / "build"))
    return made


def test_the_same_bytes_under_any_hash_seed_and_file_order(
    outputs: list[dict[str, bytes]],
) -> None:
    assert outputs[0] == outputs[1]
    assert "manifest.json" in outputs[0]


def test_outputs_of_dropped_suites_and_runs_are_removed(project: Copy) -> None:
    kept = ["build/probe/symbolic.jsonl", "build/mix/direct.jsonl", "build/student/a"]
    gone = ["build/probe/old.jsonl", "build/checkpoints/old/model", "build/mix/old.jsonl"]
    for name in (*kept, *gone):
        project.write(name, "")
    prune(checked(project.root)[0], project.root / "build")
    assert [name for name in (*kept, *gone) if (project.root / name).exists()] == kept


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        *((name, "suite") for name in ("probe", "select_strategy", "teach", "curate")),
        *((name, "run") for name in ("train", "evaluate")),
    ],
)
def test_an_entry_run_by_hand(
    entry: str, kind: str, project: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(project.root)
    names = [run.id for run in params.runs] if kind == "run" else list(params.suites)
    main = import_module(f"stages.{entry}").main
    monkeypatch.chdir(project.root)
    monkeypatch.setattr("sys.argv", [entry])
    with pytest.raises(UserError) as caught:
        main()
    assert str(caught.value) == (
        f"command line: E513 this stage takes the name of one {kind}\n"
        f"    hint: allowed: {', '.join(names)}"
    )
    monkeypatch.setattr("sys.argv", [entry, names[0]])
    with pytest.raises(UserError, match=r"E514 this does not exist yet|E701 there is no model"):
        main()
