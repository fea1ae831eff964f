"""Runs that can be killed: ``python -m tests.engines.nursery URL STORE COUNT …``.

The modules are imported once. Each line on stdin begets a child that makes the run and tells on
stdout, a line each, how many rows progress has acknowledged; ``pid`` comes before and ``end``, with
how it ended, after.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path

from stages.core.errors import UserError
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse
from tests.engines.helpers import answer
from tests.engines.teacher_server import asks

ROOT = Path(__file__).parents[2]


def make(url: str, path: str, count: str, concurrency: str, price: str) -> None:
    flow = Flow(concurrency=int(concurrency), outage=30)
    engine = OpenAIEngine("teacher", [url], identity="ours", flow=flow)
    with Store(Path(path)) as store:
        cost = Price(0.0, float(price), "stated")
        engine.purse = Purse(store, cost, 1e6)
        answer(asks(int(count)), engine, store, told)


def told(done: int, total: int, tokens: int = 0, note: str = "") -> None:
    os.write(1, f"{done}\n".encode())  # whole lines, however the child ends


def main() -> None:
    import aiohttp  # noqa: F401 - imported by the engine only once it asks

    # a test run in the background ignores Ctrl-C, and children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                make(*sys.argv[1:])
                status = 0
            except UserError as error:
                os.write(1, f"{error}\n".encode())
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        os.write(1, f"pid {child}\n".encode())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(1, f"end {status}\n".encode())


class Nursery:
    """The other end of such a process. A context manager."""

    def __init__(
        self, url: str, store: Path, count: int, concurrency: int = 32, price: float = 0.0
    ) -> None:
        arguments = [url, str(store), str(count), str(concurrency), str(price)]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.engines.nursery", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.told = list[str]()
        self.done = 0
        self.pid = 0
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *of: object) -> None:
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        self.process.stderr.close()

    def beget(self) -> None:
        """Start a run; `pid` is its process, `done` what it acknowledged so far."""
        assert self.process.stdin
        self.told, self.done = [], 0
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.pid = int(self.read().removeprefix("pid "))

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid, how)

    def read(self, seconds: float = 30.0) -> str:
        """The next line."""
        line = self._lines.get(timeout=seconds)
        if line.isdigit():
            self.done = int(line)
        else:
            self.told.append(line)
        return line

    def until(self, done: int) -> None:
        """Wait for so many rows to be acknowledged."""
        while self.done < done:
            self.read()

    def end(self, seconds: float = 30.0) -> int:
        """Wait for the run to end; its exit status."""
        while not (line := self.read(seconds)).startswith("end "):
            pass
        return int(line.removeprefix("end "))

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))


if __name__ == "__main__":
    main()
