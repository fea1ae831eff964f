"""Processes that compare formulas with math-verify and can be killed, since sympy may not return.

A worker stops by itself, by a signal that no Python code has to handle, when one comparison took
`CPU_SECONDS` of processor time: that does not depend on what else the machine does, as a clock on
the wall would, which is only the second line. Its memory is limited as well. A comparison that ends
a worker so is a no. math-verify's own time-outs, which fail off the main thread, are switched off.

Calls come from any thread; each has a worker for itself, so as many threads as cores compare at
once. The workers wait on their standard input and end with the process that started them.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

CPU_SECONDS = 2.0
"""Forty times what a comparison of honest answers takes."""
WALL_SECONDS = 60.0
START_SECONDS = 120.0
MEMORY_MIB = 2048
HELD = 65_536
"""Verdicts kept: the samples of a row repeat their answers."""

_MODULE = "stages.scoring.maths_worker"
_ROOT = Path(__file__).parents[2]
_idle: list[_Worker] = []
_lock = threading.Lock()


class _Ended(Exception):
    """The worker ended; `limited` when it was ended for what it was asked."""

    def __init__(self, limited: bool) -> None:
        super().__init__(limited)
        self.limited = limited


def same(kind: str, answer: Sequence[str], gold: Sequence[str]) -> bool:
    """Whether math-verify finds two formulas equal within the limits.

    Args:
        kind: ``value``, ``relation``, or ``equation``, whose two sides are given each.
        answer: LaTeX, without delimiters.
        gold: Likewise.

    Raises:
        ModuleNotFoundError: math-verify is not installed.
        RuntimeError: No worker starts.
    """
    return _asked(json.dumps([kind, list(answer), list(gold)]))


@lru_cache(maxsize=HELD)
def _asked(line: str) -> bool:
    for _ in range(2):
        worker = _taken()
        try:
            verdict = worker.ask(line)
        except _Ended as error:
            worker.end()
            if error.limited:
                return False
            continue  # it was ended from outside, which says nothing about the answer
        except BaseException:
            worker.end()
            raise
        with _lock:
            _idle.append(worker)
        return verdict
    return False


def _taken() -> _Worker:
    with _lock:
        if _idle:
            return _idle.pop()
    return _Worker()


class _Worker:
    def __init__(self) -> None:
        if find_spec("math_verify") is None:
            raise ModuleNotFoundError(
                "answers of type maths need the package math-verify: run `make setup`"
            )
        limits = [str(CPU_SECONDS), str(MEMORY_MIB)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            # The order of sympy's sets, and so the time that it takes, follows the seed.
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        try:
            self._line(START_SECONDS)
        except BaseException as error:
            self.end()
            if isinstance(error, _Ended):
                code = self.process.returncode
                raise RuntimeError(f"{_MODULE} does not start: it ended with {code}") from None
            raise

    def ask(self, line: str) -> bool:
        """One comparison."""
        assert self.process.stdin
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise _Ended(limited=False) from None
        return self._line(WALL_SECONDS) == b"1\n"

    def end(self) -> None:
        """Kill it and wait for it."""
        self.process.kill()
        with suppress(OSError):
            self.process.communicate()

    def _line(self, seconds: float) -> bytes:
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                raise _Ended(limited=True)
        # A worker writes its whole line at once, and nothing else.
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise _Ended(limited=code in (-signal.SIGPROF, -signal.SIGSEGV, -signal.SIGABRT))
        return line


def _close() -> None:
    with _lock:
        workers, _idle[:] = list(_idle), []
    for worker in workers:
        worker.end()


def _forget() -> None:
    """A forked child shares its parent's pipes and must not talk on them."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


atexit.register(_close)
os.register_at_fork(after_in_child=_forget)
