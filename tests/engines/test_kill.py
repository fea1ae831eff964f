"""Runs that are killed, and runs beside each other."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from stages.engines.outbox import MANY
from stages.engines.prices import Price
from stages.engines.store import Store
from tests.engines.nursery import Nursery
from tests.engines.teacher_server import Teacher, asks, chat, engine, held, run

FLIGHT, KILLS = 32, 20


def test_20_kills_at_random_moments_lose_nothing_that_was_acknowledged(
    teacher: Teacher, store: Store
) -> None:
    chance = random.Random(7)
    teacher.latency = lambda in_flight: 0.02
    with Nursery(teacher.url, store.path, 500, FLIGHT) as nursery:
        for _ in range(KILLS):
            before = held(store)
            nursery.beget()
            if chance.random() < 0.35:
                nursery.until(before + 1)
                time.sleep(chance.uniform(0, 0.01))
            else:
                time.sleep(chance.uniform(0, 0.06))
            nursery.kill()
            assert nursery.end() == -9, "the run was done before it was killed so often"
            assert nursery.done <= held(store)
        killed_at, asked = held(store), teacher.calls
        # a kill loses what was in flight, and what was answered but not yet committed, which is
        # as much again, and the replies that came while the last commit was under way
        assert asked <= killed_at + KILLS * (FLIGHT + MANY + FLIGHT)
        nursery.beget()
        assert nursery.end() == 0
        assert nursery.done == 500
    assert held(store) == 500
    assert teacher.calls - asked == 500 - killed_at
    before = teacher.calls
    assert run(store, engine(teacher), asks(500)).generated == 0
    assert teacher.calls == before
    print(f"{KILLS} kills at up to {killed_at} rows, {before} requests for 500 rows")


def test_two_processes_buy_each_answer_once(teacher: Teacher, store: Store) -> None:
    teacher.latency = lambda in_flight: 0.05
    with (
        Nursery(teacher.url, store.path, 200, 8) as first,
        Nursery(teacher.url, store.path, 200, 8) as second,
    ):
        first.beget()
        first.until(1)
        second.beget()
        assert second.read() == (
            "  another process is asking the teacher; waiting for it, as it may buy the same"
        )
        assert (first.end(), second.end()) == (0, 0)
        assert (first.done, second.done) == (200, 200)
        assert second.told[:1] == [f"pid {second.pid}"]
    assert Counter(teacher.questions()) == {f"q{at}": 1 for at in range(200)}
    assert held(store) == 200


@pytest.mark.parametrize("twice", [False, True])
def test_the_other_process_goes_on_when_the_buyer_is_killed(
    teacher: Teacher, store: Store, twice: bool
) -> None:
    teacher.latency = lambda in_flight: 0.05
    with (
        Nursery(teacher.url, store.path, 200, 8) as first,
        Nursery(teacher.url, store.path, 200, 8) as second,
    ):
        first.beget()
        first.until(1)
        second.beget()
        assert second.read().startswith("  another process is asking the teacher")
        first.until(60)
        first.kill()
        assert first.end() == -9
        stored, asked = held(store), teacher.calls
        assert first.done <= stored < 200
        if twice:
            first.beget()
        assert second.end() == 0
        assert second.done == 200
        if twice:
            assert first.end() == 0
            assert first.done == 200
    assert held(store) == 200
    assert asked - stored <= 8 + MANY + 8
    # what the killed one had sent may reach the server a little later
    assert 200 - stored <= teacher.calls - asked <= 200 - stored + 8


def test_a_killed_run_leaves_what_it_may_owe_on_the_ledger(teacher: Teacher, store: Store) -> None:
    """Of a model whose answers cost 1 USD a token, 64 at most."""
    chance = random.Random(7)
    teacher.latency = lambda in_flight: chance.uniform(0.02, 0.08)
    teacher.reply = lambda n, body: chat(spent=2)
    with Nursery(teacher.url, store.path, 400, 8, price=1e6) as nursery:
        nursery.beget()
        nursery.until(60)
        nursery.kill()
        assert nursery.end() == -9
    stored = held(store)
    unanswered = teacher.calls - stored
    assert 0 < unanswered <= 8 + MANY + 8
    [(usd, reason)] = store.db.execute("SELECT usd, reason FROM lost").fetchall()
    assert reason == "a run that was killed"
    in_flight = 8 * 64.0
    assert in_flight <= usd <= 1.25 * (in_flight + 2 * MANY) + 64
    assert store.spent() == pytest.approx(2.0 * stored + usd)
    # no more than what is left can be spent, and what was in flight is asked again
    asked = teacher.calls
    result = run(store, engine(teacher), asks(400), Price(0.0, 1e6, "stated"), 1e6)
    assert (result.held, result.generated) == (stored, 400 - stored)
    assert teacher.calls - asked == 400 - stored
    assert store.spent() == pytest.approx(2.0 * 400 + usd)
