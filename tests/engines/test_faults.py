"""Servers that fail in every way that servers fail in."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.engines import outcomes
from stages.engines.store import Store
from tests.engines.teacher_server import (
    NEVER,
    Raw,
    Teacher,
    asks,
    chat,
    engine,
    failed,
    held,
    nobody,
    run,
)

GO_ON = "see to the server or wait and run `dvc repro` again to go on"


def test_faults_of_all_kinds_at_once(teacher: Teacher, store: Store) -> None:
    chance, faults = random.Random(3), Counter[str]()
    mix = {
        "busy": (0.30, failed(429, "slow down", Retry_After="0.05")),
        "error": (0.10, failed(500, "boom")),
        "cut": (0.05, Raw(body=b'{"choices": [{"mess', cut=True)),
        "no JSON": (0.02, Raw(body=b"{oh")),
        "no choices": (0.01, {"choices": []}),
        "silence": (0.01, NEVER),
    }

    def reply(n: int, body: dict[str, Any]) -> dict[str, Any] | Raw:
        at = chance.random()
        for name, (share, fault) in mix.items():
            if at < share:
                faults[name] += 1
                return fault
            at -= share
        return chat(body["messages"][-1]["content"])

    teacher.reply, teacher.latency = reply, lambda in_flight: 0.005
    start = time.monotonic()
    result = run(store, engine(teacher, timeout=0.5, retries=12), asks(500))
    took = time.monotonic() - start
    assert result.generated == 500
    assert [made.text for made in result.completions.values()] == [f"q{at}" for at in range(500)]
    assert held(store) == 500
    assert teacher.calls == 500 + sum(faults.values())
    assert faults.keys() == mix.keys()
    assert took < 60
    before = teacher.calls
    assert run(store, engine(teacher), asks(500)).generated == 0
    assert teacher.calls == before
    print(f"500 rows in {took:.1f} s, {before} requests, {dict(faults)}")


@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_away_for_a_while(
    teacher: Teacher, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.latency = lambda in_flight: 0.02
    away: list[int] = []

    def leave() -> None:
        teacher.close()
        away.append(teacher.calls)
        time.sleep(2.0)
        away.append(teacher.calls)
        teacher.open()

    leaving = threading.Timer(0.4, leave)
    leaving.start()
    result = run(store, engine(teacher), asks(1500))
    leaving.join()
    assert result.generated == held(store) == 1500
    assert away[0] == away[1] < 1500
    # what was in flight when it left is asked again, and nothing else
    assert teacher.calls - 1500 <= 32
    told = re.sub(r"\(.*\)", "(…)", capsys.readouterr().out)
    assert re.sub(r"after \d s", "after 2 s", told) == (
        f"  {teacher.url} fails (…); asking it again now and then\n"
        f"  {teacher.url} answers again after 2 s\n"
    )


@pytest.mark.usefixtures("hasty")
def test_a_server_that_fails_for_a_while_is_asked_now_and_then(
    teacher: Teacher, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    start, tries = time.monotonic(), list[float]()

    def reply(n: int, body: dict[str, Any]) -> dict[str, Any] | Raw:
        now = time.monotonic() - start
        if 0.3 < now < 2.3:
            tries.append(now)
            return failed(503, "Restarting.")
        return chat()

    teacher.reply, teacher.latency = reply, lambda in_flight: 0.02
    result = run(store, engine(teacher, concurrency=16), asks(800))
    assert result.generated == 800
    # all that was in flight, then one after each pause, of 0.1, 0.2, 0.4, 0.4 … s
    probes = [at for at in tries if at > 0.3 + 0.2]
    assert 3 <= len(probes) <= 12
    assert len(tries) <= 16 + 16 + len(probes)
    told = capsys.readouterr().out
    assert re.sub(r"after \d s", "after 2 s", told) == (
        f"  {teacher.url} fails (HTTP 503: Restarting); asking it again now and then\n"
        f"  {teacher.url} answers again after 2 s\n"
    )


@pytest.mark.usefixtures("hasty")
def test_a_server_that_does_not_come_back(teacher: Teacher, store: Store) -> None:
    teacher.latency = lambda in_flight: 0.02

    def leave() -> None:
        while teacher.calls < 60:
            time.sleep(0.02)
        teacher.close()

    threading.Thread(target=leave).start()
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher, outage=1.5), asks(5000))
    stored = held(store)
    assert re.sub(r"\d s \(.*\)", "2 s (…)", str(caught.value)) == (
        f"{teacher.url}: E606 no answer for 2 s (…)\n"
        f"    hint: {stored} answers were stored: {GO_ON}"
    )
    assert 0 < stored < 5000
    assert teacher.calls - stored <= 32


@pytest.mark.usefixtures("hasty")
def test_a_server_that_never_answered_is_given_up_sooner(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "UNPROVEN", 0.8)
    url = nobody()
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        run(store, engine(url, outage=60), asks(3))
    assert 0.8 <= time.monotonic() - start < 5
    assert re.sub(r"for \d s", "for 1 s", str(caught.value)) == (
        f"{url}: E606 no answer for 1 s (Connection refused)\n"
        f"    hint: 0 answers were stored: {GO_ON}"
    )


@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_only_busy_is_waited_for(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "UNPROVEN", 0.2)
    start = time.monotonic()
    teacher.reply = lambda n, body: (
        failed(429, "Loading.") if time.monotonic() - start < 1 else chat()
    )
    assert run(store, engine(teacher, retries=0), asks(20)).generated == 20


@pytest.mark.usefixtures("impatient")
def test_an_idle_time_is_no_outage(teacher: Teacher, store: Store) -> None:
    """Half a second apart by the limit, and the third attempt fails once."""
    teacher.reply = lambda n, body: failed(500, "boom") if n == 3 else chat()
    to = engine(teacher, requests_per_minute=120, outage=0.3)
    assert run(store, to, asks(4)).generated == 4
    assert teacher.times[2] - teacher.times[1] > 0.4


@pytest.mark.usefixtures("impatient")
def test_a_request_that_fails_for_ever_is_given_up_and_the_others_are_not(
    teacher: Teacher, store: Store
) -> None:
    teacher.reply = lambda n, body: (
        failed(500, "This one.") if body["messages"][-1]["content"] == "q7" else chat()
    )
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher, retries=3), asks(60))
    assert str(caught.value) == (
        f"{teacher.url}: E606 a request failed in 4 attempts (HTTP 500: This one)\n"
        f"    hint: 59 answers were stored: {GO_ON}"
    )
    assert (held(store), teacher.calls) == (59, 63)


@pytest.mark.usefixtures("impatient")
def test_a_page_in_place_of_answers_is_not_asked_for_every_request(
    teacher: Teacher, store: Store
) -> None:
    teacher.reply = lambda n, body: Raw(body=b"<html>Please log in")
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher, retries=1, concurrency=4), asks(500))
    assert str(caught.value) == (
        f"{teacher.url}: E606 none of the first 16 requests was answered (the reply is not JSON)\n"
        f"    hint: 0 answers were stored: {GO_ON}"
    )
    assert teacher.calls < 100


def test_a_pause_that_is_asked_for_holds_for_all_requests(
    teacher: Teacher,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(outcomes, "LONG", 1.0)
    teacher.latency = lambda in_flight: 0.02
    teacher.reply = lambda n, body: failed(429, "slow down", Retry_After="1") if n == 60 else chat()
    run(store, engine(teacher), asks(300))
    told = teacher.times[59] + 0.02
    # what was sent before the reply came is on its way
    after = [at - told for at in teacher.times if at > told + 0.05]
    assert min(after) >= 0.94
    assert teacher.calls == 301
    assert capsys.readouterr().out == (
        f"  {teacher.url} asks to be left alone for 1 s (HTTP 429: slow down)\n"
    )
