"""Runs that match the teacher's probabilities, in a real DVC repository.

The tests run in the order of this file.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages.core.jsonl import read_rows
from tests.pipeline import Copy, Repro, Teacher, edited
from tests.tiny import save_tiny

pytestmark = pytest.mark.pipeline

DISTILLED = {"loss": "jsd", "beta": 0.3, "hard_weight": 0.2, "on_policy": 0.5, "epochs": 4}
RUNS = {
    "direct": {"train_on": "answers"},
    "imitating": {"train_on": "step_by_step"},
    "distilled": {"train_on": "step_by_step", "train": DISTILLED},
}
HEAD = "I looked at every word of it."


class Local(Copy):
    """One task, whose worked solutions a model in this process scores."""

    def _shrink(self, student: Path) -> None:
        super()._shrink(student)
        shutil.rmtree(self.root / "specs/tasks/objects")
        with edited(self.root / "specs/strategies/step_by_step.yaml") as strategy:
            strategy["calls"][0]["max_tokens"] = 24
        with edited(self.root / "params.yaml") as params:
            params["suites"], params["tasks"] = ["symbolic"], {"symbolic": ["coin_flip"]}
            params["teacher"] = {"engine": "local", "model": "models/teacher"}
            params["curate"] = {"filter": "gold"}
            params["runs"] = RUNS
            params["train"]["epochs"] = 2
        self.teacher(1)

    def teacher(self, seed: int) -> None:
        shutil.rmtree(self.root / "models", ignore_errors=True)
        save_tiny(self.root / "models/teacher", seed=seed)

    def train(self) -> Repro:
        return self.repro(*(f"train@{run}" for run in RUNS))

    def refused(self, stage: str) -> str:
        done = self.run("dvc", "repro", stage, check=False)
        assert done.returncode
        return done.stdout + done.stderr

    def mix(self, run: str) -> list[Any]:
        return list(read_rows(self.root / f"build/mix/{run}.jsonl"))

    def losses(self, run: str) -> list[float]:
        file = self.root / f"build/training/{run}/loss.json"
        return [item["loss"] for item in json.loads(file.read_text())]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Local:
    return Local(tmp_path_factory.mktemp("distilled") / "tutelage", tiny)


@pytest.fixture(scope="module")
def teacher() -> Iterator[Teacher]:
    made = Teacher()
    yield made
    made.stop()


def test_a_run_on_a_local_teachers_probabilities(project: Local) -> None:
    done = project.train()
    assert "train@distilled" in done.stages
    header, *rows = project.mix("distilled")
    assert header["teacher"] == project.model("build/teacher")
    prompts = {
        row["id"]: row["prompts"]["step_by_step"]["messages"]
        for row in read_rows(project.root / "build/compiled/suites/symbolic/train.jsonl")
    }
    assert rows
    for row in rows:
        assert row["teacher"] == prompts[row["id"].rpartition("/")[0]] != row["messages"]
    plain = project.mix("imitating")
    assert [{**row, "teacher": None} for row in plain[1:]] == [
        {**row, "teacher": None} for row in rows
    ]
    assert "teacher" not in plain[0]
    assert len(project.losses("distilled")) == 12
    assert project.losses("distilled")[:6] != project.losses("imitating")
    assert project.train().stages == []


def test_another_teacher_trains_only_those_that_learn_from_it(project: Local) -> None:
    project.teacher(2)
    project.dvc("repro", "--force", "--single-item", "teacher")
    stages = project.train().stages
    assert [name for name in stages if name.startswith("train")] == ["train@distilled"]
    assert project.mix("distilled")[0]["teacher"] == project.model("build/teacher")


def test_a_loss_for_all_trains_all(project: Local) -> None:
    with edited(project.root / "params.yaml") as params:
        params["train"]["loss"] = "forward_kl"
    stages = project.train().stages
    assert [name for name in stages if not name.startswith("train")] == ["mix"]
    assert "train@direct" in stages
    header, row = project.mix("direct")[:2]
    assert header["teacher"] == project.model("build/teacher")
    assert "teacher" not in row, "no strategy asked for the answers, so it reads the same prompt"


def told(text: str) -> dict[str, Any]:
    """As OpenAI's protocol tells them; the tiny model's tokens are bytes."""
    return {
        "content": [
            {
                "token": chr(byte), "bytes": [byte], "logprob": math.log(0.5),
                "top_logprobs": [
                    {"token": letter, "bytes": [ord(letter)], "logprob": math.log(chance)}
                    for letter, chance in ((chr(byte), 0.5), ("~", 0.25))
                ],
            }
            for byte in text.encode()
        ]
    }  # fmt: skip


def test_a_run_on_recorded_probabilities(project: Local, teacher: Teacher) -> None:
    teacher.logprobs = told
    with edited(project.root / "params.yaml") as params:
        params["teacher"] = {
            "engine": "openai", "model": "says-yes", "base_url": teacher.url, "top_logprobs": 2,
        }  # fmt: skip
        params["curate"] = {"filter": "none"}
        params["train"]["loss"] = "sft"
        params["runs"]["distilled"]["train"] = {"loss": "forward_kl", "epochs": 4}
    done = project.train()
    assert teacher.bodies[0]["top_logprobs"] == 2
    header, *rows = project.mix("distilled")
    assert "teacher" not in header
    assert all(
        row["logprobs"][0] == ["I", math.log(0.5), [["I", math.log(0.5)], ["~", math.log(0.25)]]]
        for row in rows
    )
    tokens = sum(len(row["completion"]) + 1 for row in rows)
    said = re.search(
        r"^train distilled: the teacher's probabilities of (\d+) of (\d+) ", done.output, re.M
    )
    assert said
    assert int(said[2]) == tokens
    assert len(HEAD) * len(rows) <= int(said[1]) < tokens
    losses = project.losses("distilled")
    assert losses[-1] < losses[0]
    assert "logprobs" not in project.mix("imitating")[1]


def test_probabilities_of_another_vocabulary_are_refused(project: Local, teacher: Teacher) -> None:
    words = [{"token": word, "bytes": list(word.encode()), "logprob": -0.1, "top_logprobs": []}
             for word in ("I", " looked")]  # fmt: skip
    teacher.logprobs = lambda text: {"content": words}
    with edited(project.root / "params.yaml") as params:
        params["teacher"]["model"] = "other"
    assert re.search(
        r"^build/student: E742 1 recorded tokens are none of the student's, such as ' looked' in "
        r"coin_flip/train/\d+/0: the teacher has another tokenizer$",
        project.refused("train@distilled"), re.M,
    )  # fmt: skip


def test_a_loss_that_cannot_be_had_stops_before_anything_runs(project: Local) -> None:
    with edited(project.root / "params.yaml") as params:
        params["runs"]["distilled"]["train"]["on_policy"] = 0.5
    assert "E510 only a local teacher can score what the student writes" in (project.refused("mix"))
