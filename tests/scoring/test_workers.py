"""The processes that compare formulas: what hangs or explodes costs one verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from stages.scoring import workers
from stages.scoring.verify import verify

HOSTILE = [
    "9^{9^{9^{9}}}",
    "9^{9^{9^{8}}} + 1",
    "1000000!!",
    "\\int_0^1 \\frac{\\sin(x^x)}{\\log(x) + e^{x^{x}}} dx",
    "\\sqrt{" * 60 + "x" + "}" * 60,
    "(" * 120 + "x" + ")" * 120,
    "\\frac{1}{1+" * 40 + "x" + "}" * 40,
    "x^" * 200 + "x",
]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    workers._asked.cache_clear()
    yield
    workers._asked.cache_clear()


@pytest.mark.parametrize("text", HOSTILE)
def test_what_hangs_sympy_is_wrong_within_the_limit(text: str) -> None:
    verify("x+x", "2x", "maths")  # a worker is ready
    start = time.perf_counter()
    assert not verify(text, "x + 31", "maths")
    # The limit is of processor time: on a busy machine it takes longer by the clock.
    assert time.perf_counter() - start < 15 * workers.CPU_SECONDS
    assert verify("x+x+1", "2x+1", "maths")


def test_a_worker_is_ended_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CPU_SECONDS", 0.3)
    workers._close()
    assert not verify("9^{9^{9^{9}}}", "x + 31", "maths")
    assert workers._idle == []
    workers._close()


def test_what_fills_the_memory_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MEMORY_MIB", 400)
    monkeypatch.setattr(workers, "CPU_SECONDS", 30.0)
    workers._close()
    assert not verify("2^{2^{33}} + x", "x", "maths")
    workers._close()


def test_a_worker_that_was_killed_between_comparisons_is_replaced() -> None:
    assert verify("x+x", "2x", "maths")
    for worker in workers._idle:
        worker.process.kill()
        worker.process.wait()
    assert verify("y+y", "2y", "maths")


def test_a_worker_that_is_killed_from_outside_costs_no_verdict() -> None:
    workers._close()
    assert verify("x+x", "2x", "maths")
    (worker,) = workers._idle
    threading.Timer(0.3, worker.process.terminate).start()
    os.kill(worker.process.pid, signal.SIGSTOP)  # it cannot answer before it is killed
    threading.Timer(0.5, os.kill, (worker.process.pid, signal.SIGCONT)).start()
    assert verify("y+y", "2y", "maths")


def test_an_interrupt_of_the_parent_is_not_an_answer() -> None:
    workers._close()
    assert verify("x+x", "2x", "maths")
    (worker,) = workers._idle
    os.kill(worker.process.pid, signal.SIGINT)
    assert verify("y+y", "2y", "maths")
    assert workers._idle == [worker]


def test_threads_compare_side_by_side() -> None:
    golds = [f"(x+{n})^2" for n in range(2, 14)]
    said = [f"x^2 + {2 * n}x + {n * n}" for n in range(2, 14)]
    with ThreadPoolExecutor(3) as pool:
        right = list(pool.map(lambda a, b: verify(a, b, "maths"), said, golds))
        wrong = list(pool.map(lambda a, b: verify(a, b, "maths"), said, golds[1:]))
    assert all(right)
    assert not any(wrong)
    assert len(workers._idle) <= 3


def test_a_repeated_answer_is_asked_once() -> None:
    assert verify("x+x+3", "2x+3", "maths")
    before = workers._asked.cache_info().misses
    assert verify("$x + x + 3$", "2x+3", "maths")
    assert workers._asked.cache_info().misses == before


def test_a_forked_child_has_workers_of_its_own() -> None:
    code = (
        "import multiprocessing\n"
        "from stages.scoring import workers\n"
        "from stages.scoring.verify import verify\n"
        "assert verify('x+x', '2x', 'maths')\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    pairs = [(f'x+x+{n}', f'2x+{n % 4}', 'maths') for n in range(8)]\n"
        "    made = pool.starmap(verify, pairs)\n"
        "assert made == [True] * 4 + [False] * 4, made\n"
        "assert verify('y+y', '2y', 'maths')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_workers_end_with_their_parent() -> None:
    code = (
        "import os, signal\n"
        "from stages.scoring import workers\n"
        "from stages.scoring.verify import verify\n"
        "assert verify('x+x', '2x', 'maths')\n"
        "print(workers._idle[0].process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    pid = int(done.stdout)
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the worker lives on")


def test_without_math_verify_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    workers._close()
    monkeypatch.setattr(workers, "find_spec", lambda _: None)
    assert verify("1/2", "0.5", "maths")
    with pytest.raises(ModuleNotFoundError, match=r"answers of type maths need .* `make setup`"):
        verify("x+x", "2x", "maths")


def test_a_worker_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    workers._close()
    monkeypatch.setattr(workers, "_MODULE", "stages.scoring.no_such_module")
    with pytest.raises(RuntimeError, match="does not start: it ended with 1"):
        verify("x+x", "2x", "maths")
