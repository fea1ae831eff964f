"""What must cost nothing and what must cost only the difference, counted at a real server.

One DVC repository with a task from a file; the tests run in the order of this file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import Copy, Repro, Teacher, edited

pytestmark = pytest.mark.pipeline

ROWS = 6
STRATEGIES = ["step_by_step", "zero_shot_cot"]
DATA = "data/sums.jsonl"
SUITE = "sums"
TASK = f"specs/tasks/{SUITE}/sums.yaml"
CALLS = 3  # of a sample: one call of the first strategy and two of the second


def row(number: int) -> dict[str, str]:
    return {"question": f"What is {number} and {number}?", "answer": str(2 * number)}


class Sums(Copy):
    """The project with one task of sums, and the tiny model as student."""

    def __init__(self, root: Path, student: Path, url: str) -> None:
        self.url = url
        super().__init__(root, student)

    def _shrink(self, student: Path) -> None:
        shutil.rmtree(self.root / "specs/tasks")
        (self.root / TASK).parent.mkdir(parents=True)
        task = {
            "spec": 1, "id": "sums", "title": "Sums", "data": {"source": {}, "splits": {
                "test": {"from": "test"}, "valid": {"from": "valid"}, "probe": {"from": "probe"},
                "train": {"from": "train"}}},
            "row": {"question": {"get": "question"}, "gold": {"get": "answer"}},
            "answer": {"type": "number", "extract": [{"after": "The answer is"}]},
            "strategies": STRATEGIES,
            "examples": [{"completion": "The answer is 4.", "answer": "4"}],
        }  # fmt: skip
        (self.root / TASK).write_text(json.dumps(task), encoding="utf-8")
        self.write_rows(range(1, ROWS + 1))
        with edited(self.root / "params.yaml") as params:
            params["suites"], params["tasks"] = [SUITE], None
            params["student"] = {"model": str(student)}
            params["probe"] = {"strategies": STRATEGIES, "max_tokens": 8}
            params["runs"] = {name: {"train_on": name} for name in STRATEGIES}
            params["teach"]["samples"] = 2
            params["teacher"] = {
                "engine": "openai", "model": "sums", "base_url": self.url, "temperature": 0.7,
            }  # fmt: skip

    def write_rows(self, train: Any) -> None:
        others = {"test": [901, 902], "valid": [903, 904], "probe": [905, 906]}
        numbers = {**others, "train": list(train)}
        lines = [
            json.dumps({**row(number), "split": split}) for split, part in numbers.items()
            for number in part
        ]  # fmt: skip
        path = self.root / DATA
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with edited(self.root / TASK) as task:
            task["data"]["source"] = {
                "file": DATA, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }  # fmt: skip


class Asked:
    """Bodies that a repro made the teacher see, besides what it ran."""

    def __init__(self, repro: Repro, bodies: list[dict[str, Any]]) -> None:
        self.repro, self.bodies = repro, bodies

    def by(self, *names: str) -> Counter[Any]:
        return Counter(tuple(kind(body)[name] for name in names) for body in self.bodies)


def kind(body: dict[str, Any]) -> dict[str, Any]:
    """Which call of which strategy a body is, and of which row."""
    system = body["messages"][0]["content"] if body["messages"][0]["role"] == "system" else ""
    user = body["messages"][-1]["content"]
    call = "step_by_step" if system else "reason"
    if "Therefore" in user or "In short" in user:
        call = "answer"
    found = re.search(r"What is (\d+) and", user)
    assert found
    return {"call": call, "row": int(found[1]), "sample": body.get("seed")}


def reply(body: dict[str, Any]) -> tuple[str, str]:
    """Right, but cut short in row 2 below 600 tokens."""
    what = kind(body)
    if what["call"] == "answer":
        return f"{2 * what['row']}.", "stop"
    if what["row"] == 2 and what["call"] == "step_by_step" and body["max_tokens"] < 600:
        return "It is a long way to", "length"
    return f"Twice {what['row']} it is. The answer is {2 * what['row']}.", "stop"


@pytest.fixture(scope="module")
def teacher() -> Iterator[Teacher]:
    made = Teacher()
    made.reply = reply
    yield made
    made.stop()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path, teacher: Teacher) -> Sums:
    return Sums(tmp_path_factory.mktemp("sums") / "tutelage", tiny, teacher.url)


def repro(project: Copy, teacher: Teacher, *arguments: str) -> Asked:
    before = len(teacher.bodies)
    done = project.repro(*(arguments or (f"curate@{SUITE}",)))
    assert "teach@sums" in done.stages or not teacher.bodies[before:]
    return Asked(done, teacher.bodies[before:])


def test_each_call_of_each_sample_once(project: Sums, teacher: Teacher) -> None:
    first = repro(project, teacher)
    assert first.by("call", "sample") == {
        (call, sample): ROWS for call in ("step_by_step", "reason", "answer") for sample in (0, 1)
    }
    rationales = (project.root / "build/rationales/sums.jsonl").read_text().splitlines()
    lines = (json.loads(line) for line in rationales)
    one = next(line for line in lines if line["strategy"] == "zero_shot_cot")
    assert one["completion"] == "Twice 1 it is. The answer is 2.\nThe answer is 2."
    assert [call.get("text") for call in one["calls"]] == ["Twice 1 it is. The answer is 2.", "2."]
    kept = (project.root / "build/curated/sums.jsonl").read_text().splitlines()
    assert len(kept) == 2 * 2 * ROWS - 2  # row 2 was cut short under one strategy


def test_again_costs_nothing(project: Sums, teacher: Teacher) -> None:
    assert repro(project, teacher, "--force", "--single-item", "teach@sums").bodies == []


def test_a_new_verifier_costs_nothing(project: Sums, teacher: Teacher) -> None:
    with edited(project.root / TASK) as task:
        task["answer"]["extract"].append({"last": "number"})
    done = repro(project, teacher)
    assert (done.bodies, "curate@sums" in done.repro.stages) == ([], True)


def test_reordered_rows_cost_nothing(project: Sums, teacher: Teacher) -> None:
    project.write_rows([5, 3, 1, 6, 4, 2])
    done = repro(project, teacher)
    assert (done.bodies, "teach@sums" in done.repro.stages) == ([], True)


def test_a_new_student_template_costs_nothing(project: Sums, teacher: Teacher) -> None:
    path = project.root / "templates/student/rationale_then_answer.j2"
    path.write_text("So: " + path.read_text(encoding="utf-8"), encoding="utf-8")
    done = repro(project, teacher, "mix")
    assert (done.bodies, "mix" in done.repro.stages) == ([], True)


def test_appended_rows_cost_themselves(project: Sums, teacher: Teacher) -> None:
    project.write_rows([5, 3, 1, 6, 4, 2, 7, 8, 9])
    done = repro(project, teacher)
    assert done.by("row") == {(number,): 2 * CALLS for number in (7, 8, 9)}


def test_three_more_samples_cost_three_a_row(project: Sums, teacher: Teacher) -> None:
    with edited(project.root / "params.yaml") as params:
        params["teach"]["samples"] = 5
    done = repro(project, teacher)
    assert done.by("row") == {(number,): 3 * CALLS for number in range(1, 10)}
    assert {sample for _, sample in done.by("row", "sample")} == {2, 3, 4}


def test_a_raised_limit_costs_what_was_cut_short(project: Sums, teacher: Teacher) -> None:
    with edited(project.root / "specs/strategies/step_by_step.yaml") as strategy:
        strategy["calls"][0]["max_tokens"] = 700
    done = repro(project, teacher)
    assert done.by("call", "row", "sample") == {("step_by_step", 2, s): 1 for s in range(5)}


def test_a_changed_system_message_costs_its_strategy(project: Sums, teacher: Teacher) -> None:
    path = project.root / "templates/strategies/step_by_step.system.j2"
    path.write_text("Mind this. " + path.read_text(encoding="utf-8"), encoding="utf-8")
    done = repro(project, teacher)
    assert done.by("call") == {("step_by_step",): 9 * 5}


def test_a_changed_second_call_costs_second_calls(project: Sums, teacher: Teacher) -> None:
    path = project.root / "templates/strategies/zero_shot_cot.answer.j2"
    text = path.read_text(encoding="utf-8").replace("Therefore, the answer is", "In short:")
    path.write_text(text, encoding="utf-8")
    done = repro(project, teacher)
    assert done.by("call") == {("answer",): 9 * 5}


def test_another_url_costs_nothing_under_one_identity(project: Sums, teacher: Teacher) -> None:
    with edited(project.root / "params.yaml") as params:
        params["teach"]["samples"] = 1
        params["teacher"]["identity"] = "our sums"
    assert len(repro(project, teacher).bodies) == 9 * CALLS  # undeclared, it was another teacher
    moved = teacher.url.replace("127.0.0.1", "localhost")
    with edited(project.root / "params.yaml") as params:
        params["teacher"]["base_url"] = moved
    assert repro(project, teacher).bodies == []
    with edited(project.root / "params.yaml") as params:
        del params["teacher"]["identity"]
    assert len(repro(project, teacher).bodies) == 9 * CALLS


def test_sampling_ends_early(project: Sums, teacher: Teacher) -> None:
    with edited(project.root / "params.yaml") as params:
        params["teach"] = {"samples": 5, "enough": 2, "give_up": 1}
        params["teacher"]["identity"] = "our stopper"
    done = repro(project, teacher)
    assert done.by("row") == {(number,): 2 * CALLS for number in range(1, 10)}
    wrong = {(number,): 2 * CALLS for number in range(1, 10)} | {(4,): CALLS}
    with edited(project.root / "params.yaml") as params:
        params["teacher"]["identity"] = "our stopper, wrong about 4"
    teacher.reply = lambda body: ("?", "stop") if kind(body)["row"] == 4 else reply(body)
    assert repro(project, teacher).by("row") == wrong
    teacher.reply = reply


def test_after_a_pull_it_costs_nothing_elsewhere(
    project: Sums, teacher: Teacher, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project.repro()
    folder = tmp_path_factory.mktemp("colleague")
    project.dvc("remote", "add", "--default", "shared", str(folder / "remote"))
    project.git("add", "--all")
    project.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "results")
    project.dvc("push", "--quiet")
    clone = folder / "tutelage"
    subprocess.run(["git", "clone", "--quiet", project.root, clone], check=True)
    project.root, mine = clone, project.root
    try:
        project.dvc("pull", "--quiet")
        assert repro(project, teacher, "report").repro.stages == []
        assert not (clone / ".cache/responses").exists()
        # one row more is paid for, and the rest comes from what was pulled
        project.write_rows([5, 3, 1, 6, 4, 2, 7, 8, 9, 10])
        done = repro(project, teacher)
        assert done.by("row") == {(10,): 2 * CALLS}
        assert "of them from the last output" in done.repro.output
    finally:
        project.root = mine


def test_a_key_is_found_nowhere(project: Sums, teacher: Teacher) -> None:
    key = "sk-planted-0123456789abcdef"
    project.environment["SUMS_KEY"] = key
    with edited(project.root / "params.yaml") as params:
        params["teacher"] |= {"key_env": "SUMS_KEY", "identity": "our leaky sums"}
        params["runtime"]["concurrency"] = 1
    teacher.leaks = 3
    done = repro(project, teacher)
    lines = (project.root / "build/rationales/sums.jsonl").read_text(encoding="utf-8").splitlines()
    refused = [json.loads(line)["error"] for line in lines if "Refused" in line]
    assert refused == ["HTTP 400: Refused: Bearer [key]"] * 3
    assert done.repro.output in project.said
    teacher.leaks = 100  # all of them, so that the run ends with the message
    with edited(project.root / "params.yaml") as params:
        params["teacher"]["identity"] = "our broken sums"
    failed = project.run(sys.executable, "-m", "dvc", "repro", "curate@sums", check=False)
    teacher.leaks = 0
    assert failed.returncode
    assert "E605 the server refused each of the first 16 requests" in failed.stdout + failed.stderr
    assert key not in project.said
    files = [path for path in project.root.parent.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert [path for path in files if key.encode() in path.read_bytes()] == []
