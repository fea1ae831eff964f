"""Real DVC repositories of the shipped project, cut down to a tiny random model.

The tests share one copy and run in the order of this file, each from where the last one stopped;
a second copy is killed again and again meanwhile.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from stages.engines.local import LocalEngine

pytestmark = pytest.mark.pipeline

ROOT = Path(__file__).parents[1]
TAKES = {"train": 12, "probe": 12, "valid": 4, "test": 24}
STRATEGIES = ["direct", "step_by_step", "explain_then_answer"]
RUNS = {
    "zero_shot": {"train_on": "nothing", "suites": ["objects"]},
    "selected": {"train_on": "selected"},
}
TASKS = {"symbolic": ["coin_flip", "last_letter"], "objects": ["tracking_shuffled_objects"]}
RUN_TASKS = {
    run: [task for suite in kind.get("suites", TASKS) for task in TASKS[suite]]
    for run, kind in RUNS.items()
}
RATIONALE = "I looked at every word of it."
RUNNING = re.compile(r"^Running stage '([^']+)':$", re.MULTILINE)


class Teacher:
    """Says yes to everything, and keeps what it was asked; `gate` calls, then it hangs."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate: int | None = None
        self.open = threading.Event()
        lock = threading.Lock()
        teacher = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    teacher.asked.append(json.dumps(body["messages"]))
                    hang = teacher.gate is not None and len(teacher.asked) > teacher.gate
                if hang:
                    teacher.open.wait(60)
                text = f"{RATIONALE} The answer is yes."
                reply = {
                    "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 50, "completion_tokens": 12},
                }
                data = json.dumps(reply).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True  # whoever asked was killed

            def log_message(self, *values: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass
class Repro:
    """What one `dvc repro` ran, and said."""

    stages: list[str]
    output: str

    def counts(self, stage: str) -> tuple[int, int]:
        """How many answers `stage` generated, or asked for, and how many it held."""
        found = re.search(
            rf"^{stage}: \d+ \w+, (\d+) (?:generated|asked for), (\d+) held", self.output, re.M
        )
        assert found, self.output
        return int(found[1]), int(found[2])


class Copy:
    """The project in a folder of its own, as a fresh clone has it."""

    def __init__(self, root: Path, student: Path) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        for name in listed:
            if name.split("/")[0] in ("tests", "build") or name == "dvc.lock":
                continue
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        self.environment = {
            name: value for name, value in os.environ.items()
            # bytecode is to be written, to show that it re-runs nothing
            if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "DVC_ROOT", "OPENAI_API_KEY")
        } | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_SITE_CACHE_DIR": str(root.parent / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(root.parent / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(root.parent / "system"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self._shrink(student)
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "t")

    def _shrink(self, student: Path) -> None:
        tasks = self.root / "specs/tasks"
        (tasks / "objects").mkdir()
        name = "tracking_shuffled_objects.yaml"
        (tasks / "symbolic" / name).rename(tasks / "objects" / name)
        for path in tasks.glob("*/*.yaml"):
            with edited(path) as task:
                for split, take in TAKES.items():
                    task["data"]["splits"][split]["take"] = take
        with edited(self.root / "params.yaml") as params:
            params["suites"] = list(TASKS)
            params["tasks"] = None  # what is left when the line under it is removed
            params["student"] = {"model": str(student)}
            params["probe"] = {"strategies": STRATEGIES, "max_tokens": 16}
            params["runs"] = RUNS
            params["train"].update(
                seed=1, epochs=6, batch_size=4, learning_rate=0.01, max_length=2048, evaluations=2
            )
            params["evaluate"]["max_tokens"] = 24
            params["runtime"]["concurrency"] = 4

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments).stdout

    def repro(self, *arguments: str) -> Repro:
        output = self.dvc("repro", *arguments)
        return Repro(RUNNING.findall(output), output)

    def kill(self, stage: str, middle: Callable[[], bool], *, whole: bool = True) -> str:
        """Run until `middle` of `stage`, then kill -9 DVC with its children, or the stage alone."""
        log = self.root.parent / f"{stage}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro"],
                cwd=self.root, env=self.environment, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip
            try:
                wait(lambda: stage in RUNNING.findall(log.read_text()), process)
                wait(middle, process)
            finally:
                if whole:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    for child in psutil.Process(process.pid).children(recursive=True):
                        child.kill()
                process.wait(60)
        assert process.returncode
        return log.read_text()

    def rows(self) -> Counter[str]:
        """Completions in the store, by model."""
        path = self.root / ".cache/responses/responses.sqlite3"
        if not path.is_file():
            return Counter()
        with closing(sqlite3.connect(path, timeout=30)) as database:
            try:
                found = database.execute("SELECT model, COUNT(*) FROM completions GROUP BY model")
                return Counter(dict(found.fetchall()))
            except sqlite3.OperationalError:
                return Counter()  # the table is about to be made

    def model(self, folder: str | Path) -> str:
        """The name under which the store knows a checkpoint."""
        return LocalEngine(self.root / folder).model

    def results(self) -> dict[str, bytes]:
        # not rationales, whose request keys name the server, another one for each copy
        folders = ("probe", "selected", "curated", "yield", "mix", "training", "evaluations")
        files = [path for name in folders for path in (self.root / "build" / name).rglob("*.json*")]
        kept = [*files, self.root / "build/metrics.json", self.root / "build/manifest.json"]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in kept}

    def name_endpoint(self, url: str) -> None:
        """The README's three lines."""
        path = self.root / "params.yaml"
        before = path.read_text(encoding="utf-8")
        head, mark, teacher = before.partition("\nteacher:\n")
        for old, new in (
            ("engine: recorded", "engine: openai"),
            ("model: null", "model: says-yes"),
            ("base_url: null", f"base_url: {url}"),
        ):
            teacher = re.sub(rf"(?m)^  {old}$", f"  {new}", teacher, count=1)
        after = head + mark + teacher
        path.write_text(after, encoding="utf-8")
        assert sum(map(str.__ne__, before.splitlines(), after.splitlines())) == 3


class edited:
    """A YAML file's data, written back when the block ends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        self.data = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        return self.data

    def __exit__(self, *error: object) -> None:
        text = yaml.safe_dump(json.loads(json.dumps(self.data)), sort_keys=False, width=1000)
        self.path.write_text(text, encoding="utf-8")


def wait(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, "DVC ended before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def each(stage: str) -> set[str]:
    names = TASKS if stage in ("probe", "select", "teach", "curate") else RUNS
    return {f"{stage}@{name}" for name in names}


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
    copy = Copy(tmp_path_factory.mktemp("second") / "tutelage", tiny)
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(kill_at_every_slow_stage, copy)


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, bytes]:
    """The first copy's results under the HTTP teacher, filled in on the way."""
    return {}


def test_from_nothing(project: Copy) -> None:
    first = project.repro()
    assert sorted(first.stages) == sorted(
        {"student", "compile", "mix", "report"}.union(
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
    assert {f"{kind}/{name}" for name in RUNS for kind in ("loss", "valid")} == {
        re.sub(r".*build/training/(\w+)/(\w+)\.json", r"\2/\1", plot) for plot in plots["data"]
    }
    changed = project.git("status", "--porcelain", "--untracked-files=all").splitlines()
    assert changed == ["?? build/manifest.json", "?? build/metrics.json", "?? dvc.lock"]


def test_again_runs_nothing(project: Copy) -> None:
    assert list(project.root.glob("stages/__pycache__/*.pyc"))
    assert project.repro().stages == []


def test_three_lines_put_an_endpoint_in_the_teachers_place(
    project: Copy, teacher: Teacher, uninterrupted: dict[str, bytes]
) -> None:
    project.name_endpoint(teacher.url)
    done = project.repro()
    assert set(done.stages) == {
        "compile", *each("teach"), *each("curate"), "mix", "train@selected",
        "evaluate@selected", "report",
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
    counts, *dropped = map(json.loads, lines)
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
        "compile", "probe@symbolic", "select@symbolic", "teach@symbolic", "curate@symbolic", "mix",
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

    checkpoint = copy.root / "build/checkpoints/selected/model.safetensors"
    log = copy.kill("train@selected", checkpoint.is_file)
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

    copy.kill("evaluate@selected", answering, whole=False)
    held = copy.rows()[copy.model(trained)]
    assert 0 < held < 3 * TAKES["test"]

    done = copy.repro()
    assert set(done.stages) == {"evaluate@selected", "report"}
    assert done.counts("evaluate selected") == (3 * TAKES["test"] - held, held)
    assert Counter(teacher.asked) == calls
    assert copy.repro().stages == []
    return copy.results()
