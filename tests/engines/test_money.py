"""What is spent at a server that counts, against what may be spent."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.engines.prices import Price
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

PRICE = Price(1000.0, 2000.0, "stated")  # a tenth and two tenths of a cent a token
MAX = 20.0
FROM = 1000
WORST = PRICE.cost(2 * 16 + len("Think.") + len("q1000"), 64)  # of a request


class Till:
    """What a server bills: 7 tokens read and up to 64 written, by the question."""

    def __init__(self, teacher: Teacher) -> None:
        self.usd = self.most = 0.0
        teacher.reply = self.reply

    def reply(self, n: int, body: dict[str, Any]) -> dict[str, Any] | Raw:
        written = int(body["messages"][-1]["content"][1:]) * 7 % body["max_tokens"] + 1
        self.usd += PRICE.cost(7, written)
        made = chat(spent=written)
        made["usage"]["prompt_tokens"] = 7
        return made


def test_a_run_stops_before_its_budget_is_exceeded(teacher: Teacher, store: Store) -> None:
    till, wanted = Till(teacher), asks(500)
    teacher.latency = lambda in_flight: 0.01
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher), wanted, PRICE, MAX)
    stored = held(store)
    assert re.sub(r"19\.[89]\d*|0\.1\d{3}", "#", str(caught.value)) == (
        f"{teacher.url}: E609 the budget of 20 USD is spent: # so far, and the next request can "
        f"cost up to #\n    hint: {stored} answers were stored: raise runtime.max_usd and run "
        "`dvc repro` again to go on"
    )
    assert 0.98 * MAX < till.usd <= MAX
    assert stored == teacher.calls, "nothing that was paid for is lost"
    assert store.spent() == pytest.approx(till.usd)
    before = teacher.calls
    with pytest.raises(UserError, match="E609"):
        run(store, engine(teacher), wanted, PRICE, MAX)
    assert teacher.calls == before
    result = run(store, engine(teacher), wanted, PRICE, 1000.0)
    assert (result.held, result.generated) == (stored, 500 - stored)
    assert teacher.calls == 500
    assert store.spent() == pytest.approx(till.usd)


def test_lost_attempts_count_against_the_budget(teacher: Teacher, store: Store) -> None:
    """A tenth of the replies never comes, and the server bills them like all others."""
    till = Till(teacher)
    teacher.latency = lambda in_flight: 0.01
    bill = till.reply
    teacher.reply = lambda n, body: bill(n, body) if n % 10 else bill(n, body) and NEVER
    with pytest.raises(UserError, match="E609"):
        run(store, engine(teacher, timeout=0.3), asks(500), PRICE, MAX)
    assert till.usd <= MAX
    assert till.usd <= store.spent() <= MAX
    [(usd, reason)] = store.db.execute("SELECT usd, reason FROM lost").fetchall() or [(0.0, "")]
    if usd:  # of requests that were not asked again before the end
        assert reason == "attempts that no answer came of"
    assert list(store.db.execute("SELECT id FROM lost WHERE id LIKE 'in flight%'")) == []


@pytest.mark.usefixtures("impatient")
def test_an_answer_carries_what_its_failed_attempts_cost(teacher: Teacher, store: Store) -> None:
    replies = {1: NEVER, 2: failed(500, "boom"), 3: Raw(body=b"{oh")}
    teacher.reply = lambda n, body: replies.get(n, chat(spent=4))
    run(store, engine(teacher, timeout=0.2), asks(1, FROM), PRICE, MAX)
    [(usd,)] = store.db.execute("SELECT usd FROM completions").fetchall()
    # a time-out and half a reply at their worst case, and an error for free
    assert usd == pytest.approx(2 * WORST + PRICE.cost(5, 4))
    assert store.db.execute("SELECT COUNT(*) FROM lost").fetchone() == (0,)


@pytest.mark.usefixtures("impatient")
def test_what_is_given_up_is_booked(teacher: Teacher, store: Store) -> None:
    teacher.reply = lambda n, body: Raw(body=b"{oh")
    with pytest.raises(UserError, match="E606 a request failed in 3 attempts"):
        run(store, engine(teacher, retries=2), asks(1, FROM), PRICE, MAX)
    rows = store.db.execute("SELECT usd, reason FROM lost").fetchall()
    assert rows == [(pytest.approx(3 * WORST), "attempts that no answer came of")]


def test_money_is_set_aside_before_it_is_owed(teacher: Teacher, store: Store) -> None:
    """Whenever a request comes in, the ledger already shows what all of them can cost."""
    short = list[tuple[float, float]]()

    def reply(n: int, body: dict[str, Any]) -> dict[str, Any]:
        with Store(store.path) as beside:
            shown = beside.spent()
        owed = teacher.in_flight * WORST + (n - teacher.in_flight) * PRICE.cost(5, 3)
        if shown < owed - 1e-6:
            short.append((shown, owed))
        return chat()

    teacher.reply, teacher.latency = reply, lambda in_flight: 0.05
    run(store, engine(teacher, concurrency=8), asks(80, FROM), PRICE, MAX)
    assert teacher.calls == 80
    assert short == []
    assert store.spent() == pytest.approx(80 * PRICE.cost(5, 3))


def test_no_budget_is_stated(teacher: Teacher, store: Store) -> None:
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher), asks(5), PRICE, None)
    assert str(caught.value) == (
        "params.yaml: E608 asking 'teacher' costs money, 1000 USD per million tokens read and "
        "2000 written (stated), and no budget is stated\n"
        "    hint: see `make plan` for the sum, then state runtime.max_usd; nothing was asked"
    )
    assert teacher.calls == 0


def test_nobody_knows_the_price(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTELAGE_KEY", "sk-planted")
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher), asks(5), None, MAX)
    assert str(caught.value) == (
        "params.yaml: E610 nobody knows what 'teacher' costs at this base URL\n"
        "    hint: state runtime.price, in USD per million tokens: {prompt: 0.4, completion: 1.6}"
    )
    assert teacher.calls == 0
    # nor is the name of a host looked up
    with pytest.raises(UserError, match="E610"):
        run(
            store,
            engine("http://no.such.host.invalid/v1", key_env="TUTELAGE_KEY"),
            asks(5),
            None,
            MAX,
        )


def test_what_is_held_needs_neither_price_nor_budget(teacher: Teacher, store: Store) -> None:
    run(store, engine(teacher), asks(5), PRICE, MAX)
    assert run(store, engine(nobody()), asks(5), None, None).held == 5


def test_a_free_server_needs_no_budget_and_writes_no_ledger(teacher: Teacher, store: Store) -> None:
    run(store, engine(teacher), asks(5))
    assert store.spent() == 0
    assert store.db.execute("SELECT COUNT(*) FROM lost").fetchone() == (0,)


def test_leaving_at_once_counts_what_is_under_way(teacher: Teacher, store: Store) -> None:
    """Ctrl-C twice."""
    teacher.reply = lambda n, body: chat() if n <= 20 else NEVER

    def leave() -> None:
        while teacher.calls < 28:
            time.sleep(0.01)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    leaving = threading.Thread(target=leave)
    leaving.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(store, engine(teacher, concurrency=8), asks(60, FROM), PRICE, MAX)
    finally:
        leaving.join()
        signal.signal(signal.SIGINT, before)
    assert held(store) == 20
    assert store.spent() == pytest.approx(20 * PRICE.cost(5, 3) + 8 * WORST)
