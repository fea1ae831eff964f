"""Several servers, and how much each of them is asked."""

from __future__ import annotations

import time

import pytest

from stages.engines.store import Store
from tests.engines.teacher_server import (
    NEVER,
    Teacher,
    asks,
    chat,
    engine,
    failed,
    held,
    nobody,
    run,
)


def test_work_is_shared_by_speed(store: Store) -> None:
    with Teacher() as quick, Teacher() as slow:
        quick.latency, slow.latency = lambda many: 0.06, lambda many: 0.24
        result = run(store, engine(quick, slow, concurrency=8), asks(400))
        assert result.generated == 400
        assert quick.calls + slow.calls == 400
        assert 2.5 < quick.calls / slow.calls < 6.5, f"{quick.calls} and {slow.calls}"
        assert not {*quick.questions()} & {*slow.questions()}


@pytest.mark.parametrize("dead", ["refuses", "silent", "errors"])
def test_one_of_two_servers_is_enough(
    teacher: Teacher, store: Store, dead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.latency = lambda in_flight: 0.01
    with Teacher() as other:
        other.reply = lambda n, body: NEVER if dead == "silent" else failed(500, "boom")
        url = nobody() if dead == "refuses" else other.url
        start = time.monotonic()
        to = engine(url, teacher, concurrency=8, timeout=0.5)
        result = run(store, to, asks(400))
        assert result.generated == held(store) == 400
        assert time.monotonic() - start < 8
        assert other.calls <= 24
        assert teacher.calls == 400
    why = {
        "refuses": "Connection refused",
        "silent": "no answer within 0.5 s",
        "errors": "HTTP 500: boom",
    }
    told = f"  {url} fails ({why[dead]}); asking it again now and then\n"
    assert capsys.readouterr().out == told


def test_the_window_grows_to_the_ceiling(teacher: Teacher, store: Store) -> None:
    teacher.latency = lambda in_flight: 0.03
    run(store, engine(teacher), asks(400))
    assert teacher.peak == 32
    first = [at for at in teacher.times if at < teacher.times[0] + 0.025]
    assert len(first) <= 8, "before a server's pace is known it is asked for little"


def test_what_was_learnt_of_a_server_holds_for_the_next_run(teacher: Teacher, store: Store) -> None:
    teacher.latency = lambda in_flight: 0.2
    to = engine(teacher)
    run(store, to, asks(200))
    # all at once, where a server that is not known is asked for eight until the first answer
    teacher.latency, teacher.peak = lambda in_flight: 2.0, 0
    run(store, to, asks(32, start=1000))
    assert teacher.peak == 32


def test_the_window_settles_below_a_load_that_makes_a_server_slow(
    teacher: Teacher, store: Store
) -> None:
    teacher.latency = lambda in_flight: 0.05 if in_flight <= 8 else 0.5
    to = engine(teacher)
    run(store, to, asks(200))
    teacher.peak = 0
    start = time.monotonic()
    run(store, to, asks(200, start=200))
    assert teacher.peak <= 14
    print(f"peak {teacher.peak}, 200 requests in {time.monotonic() - start:.1f} s")


@pytest.mark.usefixtures("hasty", "impatient")
@pytest.mark.parametrize("fault", ["busy", "error", "silence"])
def test_the_window_shrinks_where_too_much_fails(
    teacher: Teacher, store: Store, fault: str
) -> None:
    fails = {"busy": failed(429, "slow down"), "error": failed(500, "boom"), "silence": NEVER}
    teacher.reply = lambda n, body: fails[fault] if teacher.in_flight > 8 else chat()
    teacher.latency = lambda in_flight: 0.02
    to = engine(teacher, timeout=0.3, retries=40)
    run(store, to, asks(200))
    before, teacher.peak = teacher.calls, 0
    run(store, to, asks(200, start=200))
    assert teacher.peak <= 24
    assert teacher.calls - before < 200 + 120
    print(f"peak {teacher.peak}, {teacher.calls - before} calls for 200")
