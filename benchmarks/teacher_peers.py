"""Requests a second of other clients against one server: python -m benchmarks.teacher_peers URL.

    python -m benchmarks.latency_server --latency 0.5 --port 8000 &
    python -m benchmarks.teacher_peers http://127.0.0.1:8000 --requests 4096 --in-flight 256

Peers are the OpenAI SDK in a plain loop, over httpx and over aiohttp, in this interpreter, and
curator and distilabel in the ones that ``CURATOR_PYTHON`` and ``DISTILABEL_PYTHON`` name (made by,
say, ``uv pip install bespokelabs-curator==0.1.31`` and ``uv pip install 'distilabel[openai]==1.5.3'
requests``). Each runs in a process of its own, which runs this very file: nothing outside of the
standard library is imported before a peer is known. Imports and a warm-up run are not timed.

Two rates are reported of each, as a pipeline that is slow to start and to write its dataset may
still keep a server busy: ``per_s`` over the seconds that the peer's own call took, and
``server_per_s`` from the first request to the last reply as the server saw them. The processor time
of a request depends less on what else the machine does than either.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

WARM_UP = 32
LONGEST = 400  # seconds for one peer; distilabel with many replicas does not always end
REPLICAS = 2  # of distilabel's step: as fast as any other number on two cores
MAX_TOKENS = 256
HIGH = 10**12  # a rate limit that no run meets
QUESTION = (
    "Think step by step, then end with: The answer is N. Person{0} picks {1} apples on each of {2} "
    "days, gives a third of them to a neighbour and sells the rest at {2} cents apiece. How many "
    "cents does Person{0} earn in all?"
)
Run = Callable[[list[str]], int]  # asks the questions and says how many were answered


def questions(count: int, start: int = 0) -> list[str]:
    return [QUESTION.format(at, at % 97 + 3, at % 11 + 2) for at in range(start, start + count)]


def openai_sdk(client: str) -> Callable[[str, int], Run]:
    """`AsyncOpenAI` over the named client of the SDK, with a semaphore around each call."""

    def prepare(url: str, in_flight: int) -> Run:
        import openai

        async def all_of(texts: list[str]) -> int:
            # the SDK's own limits but for the bound: httpx searches its pool for each request, so
            # keeping more than these 100 connections alive costs more than opening them anew
            limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
                max_connections=max(1000, in_flight), max_keepalive_connections=100
            )
            free = asyncio.Semaphore(in_flight)
            async with openai.AsyncOpenAI(
                api_key="none", base_url=f"{url}/v1", max_retries=0, timeout=120,
                http_client=getattr(openai, client)(limits=limits),
            ) as sdk:  # fmt: skip

                async def ask(text: str) -> bool:
                    async with free:
                        found = await sdk.chat.completions.create(
                            model="m",
                            messages=[{"role": "user", "content": text}],
                            max_tokens=MAX_TOKENS,
                            temperature=0,
                        )
                    return bool(found.choices[0].message.content)

                return sum(await asyncio.gather(*map(ask, texts)))

        return lambda texts: asyncio.run(all_of(texts))

    return prepare


def curator(url: str, in_flight: int) -> Run:
    """`curator.LLM` with its limits out of the way, its cache off and its telemetry too."""
    # its token counts need a vocabulary that is downloaded, which litellm brings along
    found = importlib.util.find_spec("litellm")
    assert found and found.origin
    vocabulary = Path(found.origin).parent / "litellm_core_utils/tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(vocabulary))
    os.environ |= {"TELEMETRY_ENABLED": "false", "CURATOR_DISABLE_CACHE": "true"}
    from bespokelabs import curator

    llm = curator.LLM(
        model_name="m",
        backend="openai",
        generation_params={"max_tokens": MAX_TOKENS, "temperature": 0},
        backend_params={
            "base_url": f"{url}/v1",
            "api_key": "none",
            "max_concurrent_requests": in_flight,
            "max_requests_per_minute": HIGH,
            "max_tokens_per_minute": HIGH,
            "max_retries": 1,
        },
    )

    def run(texts: list[str]) -> int:
        # each call adds a log file, and the warm-up's would be written on
        log = logging.getLogger("curator.bespokelabs.curator.log")
        for handler in list(log.handlers):
            log.removeHandler(handler)
        return len(llm(texts, working_dir=tempfile.mkdtemp()).dataset)

    return run


def distilabel(url: str, in_flight: int) -> Run:
    """A `Pipeline` of one `TextGeneration`, whose replicas share what may be in flight."""
    from distilabel.models.llms import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts, StepResources
    from distilabel.steps.tasks import TextGeneration

    batch = max(1, in_flight // REPLICAS)

    def run(texts: list[str]) -> int:
        with Pipeline(name="peer", cache_dir=tempfile.mkdtemp()) as pipeline:
            # a loader is asked for more only when a step has run dry, so it hands over all at once
            load = LoadDataFromDicts(
                data=[{"instruction": text} for text in texts], batch_size=len(texts)
            )
            llm = OpenAILLM(
                model="m", base_url=f"{url}/v1", api_key="none", max_retries=0,
                generation_kwargs={"max_new_tokens": MAX_TOKENS, "temperature": 0.0},
            )  # fmt: skip
            load >> TextGeneration(
                llm=llm, input_batch_size=batch, resources=StepResources(replicas=REPLICAS)
            )
        rows = pipeline.run(use_cache=False)["default"]["train"]
        return sum(bool(text) for text in rows["generation"])

    return run


PEERS: dict[str, tuple[str, Callable[[str, int], Run]]] = {
    "openai_httpx": ("", openai_sdk("DefaultAsyncHttpxClient")),
    "openai_aiohttp": ("", openai_sdk("DefaultAioHttpClient")),
    "curator": ("CURATOR_PYTHON", curator),
    "distilabel": ("DISTILABEL_PYTHON", distilabel),
}


def counted(url: str, path: str = "count") -> dict[str, Any]:
    """What the server counted; ``reset`` starts it anew."""
    with urlopen(f"{url}/{path}") as answer:
        counts: dict[str, Any] = json.load(answer)
    return counts


def timed(run: Run, url: str, count: int) -> dict[str, Any]:
    """Figures of one run after a warm-up; every question must be answered."""
    run(questions(WARM_UP, start=10_000_000))
    counted(url, "reset")
    cpu, start = sum(os.times()[:4]), time.perf_counter()
    answered = run(questions(count))
    spent, cpu = time.perf_counter() - start, sum(os.times()[:4]) - cpu
    if answered != count:
        raise RuntimeError(f"{answered} answers to {count} questions")
    return figures(count, spent, cpu, counted(url))


def figures(count: int, spent: float, cpu: float, seen: dict[str, Any]) -> dict[str, Any]:
    """From wall and processor seconds, and what the server saw: one request for each question."""
    if seen["requests"] != count:
        raise RuntimeError(f"{count} questions, but the server saw {seen}")
    return {
        "per_s": round(count / spent, 1),
        "server_per_s": round(count / seen["span_s"], 1),
        "cpu_ms_per_request": round(1000 * cpu / count, 2),
        "in_flight_peak": seen["in_flight_peak"],
    }


def peer(name: str, url: str, count: int, in_flight: int) -> dict[str, Any] | str:
    """Figures of one peer from its own interpreter, or why there are none."""
    variable = PEERS[name][0]
    python = shutil.which(os.environ.get(variable, "") if variable else sys.executable)
    if not python:
        return f"not installed: {variable} names no interpreter"
    command = [python, __file__, url, "--here", name]
    command += ["--requests", str(count), "--in-flight", str(in_flight)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # what peers cache, log and track goes with the folder
        env = {**os.environ, "HOME": home, "TMPDIR": home, "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen(
            command, env=env, cwd=home, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            return f"no end within {LONGEST} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        return f"failed: {(err.strip() or out.strip())[-400:]}"
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="of the server, without /v1")
    parser.add_argument("--requests", type=int, default=4096)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--only", choices=PEERS, help="this peer alone")
    parser.add_argument("--here", choices=PEERS, help="this peer alone, in this interpreter")
    options = parser.parse_args()
    job = (options.url, options.requests, options.in_flight)
    if options.here:
        run = PEERS[options.here][1](options.url, options.in_flight)
        print(json.dumps(timed(run, options.url, options.requests)))
    else:
        names = [options.only] if options.only else list(PEERS)
        print(json.dumps({name: peer(name, *job) for name in names}))


if __name__ == "__main__":
    main()
