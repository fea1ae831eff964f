from __future__ import annotations

import itertools

import pytest

from stages.engines.limits import Limits, expected_tokens
from stages.engines.request import Request
from stages.engines.store import Store
from tests.engines.teacher_server import Teacher, asks, chat, engine, failed, run


def ask(characters: int, limit: int) -> Request:
    return Request("e", "m", (("user", "x" * characters),), limit)


def sent(limits: Limits, requests: list[Request]) -> list[float]:
    """When each goes out, if each does so as soon as it may."""
    now, times = 100.0, list[float]()
    for request in requests:
        for _ in range(5):  # a wait that is a little short is followed by a short one
            wait = limits.wait(request, now)
            now += wait
            if not wait:
                break
        limits.take(request, now)
        times.append(now)
    return times


def most_in(seconds: float, times: list[float], costs: list[float]) -> float:
    """The largest sum of costs in any period so long, whenever it begins."""
    most = inside = 0.0
    first = 0
    for at, cost in zip(times, costs, strict=True):
        inside += cost
        while at - times[first] > seconds - 1e-6:
            inside -= costs[first]
            first += 1
        most = max(most, inside)
    return most


@pytest.mark.parametrize("limit", [0.5, 3, 60, 600, 5000])
def test_no_minute_sees_more_requests_than_allowed(limit: float) -> None:
    count = int(limit * 2.5) + 3
    times = sent(Limits(limit, None), [ask(10, 5)] * count)
    assert most_in(60.0, times, [1.0] * count) <= max(limit, 1)
    # and the limit is used: at 5000 by all but the second's worth that may go out at once
    assert (count - 1) / (times[-1] - times[0]) * 60 > 0.97 * limit
    assert most_in(1.0, times, [1.0] * count) <= 2 * limit / 60 + 1


def test_no_minute_sees_more_tokens_than_allowed() -> None:
    requests = [ask(40 * (at % 7), 10 + at % 30) for at in range(1000)]
    costs = [float(expected_tokens(request)) for request in requests]
    assert (min(costs), max(costs)) == (14, 103)
    times = sent(Limits(None, 6600), requests)
    assert 0.95 * 6600 < most_in(60.0, times, costs) <= 6600


def test_a_request_larger_than_its_share_waits_and_is_waited_for() -> None:
    limits = Limits(None, 600.0)
    small, large = ask(0, 6), ask(0, 96)
    assert (expected_tokens(small), expected_tokens(large)) == (10, 100)
    times = sent(limits, [small, large, small, large])
    rate = (600 - 10 + 1) / 60
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps == [
        pytest.approx(10 / rate),
        pytest.approx(100 / rate),
        pytest.approx(10 / rate),
    ]


def test_both_limits_hold() -> None:
    times = sent(Limits(60, 6000), [ask(0, 6)] * 4 + [ask(0, 596)] * 2 + [ask(0, 6)])
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps == [pytest.approx(wait, abs=0.2) for wait in [1, 1, 1, 1, 6.1, 5.2]]


def test_no_limits() -> None:
    assert Limits(None, None).wait(ask(10**6, 10**6), 0.0) == 0.0


def test_a_server_is_asked_no_faster_than_allowed(teacher: Teacher, store: Store) -> None:
    to = engine(teacher, requests_per_minute=1800)
    run(store, to, asks(90))
    assert teacher.calls == 90
    # 30 at once, the others 30 a second
    assert teacher.times[-1] - teacher.times[0] > 60 / 30 - 0.1
    assert most_in(1.0, teacher.times, [1.0] * 90) <= 30 + 30


@pytest.mark.usefixtures("impatient")
def test_failed_attempts_count_against_the_limit(teacher: Teacher, store: Store) -> None:
    teacher.reply = lambda n, body: failed(500, "boom") if n % 2 else chat()
    to = engine(teacher, requests_per_minute=1200, retries=80)
    run(store, to, asks(40))
    assert teacher.calls == 80
    assert teacher.times[-1] - teacher.times[0] > 60 / 20 - 0.1


def test_tokens_are_kept_with_requests_larger_than_a_share(teacher: Teacher, store: Store) -> None:
    tokens = expected_tokens(asks(1)[0])
    to = engine(teacher, tokens_per_minute=60 * 20 * tokens)  # twenty requests a second
    large = asks(2, start=100, max_tokens=30 * tokens)
    run(store, to, asks(20) + large)
    assert teacher.calls == 22
    costs = [
        float(tokens if body["max_tokens"] == 64 else tokens - 64 + 30 * tokens)
        for body in teacher.bodies
    ]
    span = teacher.times[-1] - teacher.times[0]
    # all but what came last, and a bucketful, has leaked away
    assert span >= (sum(costs) - costs[-1] - 20 * tokens) / (20 * tokens) - 0.1
