"""The pool itself: its turns and its memory."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.engines import delays, flow, openai, pool
from stages.engines.budget import Budget
from stages.engines.delays import Case, Delays
from stages.engines.flow import Server
from stages.engines.fulfil import fulfil, single
from stages.engines.outcomes import Outcomes
from stages.engines.pool import Ask
from stages.engines.prices import Price
from stages.engines.reply import BUSY, ODD, TROUBLE, Again
from stages.engines.request import Answers, Completion, Job, Request
from stages.engines.store import Store
from stages.engines.terms import Purse
from tests.engines.helpers import silent
from tests.engines.teacher_server import FREE, Raw, Teacher, asks, chat, engine, failed, held, run


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ask], None]:
    """Has requests answered by a function instead of a server."""

    def answer_with(ask: Ask) -> None:
        @asynccontextmanager
        async def connected(*of: object) -> AsyncIterator[Ask]:
            yield ask

        monkeypatch.setattr(openai, "connected", connected)

    return answer_with


async def at_once(server: Server, request: Request) -> Completion:
    await asyncio.sleep(0)
    return Completion("x" * 300, "stop", 5, 3)


def chains(count: int) -> Iterator[Job[int]]:
    """Two calls each; made one by one."""
    for at in range(count):
        yield chain(asks(1, start=at)[0])


def chain(request: Request) -> Job[int]:
    first = yield request
    second = yield replace(request, messages=(*request.messages, ("assistant", first.text)))
    return len(second.text)


def test_memory_does_not_grow_with_the_number_of_jobs(
    tmp_path: Path, stubbed: Callable[[Ask], None]
) -> None:
    stubbed(at_once)

    def peak(count: int) -> int:
        """Blocks of memory at the most, on top of those before."""
        to = engine("http://127.0.0.1:1/v1", concurrency=64)
        gc.collect()
        before, seen = sys.getallocatedblocks(), list[int]()
        with Store(tmp_path / str(count)) as store:
            store.db.execute("PRAGMA synchronous = OFF")
            to.purse = Purse(store, FREE, None)
            look = lambda *of: seen.append(sys.getallocatedblocks())  # noqa: E731
            counts = fulfil(chains(count), count, to, store, look)
            assert (counts.held, counts.generated, held(store)) == (0, 2 * count, 2 * count)
        return max(seen) - before - len(seen)

    peak(100)  # whatever is imported or cached by the first
    start = time.monotonic()
    small, large = peak(2_000), peak(20_000)
    print(f"{small} and {large} blocks, {time.monotonic() - start:.1f} s")
    # a job that is held on to is a dozen blocks at least
    assert large < small + 10_000


def test_any_mixture_of_ends_comes_to_an_end(
    store: Store, stubbed: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No wake-up is lost, whatever comes when: 3,000 answers, as many faults, chains among them."""
    monkeypatch.setattr(delays, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(flow, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(flow, "LONGEST_PAUSE", 0.02)
    chance, asked = random.Random(5), Counter[str]()

    async def ask(server: Server, request: Request) -> Completion:
        asked[request.key] += 1
        if chance.random() < 0.5:
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01]))
        if chance.random() < 0.5:
            after = chance.choice([0.0, 0.0, 0.001])
            raise Again("no", after, kind=chance.choice([BUSY, TROUBLE, ODD]))
        return Completion("x", "stop", 5, 3)

    stubbed(ask)
    to = engine("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1", retries=200, outage=60)
    to.purse = Purse(store, FREE, None)
    counts = fulfil(chains(1_500), 1_500, to, store, silent)
    assert counts.generated == held(store) == 3_000
    assert len(asked) == 3_000
    assert 1.5 < sum(asked.values()) / 3_000 < 2.5


def test_an_attempt_that_is_over_ends_no_later_one(
    store: Store, stubbed: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request may be sent again before the loop has called back for its first attempt."""
    monkeypatch.setattr(delays, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(flow, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(flow, "LONGEST_PAUSE", 0.0)
    asked = Counter[str]()

    async def ask(server: Server, request: Request) -> Completion:
        asked[request.key] += 1
        if asked[request.key] < 4:
            raise Again("no", 0.0, kind=ODD)
        await asyncio.sleep(0.001)
        return Completion("x", "stop", 5, 3)

    stubbed(ask)
    to = engine("http://127.0.0.1:1/v1", retries=200, outage=60)
    to.purse = Purse(store, FREE, None)
    counts = fulfil(chains(500), 500, to, store, silent)
    assert counts.generated == held(store) == 1_000
    assert set(asked.values()) == {4}


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts how often the pool looks whether it can send something."""
    counts, send = Counter[str](), pool.Pool._send

    def counted(self: pool.Pool, ask: Ask, now: float) -> bool:
        counts["send"] += 1
        return send(self, ask, now)

    monkeypatch.setattr(pool.Pool, "_send", counted)
    return counts


def test_waiting_for_a_place_is_idle(teacher: Teacher, store: Store, turns: Counter[str]) -> None:
    """A request is due for another attempt while the only place is taken for a second."""
    teacher.reply = lambda n, body: failed(500, "boom") if n == 1 else chat()
    teacher.latency = lambda in_flight: 0.0 if teacher.calls == 1 else 1.0
    start, used = time.monotonic(), time.process_time()
    run(store, engine(teacher, concurrency=1), asks(3))
    assert teacher.questions() == ["q0", "q1", "q0", "q2"]
    assert time.monotonic() - start > 3
    assert turns["send"] < 40
    assert time.process_time() - used < 0.5


def test_waiting_for_a_limit_is_idle(teacher: Teacher, store: Store, turns: Counter[str]) -> None:
    run(store, engine(teacher, requests_per_minute=60), asks(3))
    assert teacher.times[-1] - teacher.times[0] > 1.9
    assert turns["send"] < 20


def test_what_is_new_waits_while_much_is_tried_again(teacher: Teacher, store: Store) -> None:
    start = time.monotonic()
    teacher.reply = lambda n, body: (
        Raw(body=b"<html>") if time.monotonic() - start < 0.4 else chat()
    )
    run(store, engine(teacher, concurrency=4), asks(300))
    early = {
        question
        for question, at in zip(teacher.questions(), teacher.times, strict=True)
        if at - start < 0.4
    }
    assert 4 <= len(early) <= 2 * 4 + 4


def test_later_calls_do_not_wait_for_a_batch_to_fill(teacher: Teacher, store: Store) -> None:
    """While another answer takes long, which is all that happens meanwhile."""

    def long(request: Request) -> Job[None]:
        for at in range(20):
            messages = (*request.messages, ("assistant", "x"), ("user", f"and {at}"))
            yield (request := replace(request, messages=messages))

    ends: list[float] = []

    def told(done: int, total: int, tokens: int = 0, note: str = "") -> None:
        if done == 1:
            ends.append(time.monotonic())

    teacher.latency = lambda in_flight: 4.0 if teacher.questions()[-1] == "q1" else 0.0
    first, second = asks(2)
    to = engine(teacher)
    to.purse = Purse(store, FREE, None)
    start = time.monotonic()
    fulfil([single(second), long(first)], 2, to, store, told)
    assert teacher.calls == 21
    assert ends[0] - start < 2


def test_commits_are_few(teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, put = list[int](), Store.put_many

    def counted(to: Store, pairs: Answers) -> None:
        batches.append(len(pairs))
        put(to, pairs)

    monkeypatch.setattr(Store, "put_many", counted)
    teacher.latency = lambda in_flight: 0.02
    run(store, engine(teacher), asks(600))
    assert sum(batches) == 600
    assert len(batches) < 40
    assert max(batches) <= 3 * 32


def test_an_attempt_that_never_began_costs_nothing(store: Store) -> None:
    """A task can be cancelled before its first step."""
    budget = Budget(Price(0.0, 1e6, "stated"), 1000.0, 0.0)
    outbox: Any = None
    ends = Outcomes(Any, outbox, budget, 0, 1.0)  # type: ignore[arg-type]
    [request, other] = asks(2)
    for case in (unsent := Case(request), sent := Case(other)):
        assert budget.reserve(case.request)
        case.open = True
    sent.sent = 1.0
    for _ in range(2):  # the second time changes nothing
        ends.end(unsent)
        ends.end(sent)
    assert (unsent.lost, sent.lost) == (0.0, 64.0)
    assert (budget.spent, budget.reserved) == (64.0, 0.0)


def test_cases_wait_longer_the_more_often_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delays.random, "uniform", lambda low, high: 1.0)
    later, [request] = Delays(), asks(1)
    case, waits = Case(request), list[float]()
    for _ in range(9):
        later.add(case, 100.0, 0.0)
        waits.append(later.due - 100)
        assert later.pop(later.due - 0.001) is None
        assert later.pop(later.due) is case
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert (len(later), later.due) == (0, math.inf)


def test_cases_wait_as_long_as_the_server_says() -> None:
    later, cases = Delays(), [Case(request) for request in asks(3)]
    for case, after in zip(cases, [7.0, 3.0, 9.0], strict=True):
        later.add(case, 100.0, after)
    assert later.due == 103.0
    assert [later.pop(108.0), later.pop(108.0), later.pop(108.0)] == [cases[1], cases[0], None]
    assert (later.due, len(later), cases[0].waits) == (109.0, 1, 0)
