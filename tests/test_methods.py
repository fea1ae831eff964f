"""Every method by name, in a real DVC repository with a tiny random model.

The tests share one copy and run in the order of this file.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages.spec.methods import METHODS
from tests.pipeline import STRATEGIES, TAKES, Copy, Teacher, edited
from tests.tiny import save_tiny

pytestmark = pytest.mark.pipeline

TASKS = ("coin_flip", "last_letter")
MEASURED = ("zero_shot_cot", "few_shot_cot", "orca2_unerased", "text")
ASKED = "zero_shot_cot"
EXEMPLARS = [{"question": "Is it so?", "rationale": "It is.", "answer": "yes"}]


@pytest.fixture(scope="module")
def teacher() -> Iterator[Teacher]:
    made = Teacher()
    made.reply = reply
    yield made
    made.stop()


def reply(body: dict[str, Any]) -> tuple[str, str]:
    """Spells right only where it is told to explain, so that this is the teacher's best."""
    text = json.dumps(body["messages"])
    names = text.partition("Take the last letters")[2].split('\\"')
    letters = " ".join(word[-1] for word in names[1].split()) if len(names) > 1 else ""
    if letters and "explain" not in text.casefold():
        letters = "q q q q"
    answer = letters or "yes"
    return f"I looked at every word of it. The answer is {answer}.", "stop"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path, teacher: Teacher) -> Copy:
    copy = Copy(tmp_path_factory.mktemp("methods") / "tutelage", tiny)
    copy.name_endpoint(teacher.url)
    shutil.rmtree(copy.root / "specs/tasks/objects")
    for name in TASKS:
        with edited(copy.root / f"specs/tasks/symbolic/{name}.yaml") as task:
            task["strategies"] = [*STRATEGIES, ASKED, "few_shot_cot"]
            task["exemplars"] = EXEMPLARS
    with edited(copy.root / "params.yaml") as params:
        params["suites"] = ["symbolic"]
        params["teach"] = {"samples": 1, "ranked_rows": 8}
        params["runs"] = {name: {"method": name} for name in METHODS}
        params["runs"]["text"] = {"train_on": "explain_then_answer", "format": "text"}
        params["runs"]["answers_text"] = {
            "method": "fine_tune", "format": "text", "tasks": ["coin_flip"],
        }  # fmt: skip
        params["train"]["epochs"] = 1
    return copy


def rows(project: Copy, name: str) -> list[dict[str, Any]]:
    text = (project.root / "build" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.rstrip("\n").split("\n")]


def test_every_method_has_its_training_rows_and_those_that_differ_are_measured(
    project: Copy,
) -> None:
    project.repro("mix", *(f"evaluate@{run}" for run in MEASURED))
    assert {path.stem for path in (project.root / "build/mix").iterdir()} == {
        *METHODS, "text", "answers_text"
    }  # fmt: skip
    for run in MEASURED:
        scores = json.loads((project.root / f"build/evaluations/{run}/scores.json").read_text())
        assert set(scores) == {*TASKS, "macro"}, run
        assert all(scores[task]["n"] == TAKES["test"] for task in TASKS)


def test_untrained_runs_are_the_student_as_it_came(project: Copy) -> None:
    student = project.model("build/student")
    for run in ("zero_shot_cot", "few_shot_cot"):
        assert project.model(f"build/checkpoints/{run}") == student
        assert rows(project, f"mix/{run}.jsonl")[1:] == []
    [chain, shown] = [
        rows(project, f"evaluations/{run}/predictions.jsonl")[0]
        for run in ("zero_shot_cot", "few_shot_cot")
    ]
    assert chain["completion"] != shown["completion"]
    test = rows(project, "compiled/runs/few_shot_cot/test.jsonl")[0]
    assert test["prompts"]["few_shot_cot"]["messages"][0]["content"].startswith("Q: Is it so?\n")


def test_the_two_calls_of_zero_shot_cot_are_both_asked(project: Copy) -> None:
    calls = json.loads((project.root / "build/compiled/runs/zero_shot_cot/calls.json").read_text())
    assert [len(call) for call in calls["calls"].values()] == [2]
    done = rows(project, "evaluations/zero_shot_cot/predictions.jsonl")
    cut = [row for row in done if row["finish_reason"] == "length"]
    assert cut  # by the limit, and asked for the answer all the same
    assert all("\nThe answer is " in row["completion"] for row in cut)


def test_erased_and_kept_prompts(project: Copy) -> None:
    erased = rows(project, "mix/orca2.jsonl")
    kept = rows(project, "mix/orca2_unerased.jsonl")
    assert erased[0]["strategies"] == kept[0]["strategies"] == dict.fromkeys(TASKS, "step_by_step")
    assert 0 < len(erased) - 1 < TAKES["train"]  # the teacher says yes to every coin
    for plain, told in zip(erased[1:], kept[1:], strict=True):
        assert plain["completion"] == told["completion"]
        assert plain["messages"][0]["content"] == "You are a helpful assistant."
        assert "step by step" in told["messages"][0]["content"]
        assert plain["messages"][1] == told["messages"][1]
    test = rows(project, "compiled/runs/orca2_unerased/test.jsonl")[0]
    assert set(test["prompts"]) == set(STRATEGIES)


def test_the_teachers_best_is_another_than_the_students(project: Copy) -> None:
    ranked = json.loads((project.root / "build/ranked/symbolic.json").read_text(encoding="utf-8"))
    assert {task: choice["strategy"] for task, choice in ranked.items()} == {
        "coin_flip": "step_by_step", "last_letter": "explain_then_answer"
    }  # fmt: skip
    evidence = {item["strategy"]: item for item in ranked["last_letter"]["evidence"]}
    assert evidence["explain_then_answer"]["correct"] == evidence["explain_then_answer"]["n"] == 8
    assert evidence["direct"]["correct"] == 0
    mixed = rows(project, "mix/teacher_best.jsonl")
    assert mixed[0]["strategies"] == {
        "coin_flip": "step_by_step", "last_letter": "explain_then_answer"
    }  # fmt: skip
    assert Counter(row["strategy"] for row in mixed[1:])["explain_then_answer"] == TAKES["train"]


def test_the_text_format_has_no_turns(project: Copy) -> None:
    first = rows(project, "mix/text.jsonl")[1]
    train = {row["id"]: row for row in rows(project, "compiled/suites/symbolic/train.jsonl")}
    question = train[first["id"].removesuffix("/0")]["question"]
    assert first["messages"] == [{"role": "user", "content": f"{question} ###"}]
    assert first["completion"].startswith(" I looked at every word of it. --> ")
    assert first["completion"].endswith(" END")
    plain = rows(project, "mix/answers_text.jsonl")[1]
    assert plain["completion"] in (" yes END", " no END")
    tasks = json.loads((project.root / "build/compiled/runs/text/tasks.json").read_text())
    assert tasks["coin_flip"]["answer"]["extract"][0] == {"after": "-->"}
    assert tasks["coin_flip"]["answer"]["stop"] == " END"


def test_nothing_was_bought_twice_and_nothing_runs_again(project: Copy, teacher: Teacher) -> None:
    assert set(Counter(teacher.asked).values()) == {1}
    asked = len(teacher.asked)
    assert project.repro("mix").stages == []
    # ranking alone bought what no run trains on; without the store, the output still holds it
    shutil.rmtree(project.root / ".cache")
    with edited(project.root / "params.yaml") as params:
        params["select"]["tie"] = 0.1
    project.repro("mix")
    assert len(teacher.asked) == asked


def test_a_student_without_a_chat_template_learns_in_the_text_format(
    project: Copy, tmp_path: Path
) -> None:
    base = save_tiny(tmp_path / "base", template=None)
    with edited(project.root / "params.yaml") as params:
        params["student"] = {"model": str(base)}
        params["runs"] = {"text": {"train_on": "explain_then_answer", "format": "text"}}
    project.repro("evaluate@text")
    assert len(rows(project, "evaluations/text/predictions.jsonl")) == 2 * TAKES["test"]
    with edited(project.root / "params.yaml") as params:
        params["runs"] = {"chat": {"train_on": "explain_then_answer"}}
    done = project.run("dvc", "repro", "train@chat", check=False)
    assert done.returncode
    assert "E702 this model's tokenizer has no chat template\n" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
