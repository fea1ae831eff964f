from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stages import compile as compile_
from stages import curate, mix
from stages.core.jsonl import read_rows, write_json, write_rows
from stages.engines.request import Completion, Request
from stages.engines.store import Store, default_path
from tests.pipeline import edited
from tests.repository import Repository, repository

NASTY = "\x1b[2Jone\u202etwo [red]three[/red]\x07 The answer is"
TASK = "coin_flip"
ASKED = Request("https://a.example/v1", "wise", (("user", "Is it?"),), 64, row=f"{TASK}/train/0")


def rationale(number: int, text: str, key: str) -> dict[str, object]:
    return {
        "id": f"{TASK}/train/{number}", "task": TASK, "strategy": "step_by_step", "sample": 0,
        "completion": text, "finish_reason": "stop", "completion_tokens": 9, "error": "",
        "calls": [{"key": key, "max_tokens": 64, "finish_reason": "stop", "prompt_tokens": 1,
                   "completion_tokens": 9, "error": ""}],
    }  # fmt: skip


def other(answer: str) -> str:
    return "no" if answer == "yes" else "yes"


def gold(root: Path, number: int) -> str:
    name = f"{TASK}/train/{number}"
    rows = read_rows(root / "build/compiled/suites/symbolic/train.jsonl")
    return next(str(row["gold"]) for row in rows if row["id"] == name)


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """compile, curate and mix were run; what needs a model is made by hand. Row 0 is kept, row 1
    is wrong, and row 2 was not answered.
    """
    with pytest.MonkeyPatch.context() as patch:
        made = repository(tmp_path_factory.mktemp("tracing") / "made")
        build = made.root / "build"
        made.start(patch, {"stages": {}})
        with edited(made.root / "params.yaml") as params:
            params["tasks"] = {"symbolic": [TASK]}
            params["runs"] = {"direct": {"train_on": "answers"}, "best": {"train_on": "selected"}}
        patch.setattr("sys.argv", ["compile"])
        compile_.main()
        choice = {"strategy": "step_by_step", "reason": "it won", "at_floor": False,
                  "evidence": [{"strategy": "step_by_step", "accuracy": 0.0}]}  # fmt: skip
        write_json(build / "selected/symbolic.json", {TASK: choice})
        write_rows(build / "rationales/symbolic.jsonl", [
            rationale(0, f"{NASTY} {gold(made.root, 0)}.", ASKED.key),
            rationale(1, f"The answer is {other(gold(made.root, 1))}.", "ab" * 32),
        ])  # fmt: skip
        with Store(default_path()) as store:
            store.put_many([(ASKED, Completion("x", "stop", 1, 9, usd=0.25))])
        for main, *arguments in ((curate.main, "symbolic"), (mix.main,)):
            patch.setattr("sys.argv", ["stage", *arguments])
            main()
        for run, answer in (("direct", "yes"), ("best", "\u202eno")):
            right = {"id": f"{TASK}/test/0", "task": TASK, "question": "?", "gold": "yes",
                     "answer": answer, "correct": answer == "yes", "follows_format": True,
                     "key": f"{run}0".ljust(64, "0"), "completion": f"It is {answer}.",
                     "finish_reason": "stop", "completion_tokens": 2, "error": ""}  # fmt: skip
            write_rows(build / f"evaluations/{run}/predictions.jsonl", [right])
            write_json(build / f"training/{run}/valid.json", [
                {"step": 1, "valid_accuracy": 0.5}, {"step": 2, "valid_accuracy": 0.5},
            ])  # fmt: skip
        scores = {run: {TASK: {"accuracy": 0.5, "n": 1}} for run in ("direct", "best")}
        write_json(build / "metrics.json", scores)
        made.write("dvc.lock", LOCK)
        made.results = made.commit("results")  # type: ignore[attr-defined]
        made.write("README.md", "later\n")
        made.commit("later")
        yield made


LOCK = """\
schema: '2.0'
stages:
  train@best:
    cmd: python -m stages.train best
    outs:
    - path: build/checkpoints/best
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
"""
