"""Runs that end before all is answered."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from stages.core.errors import UserError, user_error
from stages.engines import flow, outcomes
from stages.engines.fulfil import fulfil, single
from stages.engines.request import Completion, Request
from stages.engines.store import Store
from stages.engines.terms import Purse
from tests.engines.teacher_server import FREE, Teacher, asks, chat, engine, failed, held, run


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("a bug")])
def test_answers_outlive_a_progress_that_cannot_be_told(
    teacher: Teacher, store: Store, error: Exception
) -> None:
    def broken(done: int, total: int, tokens: int = 0, note: str = "") -> None:
        raise error

    teacher.latency = lambda in_flight: 0.1
    to = engine(teacher)
    to.purse = Purse(store, FREE, None)
    with pytest.raises(type(error)):
        fulfil(map(single, asks(100)), 100, to, store, broken)
    assert held(store) == teacher.calls >= 8


def test_answers_outlive_a_terminal_that_is_closed(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that says that a server fails cannot be printed."""

    def closed(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(outcomes, "say", closed)
    monkeypatch.setattr(flow, "FIRST_PAUSE", 0.05)
    teacher.reply = lambda n, body: chat() if n <= 30 or n > 60 else failed(500, "boom")
    teacher.latency = lambda in_flight: 0.02
    with pytest.raises(BrokenPipeError):
        run(store, engine(teacher), asks(200))
    assert held(store) >= 30


def test_a_store_that_cannot_be_read_stops_the_run_in_order(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs are looked up by 500; the second look fails with 32 answers under way."""
    get, looks = Store.get_many, 0

    def broken(to: Store, requests: Sequence[Request]) -> list[Completion | None]:
        nonlocal looks
        looks += 1
        if looks > 2:
            monkeypatch.setattr(Store, "get_many", get)
            raise user_error("s", "E602", "the store cannot be read")
        return get(to, requests)

    monkeypatch.setattr(Store, "get_many", broken)
    teacher.latency = lambda in_flight: 0.05
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher), asks(600))
    assert str(caught.value) == "s: E602 the store cannot be read"
    assert held(store) == teacher.calls == 500


def test_a_run_on_another_thread(teacher: Teacher, tmp_path: Path) -> None:
    """Where no signal can be caught."""
    counts: list[int] = []

    def work() -> None:
        with Store(tmp_path / "s") as store:
            counts.append(run(store, engine(teacher), asks(40)).generated)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert counts == [40]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_keeps_what_is_under_way(
    teacher: Teacher, store: Store, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.latency = lambda in_flight: 0.3
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop() -> None:
        while teacher.calls < 20:
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(os.getpid(), number)

    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(store, engine(teacher, concurrency=16), asks(500))
        assert signal.getsignal(signal.SIGTERM) == before[signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        stopping.join()
        signal.signal(signal.SIGINT, before[signal.SIGINT])
    assert held(store) == teacher.calls < 60
    told = capsys.readouterr().out
    assert re.sub(r"\d+ answers", "16 answers", told) == (
        "  stopping: 16 answers are under way and may be paid for; once more to leave at once\n"
    )
