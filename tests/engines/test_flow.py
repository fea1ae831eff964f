"""The window and the breaker, under a clock that is made up."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count, pairwise

import pytest

from stages.engines import flow
from stages.engines.flow import Server

Fare = Callable[[float, int], tuple[float, str]]
"""Of an attempt that begins at a time with so many in flight: its seconds, and what it fails of."""


@pytest.fixture(autouse=True)
def plain_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow.random, "uniform", lambda low, high: 1.0)


def drive(server: Server, fare: Fare, replies: int, now: float = 0.0) -> list[tuple[float, float]]:
    """Keep the window full for so many replies; when each came, and the window then."""
    under_way: list[tuple[float, int, float, float, str]] = []
    keys, seen, server.in_flight = count(), list[tuple[float, float]](), 0
    while len(seen) < replies:
        while server.free(now) > 0:
            server.in_flight += 1
            seconds, fault = fare(now, server.in_flight)
            heapq.heappush(under_way, (now + seconds, next(keys), now, server.limit, fault))
        if not under_way:
            now = server.paused
            continue
        now, key, sent, window, fault = heapq.heappop(under_way)
        if fault:
            server.troubled(str(key), sent, now, 0.0)
        else:
            server.answered(sent, now, 100, window)
        server.in_flight -= 1
        seen.append((now, server.limit))
    return seen


def steady(now: float, in_flight: int) -> tuple[float, str]:
    return 1.0, ""


@pytest.mark.parametrize("ceiling", [1, 2, 5, 8, 32, 256])
def test_a_steady_server_gets_all_that_is_allowed(ceiling: int) -> None:
    server = Server("u", ceiling)
    drive(server, steady, 4 * ceiling + 40)
    assert server.limit == ceiling


def test_a_server_is_known_before_it_is_loaded() -> None:
    server = Server("u", 256)
    seen = drive(server, steady, 600)
    assert {limit for now, limit in seen if now < 1} == set()
    assert [limit for now, limit in seen if now == 1.0][:8] == [8.0] * 7 + [128.0]
    assert max(limit for now, limit in seen if now <= 3.0) == 256.0


@pytest.mark.parametrize("ceiling", [16, 32, 64])
def test_a_server_that_gets_slow_under_load_is_asked_less(ceiling: int) -> None:
    server = Server("u", ceiling)
    seen = drive(server, lambda now, many: (10.0 if many > 8 else 1.0, ""), 1500)
    settled = [limit for _, limit in seen[500:]]
    assert min(settled) >= 4 and max(settled) < 13
    assert sum(settled) / len(settled) < 11


def test_a_server_that_is_slow_by_itself_is_not_starved() -> None:
    server = Server("u", 32)
    drive(server, steady, 300)
    assert server.limit == 32
    seen = drive(server, lambda now, many: (10.0, ""), 1500, now=100.0)
    limits = [limit for _, limit in seen]
    assert min(limits) == 4, "the slowness could be the load's"
    at_once = [after for before, after in pairwise(limits) if before == 4 and after > 4]
    assert (at_once, limits[-1]) == ([32], 32), "it was not"


def test_a_server_that_takes_longer_but_does_more_is_left_alone() -> None:
    """As one does that works in batches: 64 take 4 times as long as 8, at twice the rate."""
    server = Server("u", 64)
    seen = drive(server, lambda now, many: ((many / 8) ** (2 / 3) if many > 8 else 1.0, ""), 600)
    limits = [limit for _, limit in seen]
    assert limits == sorted(limits)
    assert server.limit == 64


def test_few_failures_cost_little_and_many_cost_much() -> None:
    def every(nth: int) -> Fare:
        numbers = count(1)
        return lambda now, many: (1.0, "boom" if next(numbers) % nth == 0 else "")

    few, many = Server("u", 64), Server("u", 64)
    drive(few, steady, 400)
    drive(many, steady, 400)
    assert min(limit for _, limit in drive(few, every(50), 3000, now=100.0)[1000:]) > 48
    assert max(limit for _, limit in drive(many, every(2), 3000, now=100.0)[1000:]) < 12


def test_a_server_that_refuses_what_is_too_much_settles_at_what_it_takes() -> None:
    server = Server("u", 64)
    seen = drive(server, lambda now, many: (1.0, "busy" if many > 10 else ""), 3000)
    settled = [limit for _, limit in seen[1000:]]
    assert min(settled) > 5 and max(settled) < 24


def test_failures_of_one_round_count_once() -> None:
    server = Server("u", 64)
    drive(server, steady, 400)
    before = server.limit
    for key in range(8):
        server.troubled(str(key), sent=500.0, now=501.0, after=0.0)
    share = 1 - (1 - 1 / before) ** 8
    assert server.limit == pytest.approx(before * (1 - share / 2), rel=0.01)
    assert server.limit > before * 0.9


def test_the_whole_server_is_left_alone_for_as_long_as_it_asks() -> None:
    server = Server("u", 8)
    server.troubled("a", 0.0, 1.0, after=5.0)
    server.troubled("b", 0.0, 2.0, after=1.0)
    assert (server.free(5.9), server.down) == (0.0, False)
    assert server.free(6.0) > 0


def test_the_breaker_opens_after_failures_of_several_requests_in_a_row() -> None:
    server = Server("u", 8)
    for _ in range(9):
        server.troubled("the same", 0.0, 1.0, after=0.0)
    assert not server.down, "it may be the request's fault"
    for key in "abcd":
        server.troubled(key, 0.0, 2.0, after=0.0)
    assert (server.down_since, server.paused) == (2.0, 3.0)
    server.in_flight = 0
    assert server.free(2.9) == 0
    assert server.free(3.0) == 1.0
    server.in_flight = 1
    assert server.free(3.0) == 0, "one request finds out how the server is"


def test_the_breaker_waits_longer_and_longer_and_closes_at_once() -> None:
    server, now, pauses = Server("u", 32), 0.0, list[float]()
    while len(pauses) < 8:
        server.troubled("", now, now, after=0.0)
        if server.down:
            pauses.append(server.paused - now)
            now = server.paused
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert server.limit == 4
    server.answered(now, now + 1, 100, server.limit)
    assert (server.down, server.free(now + 1)) == (False, 1.0)
    for key in range(7):
        assert not server.troubled(str(key), now + 2, now + 3, after=0.0)
    assert server.troubled("last", now + 2, now + 3, after=0.0)
    assert server.paused == now + 4, "and begins anew"


def test_a_reply_of_no_use_shows_that_a_server_works() -> None:
    server = Server("u", 4)
    for key in "abcde":
        server.troubled(key, 0.0, 1.0, after=0.0)
    assert server.down
    server.replied()
    assert not server.down
