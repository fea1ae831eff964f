"""Real DVC repositories of the shipped project, cut down to a tiny random model.

The tests share one copy and run in the order of this file, each from where the last one stopped;
a second copy is killed again and again meanwhile.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.pipeline import (
    RATIONALE,
    RUN_TASKS,
    RUNS,
    STRATEGIES,
    TAKES,
    TASKS,
    Copy,
    Teacher,
    edited,
)

pytestmark = pytest.mark.pipeline


def each(stage: str) -> set[str]:
    names = TASKS if stage in ("probe", "select", "teach", "curate") else RUNS
    return {f"{stage}@{name}" for name in names}


class Cold(Copy):
    cold = True


@pytest.fixture(scope="module")
def teacher() -> Iterator[Teacher]:
    made = Teacher()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Copy:
    return Copy(tmp_path_factory.mktemp("first") / "tutelage", tiny)


@pytest.fixture(scope="module", autouse=True)
def killed(
    tmp_path_factory: pytest.TempPathFactory, tiny: Path
) -> Iterator[Future[dict[str, bytes]]]:
    copy = Cold(tmp_path_factory.mktemp("second") / "tutelage", tiny)
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(kill_at_every_slow_stage, copy)


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, bytes]:
    """The first copy's results under the HTTP teacher, filled in on the way."""
    return {}


def test_from_nothing(project: Copy) -> None:
    first = project.repro()
    assert sorted(first.stages) == sorted(
        {"student", "teacher", "compile", "mix", "report"}.union(
            *map(each, ("probe", "select", "teach", "curate", "train", "evaluate"))
        )
    )
    metrics = json.loads((project.root / "build/metrics.json").read_text(encoding="utf-8"))
    assert metrics.keys() == RUNS.keys()
    for run, scores in metrics.items():
        assert scores.keys() == {*RUN_TASKS[run], "macro"}
        for task, score in scores.items():
            assert {"accuracy", "ci_low", "ci_high", "n"} <= score.keys()
            assert 0 <= score["ci_low"] <= score["accuracy"] <= score["ci_high"] <= 1
            assert score["n"] == TAKES["test"] * (len(RUN_TASKS[run]) if task == "macro" else 1)
    # Training changed what is said, else equal bytes later on would say little.
    said = {
        run: (project.root / f"build/evaluations/{run}/predictions.jsonl").read_text()
        for run in RUNS
    }
    assert len(set(said.values())) == len(RUNS)

    shown = json.loads(project.dvc("metrics", "show", "--json"))
    assert shown[""]["data"]["build/metrics.json"]["data"] == metrics
    plots = json.loads(project.dvc("plots", "show", "--json", "-o", "../plots"))
    curves = {f"{kind}/{name}" for name in RUNS for kind in ("loss", "valid")}
    assert curves | {"accuracy", "answers", "yield"} == {
        re.sub(r".*build/(?:training/(\w+)/(\w+)|plots/(\w+))\.json",
               lambda found: found[3] or f"{found[2]}/{found[1]}", plot)
        for plot in plots["data"]
    }  # fmt: skip
    changed = project.git("status", "--porcelain", "--untracked-files=all").splitlines()
    assert changed == ["?? build/manifest.json", "?? build/metrics.json", "?? dvc.lock"]


def test_again_runs_nothing(project: Copy) -> None:
    assert list(project.root.glob("stages/__pycache__/*.pyc"))
    assert project.repro().stages == []
    why = project.run(sys.executable, "-m", "stages.why").stdout
    assert why == "why: every stage is up to date; nothing would run\n"


def test_each_result_has_its_chain(project: Copy) -> None:
    for row in ("coin_flip/train/0", "coin_flip/test/0"):
        told = project.run(sys.executable, "-m", "stages.trace", "--row", row, "--format", "json")
        chain = json.loads(told.stdout)
        assert {link["link"] for link in chain} >= {
            "spec", "templates", "decision", "row", "requests", "verdicts", "training rows",
            "checkpoint", "metric", "commits",
        }  # fmt: skip
        hashes = [link["md5"] for link in chain if "md5" in link]
        assert hashes and all(hashes)
    (link,) = [link for link in chain if link["link"] == "answers"]
    key = link["answers"][0]["key"]
    told = project.run(sys.executable, "-m", "stages.trace", "--key", key[:20], "--format", "json")
    assert json.loads(told.stdout)[0]["row"] == "coin_flip/test/0"
    shown = project.run(sys.executable, "-m", "stages.show", "coin_flip", "train/0").stdout
    assert "prompt as sent: teacher, step_by_step" in shown


def test_three_lines_put_an_endpoint_in_the_teachers_place(
    project: Copy, teacher: Teacher, uninterrupted: dict[str, bytes]
) -> None:
    project.name_endpoint(teacher.url)
    why = project.run(sys.executable, "-m", "stages.why", "--format", "json").stdout
    done = project.repro()
    told = json.loads(why)
    causes = {stage["stage"]: [cause["name"] for cause in stage["causes"]]
              for stage in told["stages"]}  # fmt: skip
    assert {name for name, found in causes.items() if found} <= set(done.stages) <= causes.keys()
    keys = ["teacher.base_url", "teacher.engine", "teacher.model"]
    assert sorted(causes["teach@symbolic"]) == keys
    assert told["costs"]["teaching"]["requests"] == len(teacher.asked)
    assert set(done.stages) == {
        "teacher", "compile", *each("probe"), *each("teach"), *each("curate"), "mix",
        "train@selected", "evaluate@selected", "report",
    }  # fmt: skip
    selected = {
        suite: json.loads((project.root / f"build/selected/{suite}.json").read_text())
        for suite in TASKS
    }
    assert {task["strategy"] for tasks in selected.values() for task in tasks.values()} == {
        "step_by_step"
    }
    assert len(teacher.asked) == 3 * TAKES["train"]
    assert set(Counter(teacher.asked).values()) == {1}
    assert done.counts("teach symbolic") == (2 * TAKES["train"], 0)

    lines = (project.root / "build/yield/symbolic.jsonl").read_text(encoding="utf-8").splitlines()
    header, *dropped = map(json.loads, lines)
    counts = header["counts"]
    coins = counts["coin_flip"]["step_by_step"]
    assert coins.keys() == {"kept", "wrong answer"}
    assert sum(coins.values()) == TAKES["train"]
    assert counts["last_letter"] == {"step_by_step": {"wrong answer": TAKES["train"]}}
    assert len(dropped) == 2 * TAKES["train"] - coins["kept"]
    assert all(item["completion"] == f"{RATIONALE} The answer is yes." for item in dropped)
    assert {(item["reason"], item["answer"]) for item in dropped} == {("wrong answer", "yes")}
    uninterrupted.update(project.results())

    again = project.repro("--force", "--single-item", "teach@symbolic")
    assert again.stages == ["teach@symbolic"]
    assert again.counts("teach symbolic") == (0, 2 * TAKES["train"])
    assert len(teacher.asked) == 3 * TAKES["train"]
    assert project.repro().stages == []


def test_no_key_for_a_server_elsewhere(project: Copy) -> None:
    path = project.root / "params.yaml"
    kept = path.read_bytes()
    with edited(path) as params:
        params["teacher"]["base_url"] = "https://api.example.com/v1"
    done = project.run(sys.executable, "-m", "stages.teach", "symbolic", check=False)
    path.write_bytes(kept)
    assert done.returncode == 2
    assert done.stderr == (
        "environment: E604 the environment variable OPENAI_API_KEY, which holds the key for "
        "https://api.example.com/v1, is not set\n"
        "    hint: export OPENAI_API_KEY=… in the shell that runs `dvc repro`\n"
    )


def test_a_comment_in_a_task_runs_compile_alone(project: Copy) -> None:
    path = project.root / "specs/tasks/symbolic/coin_flip.yaml"
    path.write_text("# A comment.\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert project.repro().stages == ["compile"]


def test_an_edited_task_costs_its_own_requests_alone(project: Copy, teacher: Teacher) -> None:
    rows, asked = project.rows(), len(teacher.asked)
    student = project.model("build/student")
    with edited(project.root / "specs/tasks/symbolic/coin_flip.yaml") as task:
        task["row"]["question"] = {"render": "{{ row.question }} Answer yes or no."}
    done = project.repro()
    assert set(done.stages) == {
        "compile", "probe@symbolic", "select@symbolic", "teach@symbolic", *each("curate"), "mix",
        "train@selected", "evaluate@selected", "report",
    }  # fmt: skip
    probed = len(STRATEGIES) * TAKES["probe"]
    assert done.counts("probe symbolic") == (probed, probed)
    assert done.counts("teach symbolic") == (TAKES["train"], TAKES["train"])
    assert done.counts("evaluate selected") == (3 * TAKES["test"], 0)
    assert project.rows() - rows == {
        student: probed,
        "says-yes": TAKES["train"],
        project.model("build/checkpoints/selected"): 3 * TAKES["test"],
    }
    new = teacher.asked[asked:]
    assert len(new) == TAKES["train"]
    assert all("Answer yes or no." in messages for messages in new)


def test_other_training_settings_train_and_evaluate_again(project: Copy, teacher: Teacher) -> None:
    asked, student = len(teacher.asked), project.model("build/student")
    rows = project.rows()
    with edited(project.root / "params.yaml") as params:
        params["train"]["learning_rate"] = 0.02
    done = project.repro()
    # the run that trains on nothing comes out the same, so it is not evaluated again
    assert set(done.stages) == {"train@zero_shot", "train@selected", "evaluate@selected", "report"}
    assert done.counts("evaluate selected") == (3 * TAKES["test"], 0)
    assert (project.rows()[student], len(teacher.asked)) == (rows[student], asked)


def test_runtime_settings_run_nothing(project: Copy) -> None:
    with edited(project.root / "params.yaml") as params:
        params["runtime"].update(concurrency=3, timeout=60, retries=2)
    assert project.repro().stages == []


def test_a_new_training_text_generates_nothing(project: Copy, teacher: Teacher) -> None:
    rows, asked = project.rows(), len(teacher.asked)
    path = project.root / "templates/student/rationale_then_answer.j2"
    path.write_text("Well. " + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert project.repro("mix").stages == ["compile", "mix"]
    assert (project.rows(), len(teacher.asked)) == (rows, asked)
    assert "Well. " + RATIONALE in (project.root / "build/mix/selected.jsonl").read_text()


def test_a_new_verifier_generates_nothing(project: Copy, teacher: Teacher) -> None:
    rows, asked = project.rows(), len(teacher.asked)
    with edited(project.root / "specs/tasks/symbolic/coin_flip.yaml") as task:
        task["answer"]["extract"].insert(0, {"after": "So the answer is"})
    done = project.repro("mix")
    assert set(done.stages) == {
        "compile", "select@symbolic", "teach@symbolic", "curate@symbolic", "mix"
    }  # fmt: skip
    assert done.counts("teach symbolic") == (0, 2 * TAKES["train"])
    assert (project.rows(), len(teacher.asked)) == (rows, asked)


def test_other_filters_generate_nothing(project: Copy, teacher: Teacher) -> None:
    rows, asked = project.rows(), len(teacher.asked)
    before = (project.root / "params.yaml").read_bytes()
    with edited(project.root / "params.yaml") as params:
        params["curate"] = {"filter": "none", "near_duplicates": 0.9, "max_tokens": 400}
    assert set(project.repro("mix").stages) == {*each("curate"), "mix"}
    kept = (project.root / "build/curated/symbolic.jsonl").read_text(encoding="utf-8").splitlines()
    # the teacher says one thing, so one rationale of each task is left, with its own answer
    assert [(line["task"], line["answer"]) for line in map(json.loads, kept)] == [
        ("coin_flip", "yes"), ("last_letter", "y e s"),
    ]  # fmt: skip
    (project.root / "params.yaml").write_bytes(before)
    project.repro("mix")
    assert (project.rows(), len(teacher.asked)) == (rows, asked)


def test_more_runs_cost_their_own_requests_alone(project: Copy, teacher: Teacher) -> None:
    asked = len(teacher.asked)
    with edited(project.root / "params.yaml") as params:
        params["runs"]["explained"] = {"train_on": "explain_then_answer", "suites": ["symbolic"]}
        params["runs"]["direct"] = {"train_on": "answers"}
    done = project.repro("mix")
    assert done.counts("teach symbolic") == (2 * TAKES["train"], 2 * TAKES["train"])
    assert len(teacher.asked) - asked == 2 * TAKES["train"]
    assert set(Counter(teacher.asked).values()) == {1}
    lines = (project.root / "build/mix/direct.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 3 * TAKES["train"]
    assert all(json.loads(line)["strategy"] == "answers" for line in lines[1:])


def test_a_strategys_own_words_cost_its_own_answers_alone(project: Copy, teacher: Teacher) -> None:
    asked = len(teacher.asked)
    path = project.root / "templates/strategies/explain_then_answer.system.j2"
    path.write_text("Take care. " + path.read_text(encoding="utf-8"), encoding="utf-8")
    done = project.repro("mix")
    assert done.counts("probe symbolic") == (2 * TAKES["probe"], 4 * TAKES["probe"])
    assert done.counts("probe objects") == (TAKES["probe"], 2 * TAKES["probe"])
    assert done.counts("teach symbolic") == (2 * TAKES["train"], 2 * TAKES["train"])
    assert done.counts("teach objects") == (0, TAKES["train"])
    assert len(teacher.asked) - asked == 2 * TAKES["train"]
    assert set(Counter(teacher.asked).values()) == {1}


def test_killed_at_every_slow_stage_it_ends_with_the_same_bytes(
    killed: Future[dict[str, bytes]], uninterrupted: dict[str, bytes]
) -> None:
    assert uninterrupted
    assert killed.result() == uninterrupted


def kill_at_every_slow_stage(copy: Copy) -> dict[str, bytes]:
    """The results of a copy whose stages were killed, once nothing was found to be repeated."""
    teacher = Teacher()
    try:
        return _kill_at_every_slow_stage(copy, teacher)
    finally:
        teacher.stop()


def _kill_at_every_slow_stage(copy: Copy, teacher: Teacher) -> dict[str, bytes]:
    copy.name_endpoint(teacher.url)

    copy.kill("probe@symbolic", lambda: copy.rows().total() > 0)
    probed = copy.rows().total()
    total = 2 * len(STRATEGIES) * TAKES["probe"]
    assert 0 < probed < total

    teacher.gate = 5
    log = copy.kill("teach@symbolic", lambda: copy.rows()["says-yes"] == 5)
    assert f"probe symbolic: {total} answers, {total - probed} generated, {probed} held" in log
    answered = teacher.asked[:5]
    in_flight = len(teacher.asked) - 5
    assert in_flight <= 4
    teacher.gate = None
    teacher.open.set()

    with edited(copy.root / "params.yaml") as params:
        params["runtime"]["checkpoint"] = 0  # one after each step; re-runs nothing
    unfinished = copy.root / ".cache/unfinished"
    log = copy.kill("train@selected", lambda: len(list(unfinished.glob("*/*/progress.json"))) > 0)
    assert not (copy.root / "build/training/selected/valid.json").exists()
    wanted = 2 * TAKES["train"]
    assert f"teach symbolic: {wanted} rationales, {wanted - 5} asked for, 5 held" in log
    calls = Counter(teacher.asked)
    assert [calls[messages] for messages in answered] == [1] * 5
    assert calls.total() == 3 * TAKES["train"] + in_flight

    trained = copy.root / "build/checkpoints/selected"
    before = Counter[str]()

    def answering() -> bool:
        if not before:
            before.update(copy.rows())
        return copy.rows().total() > before.total()

    log = copy.kill("evaluate@selected", answering, whole=False)
    assert re.search(r"^train selected: goes on from step [1-9]", log, re.M)
    assert list(unfinished.iterdir()) == []
    held = copy.rows()[copy.model(trained)]
    assert 0 < held < 3 * TAKES["test"]

    done = copy.repro()
    assert set(done.stages) == {"evaluate@selected", "report"}
    assert done.counts("evaluate selected") == (3 * TAKES["test"] - held, held)
    assert Counter(teacher.asked) == calls
    assert copy.repro().stages == []
    return copy.results()
