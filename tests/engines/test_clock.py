"""Clocks that jump, here and at the server."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator

import pytest

from stages.engines import reply
from stages.engines.store import Store
from tests.engines.teacher_server import Teacher, asks, chat, engine, failed, run


class Clock:
    """A clock that is set back and forth by hours."""

    def __init__(self) -> None:
        self.real, self.looks = time.time, 0

    def __call__(self) -> float:
        self.looks += 1
        return self.real() + 3600 * (self.looks * 7 % 11 - 5)


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(time, "time", Clock())
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("jumping")
def test_a_clock_that_jumps_changes_nothing(teacher: Teacher, store: Store) -> None:
    teacher.latency = lambda in_flight: 0.02
    teacher.reply = lambda n, body: (
        failed(429, "slow down", Retry_After="0.1") if n % 40 == 0 else chat()
    )
    assert time.time() != pytest.approx(time.time(), abs=1800)
    start = time.monotonic()
    result = run(store, engine(teacher, requests_per_minute=30_000), asks(300))
    assert result.generated == 300
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_server_whose_clock_is_wrong_is_waited_for_no_longer_than_the_longest(
    teacher: Teacher, store: Store, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "LONGEST_WAIT", 0.7)
    date = email.utils.formatdate(time.time() + 3600 * hours, usegmt=True)
    teacher.reply = lambda n, body: failed(429, "slow down", Retry_After=date) if n == 1 else chat()
    start = time.monotonic()
    assert run(store, engine(teacher), asks(50)).generated == 50
    assert (0.7 if hours > 0 else 0) <= time.monotonic() - start < 4
