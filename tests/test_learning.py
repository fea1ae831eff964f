"""The probe that lets the student learn, in a real DVC repository with a teacher behind HTTP.

The tests share one copy and run in the order of this file.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import STRATEGIES, TAKES, Copy, Teacher, edited

pytestmark = pytest.mark.pipeline

SUITE, ROWS = "symbolic", 5
LEARN = {
    "mode": "finetune", "rows": ROWS, "epochs": 1, "rank": 4, "seed": 1, "max_tokens": 60,
}  # fmt: skip
CHAIN = ["compile", f"probe@{SUITE}", f"select@{SUITE}", f"teach@{SUITE}"]


def reply(body: dict[str, Any]) -> tuple[str, str]:
    """Right, but for one question when it is asked to answer directly."""
    system, user = (message["content"] for message in body["messages"])
    answer = "no" if user.count("flips the coin") % 2 else "yes"
    if "directly" in system:
        if user.startswith(wrong):
            answer = {"yes": "no", "no": "yes"}[answer]
        return f"The answer is {answer}.", "stop"
    # the same words under two strategies would be one adapter
    return f"{system.split()[0]} of all I count. The answer is {answer}.", "stop"


wrong = ""


@pytest.fixture(scope="module")
def teacher() -> Iterator[Teacher]:
    made = Teacher()
    made.reply = reply
    yield made
    made.stop()


class Coins(Copy):
    """One task, whose strategy is selected, and nothing is trained but adapters."""

    def _shrink(self, student: Path) -> None:
        super()._shrink(student)
        with edited(self.root / "params.yaml") as params:
            params["suites"], params["tasks"] = [SUITE], {SUITE: ["coin_flip"]}
            params["runs"] = {"selected": {"train_on": "selected"}}

    def learn(self, **changed: Any) -> None:
        with edited(self.root / "params.yaml") as params:
            params["probe"] |= {**LEARN, **changed}

    def adapters(self) -> Counter[str]:
        """Answers in the store, by adapter."""
        found = self.rows()
        return Counter({name: n for name, n in found.items() if name.startswith("adapter:")})

    def selected(self) -> dict[str, Any]:
        text = (self.root / f"build/selected/{SUITE}.json").read_text(encoding="utf-8")
        return dict(json.loads(text)["coin_flip"])

    def probed(self) -> bytes:
        return (self.root / f"build/probe/{SUITE}.jsonl").read_bytes()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path, teacher: Teacher) -> Coins:
    made = Coins(tmp_path_factory.mktemp("coins") / "tutelage", tiny)
    made.name_endpoint(teacher.url)
    return made


def test_another_mode_runs_what_depends_on_it(project: Coins, teacher: Teacher) -> None:
    global wrong
    project.repro(f"teach@{SUITE}")
    assert project.selected()["mode"] == "prompt"
    assert len(teacher.asked) == TAKES["train"]  # under the fallback
    rows = (project.root / f"build/compiled/suites/{SUITE}/train.jsonl").read_text().splitlines()
    wrong = json.loads(rows[1])["question"]

    project.learn()
    log = project.kill(f"probe@{SUITE}", lambda: bool(project.adapters()))
    assert f"teach {SUITE}: {len(STRATEGIES) * ROWS} of {len(STRATEGIES) * ROWS} rationales" in log
    done = project.repro(f"teach@{SUITE}")
    assert done.stages == CHAIN[1:]  # DVC had compiled before it was killed
    total = len(STRATEGIES) * TAKES["probe"]
    generated, held = done.counts(f"probe {SUITE}")
    assert generated + held == total
    assert held >= TAKES["probe"]  # what the first adapter answered
    assert set(project.adapters().values()) == {TAKES["probe"]}
    assert len(project.adapters()) == len(STRATEGIES)
    # the probe bought two strategies more, a few rows of each, and nothing twice
    assert len(teacher.asked) == TAKES["train"] + 2 * ROWS
    assert set(Counter(teacher.asked).values()) == {1}
    assert done.counts(f"teach {SUITE}") == (0, TAKES["train"])
    assert project.repro(f"teach@{SUITE}").stages == []


def test_the_evidence(project: Coins) -> None:
    chosen = project.selected()
    assert (chosen["mode"], chosen["rows"], chosen["same_rows"]) == ("finetune", ROWS - 1, True)
    assert chosen["right"] == dict.fromkeys(STRATEGIES, ROWS) | {"direct": ROWS - 1}
    assert chosen["set_aside"] == []
    assert chosen["reason"].endswith("; after learning from 4 rows of each")
    assert [item["strategy"] for item in chosen["evidence"]] == STRATEGIES
    lines = (project.root / f"build/probe/{SUITE}.lessons.jsonl").read_text().splitlines()
    assert len(lines) == len(STRATEGIES) * ROWS


def test_held_answers_are_not_trained_for_again(project: Coins, teacher: Teacher) -> None:
    before, asked = project.probed(), len(teacher.asked)
    done = project.repro("--force", "--single-item", f"probe@{SUITE}")
    assert done.counts(f"probe {SUITE}") == (0, len(STRATEGIES) * TAKES["probe"])
    assert " steps" not in done.output
    assert (project.probed(), len(teacher.asked)) == (before, asked)


def test_the_same_bytes_elsewhere_and_uninterrupted(
    project: Coins, teacher: Teacher, tmp_path_factory: pytest.TempPathFactory, tiny: Path
) -> None:
    other = Coins(tmp_path_factory.mktemp("others") / "tutelage", tiny)
    other.name_endpoint(teacher.url)
    other.learn()
    done = other.repro(f"select@{SUITE}")
    assert done.counts(f"probe {SUITE}") == (len(STRATEGIES) * TAKES["probe"], 0)
    assert other.probed() == project.probed()


def test_the_plan_counts_what_the_probe_asks(project: Coins) -> None:
    done = project.run(sys.executable, "-m", "stages.plan", "--format", "json")
    found = {
        line["about"]: (line["held"], line["missing"], line["because"])
        for line in json.loads(done.stdout)["lines"]
    }
    because = "the probe learns from it"
    assert found == {
        f"{SUITE}/coin_flip/step_by_step": (TAKES["train"], 0, "selected"),
        f"{SUITE}/coin_flip/direct": (ROWS, 0, because),
        f"{SUITE}/coin_flip/explain_then_answer": (ROWS, 0, because),
    }
    project.learn(rows=ROWS + 2)
    done = project.run(sys.executable, "-m", "stages.plan", "--format", "json")
    missing = {line["about"]: line["missing"] for line in json.loads(done.stdout)["lines"]}
    assert sorted(missing.values()) == [0, 2, 2]
    project.learn()


def test_other_settings_train_again_and_ask_nobody(project: Coins, teacher: Teacher) -> None:
    asked, before = len(teacher.asked), project.adapters()
    project.learn(seed=2)
    done = project.repro(f"teach@{SUITE}")
    assert done.stages[:2] == CHAIN[:2]
    assert done.counts(f"probe {SUITE}") == (len(STRATEGIES) * TAKES["probe"], 0)
    added = project.adapters()
    assert len(added - before) == len(STRATEGIES)
    project.learn()
    project.repro(f"teach@{SUITE}")  # DVC has it in its run cache
    assert (project.adapters(), project.selected()["rows"]) == (added, ROWS - 1)
    assert len(teacher.asked) == asked


def test_rationales_longer_than_answers(project: Coins) -> None:
    project.learn(max_tokens=20, seed=3)
    done = project.run(sys.executable, "-m", "stages.probe", SUITE, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("params.yaml: E714 the student is to learn rationales of up to ")
    assert "Traceback" not in done.stderr
