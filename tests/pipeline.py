"""The shipped project in a DVC repository of its own, and a teacher that keeps what it is asked."""

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
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import yaml

from stages.engines.local import LocalEngine
from tests.projects import EMBEDDED
from tests.warm import programs

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
        self.bodies: list[dict[str, Any]] = []
        self.leaks = 0  # so many of the next calls are refused with their own headers in the reply
        self.reply: Callable[[dict[str, Any]], tuple[str, str]] = lambda body: (
            f"{RATIONALE} The answer is yes.", "stop",
        )  # fmt: skip
        self.logprobs: Callable[[str], Any] = lambda text: None
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
                    teacher.bodies.append(body)
                    hang = teacher.gate is not None and len(teacher.asked) > teacher.gate
                if hang:
                    teacher.open.wait(60)
                if leak := teacher.leaks > 0:
                    teacher.leaks -= 1
                text, finish = teacher.reply(body)
                choice = {"message": {"content": text}, "finish_reason": finish}
                if body.get("logprobs"):
                    choice["logprobs"] = teacher.logprobs(text)
                reply = {
                    "choices": [choice],
                    "usage": {"prompt_tokens": 50, "completion_tokens": 12},
                }
                if leak:
                    reply = {"error": {"message": f"Refused: {self.headers['Authorization']}"}}
                data = json.dumps(reply).encode()
                try:
                    self.send_response(400 if leak else 200)
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

    cold = False  # whether each stage loads its libraries, as a user's does

    def __init__(self, root: Path, student: Path) -> None:
        self.root = root
        self.said = ""
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        for name in listed:
            if name.split("/")[0] in ("tests", "build") or name == "dvc.lock":
                continue
            if name.startswith("specs/tasks/") and name.split("/")[2] not in EMBEDDED:
                continue
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        real = str(Path(sys.executable).parent)
        first = [real] if self.cold else [str(programs()), real]
        self.environment = {
            name: value for name, value in os.environ.items()
            # bytecode is to be written, to show that it re-runs nothing
            if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "DVC_ROOT", "OPENAI_API_KEY")
        } | {
            "PATH": os.pathsep.join([*first, os.environ["PATH"]]),
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
        engine = self.root / "stages/engines/local.py"
        code = engine.read_text(encoding="utf-8")
        assert "\nSLOTS = 128  #" in code  # few rows are to make several batches
        engine.write_text(code.replace("\nSLOTS = 128  #", "\nSLOTS = 16  #"))
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
            params["train"]["precision"] = "fp32"  # what `auto` finds is the machine's
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
        self.said += done.stdout + done.stderr
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
    deadline = time.monotonic() + 300
    while not ready():
        assert process.poll() is None, "DVC ended before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.005)
