from __future__ import annotations

import email.utils
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from werkzeug import Response

from stages.core.errors import UserError
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.request import Completion, Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse
from tests.engines.helpers import Result, answer

if TYPE_CHECKING:
    from tests.engines.conftest import Server

ROOT = Path(__file__).parents[2]
KEY = "sk-planted/0123456789+abcdef"


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTELAGE_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")


def engine(server: Server, **settings: Any) -> OpenAIEngine:
    key, identity = settings.pop("key_env", "TUTELAGE_KEY"), settings.pop("identity", None)
    flow = Flow(**{"concurrency": 4, "timeout": 5.0, "retries": 2, "outage": 5.0, **settings})
    return OpenAIEngine("teacher", [server.url], key, identity, flow)


def asks(to: OpenAIEngine, count: int, **fields: Any) -> list[Request]:
    plain = {"max_tokens": 64, **fields}
    system = ("system", "Think.")
    return [
        Request(to.endpoint, to.model, (system, ("user", f"q{i}")), **plain) for i in range(count)
    ]


def run(tmp_path: Path, to: OpenAIEngine, requests: list[Request]) -> Result:
    with Store(tmp_path / "s") as store:
        to.purse = Purse(store, Price(0.0, 0.0, "free"), None)
        return answer(requests, to, store)


def held(tmp_path: Path) -> int:
    with Store(tmp_path / "s") as store:
        return sum(store.count().values())


def failed(status: int, message: str, code: str = "", **headers: str) -> Response:
    body = {"error": {"message": message, "code": code}}
    return Response(json.dumps(body), status, headers, content_type="application/json")


def test_what_is_sent_and_what_comes_back(server: Server, tmp_path: Path) -> None:
    server.reply = lambda n, body: server.chat("It is 4.", "length", 7)
    to = engine(server)
    greedy, sampled = asks(to, 1) + asks(to, 1, temperature=0.7, top_p=0.9, sample=3)
    result = run(tmp_path, to, [greedy])
    run(tmp_path, to, [sampled])
    messages = [{"role": "system", "content": "Think."}, {"role": "user", "content": "q0"}]
    assert server.bodies == [
        {
            "model": "teacher",
            "messages": messages,
            "max_tokens": 64,
            "temperature": 0.0,
            "top_p": 1.0,
        },
        {
            "model": "teacher",
            "messages": messages,
            "max_tokens": 64,
            "temperature": 0.7,
            "top_p": 0.9,
            "seed": 3,
        },
    ]
    assert server.keys == [f"Bearer {KEY}"] * 2
    assert result.completions == {greedy.key: Completion("It is 4.", "length", 5, 7)}


def test_a_second_run_asks_nothing_and_needs_no_key(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = OpenAIEngine("teacher", [server.url], "TUTELAGE_KEY", "ours")
    assert run(tmp_path, to, asks(to, 9)).generated == 9
    monkeypatch.delenv("TUTELAGE_KEY")
    moved = OpenAIEngine("teacher", ["https://elsewhere.invalid/v1"], "TUTELAGE_KEY", "ours")
    assert run(tmp_path, moved, asks(moved, 9)[::-1]).generated == 0
    assert server.calls == 9


def test_a_raised_limit_asks_only_what_was_cut_short(server: Server, tmp_path: Path) -> None:
    cut = {"q1", "q3"}

    def reply(n: int, body: dict[str, Any]) -> Any:
        short = body["messages"][-1]["content"] not in cut or body["max_tokens"] > 64
        return server.chat("whole") if short else server.chat("cut sho", "length", 64)

    server.reply = reply
    to = engine(server)
    run(tmp_path, to, asks(to, 6))
    server.bodies.clear()
    result = run(tmp_path, to, asks(to, 6, max_tokens=128))
    assert set(server.questions()) == cut
    assert server.calls == 2
    assert {completion.text for completion in result.completions.values()} == {"whole"}


def test_never_more_in_flight_than_allowed(server: Server, tmp_path: Path) -> None:
    server.delay = 0.1
    to = engine(server, concurrency=3)
    run(tmp_path, to, asks(to, 9))
    waves = sorted(server.times)
    assert waves[3] - waves[0] > 0.09 < waves[6] - waves[3]


@pytest.mark.usefixtures("impatient")
def test_failures_that_pass(server: Server, tmp_path: Path) -> None:
    def reply(n: int, body: dict[str, Any]) -> Any:
        return {
            1: failed(500, "boom"),
            2: failed(429, "slow down"),
            3: Response("{oh", content_type="application/json"),
            4: {"choices": []},
            5: server.chat(None, spent=0),
            6: Response("<html>", 502),
            7: {"error": {"message": "upstream"}},
            8: failed(408, "late"),
        }.get(n, server.chat("fine"))

    server.reply = reply
    to = engine(server, retries=8, concurrency=1)
    result = run(tmp_path, to, asks(to, 2))
    assert [completion.text for completion in result.completions.values()] == ["fine", "fine"]
    assert server.calls == 10


@pytest.mark.usefixtures("impatient")
def test_retry_after_is_honoured(server: Server, tmp_path: Path) -> None:
    server.reply = lambda n, body: (
        failed(429, "slow down", **{"Retry-After": "0.4"}) if n == 1 else server.chat("fine")
    )
    to = engine(server)
    run(tmp_path, to, asks(to, 1))
    assert 0.4 <= server.times[1] - server.times[0] < 1.5


@pytest.mark.usefixtures("impatient")
def test_retry_after_may_be_a_date(server: Server, tmp_path: Path) -> None:
    def reply(n: int, body: dict[str, Any]) -> Any:
        then = email.utils.formatdate(time.time() + 2, usegmt=True)
        return failed(503, "soon", **{"Retry-After": then}) if n == 1 else server.chat("fine")

    server.reply = reply
    to = engine(server)
    run(tmp_path, to, asks(to, 1))
    assert 0.9 <= server.times[1] - server.times[0] < 3


@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_answers(server: Server, tmp_path: Path) -> None:
    server.delay = 0.6
    to = engine(server, timeout=0.15, retries=1)
    with pytest.raises(UserError) as caught:
        run(tmp_path, to, asks(to, 1))
    assert str(caught.value) == (
        f"{server.url}: E606 a request failed in 2 attempts (no answer within 0.15 s)\n"
        "    hint: 0 answers were stored: see to the server or wait and run "
        "`dvc repro` again to go on"
    )


@pytest.mark.usefixtures("impatient")
def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    to = OpenAIEngine("teacher", [url], flow=Flow(retries=1, outage=0.2))
    with pytest.raises(UserError) as caught:
        run(tmp_path, to, asks(to, 3))
    assert str(caught.value) == (
        f"{url}: E606 no answer for 0 s (Connection refused)\n"
        "    hint: 0 answers were stored: see to the server or wait and run "
        "`dvc repro` again to go on"
    )


@pytest.mark.usefixtures("impatient")
def test_a_server_that_breaks_half_way_loses_nothing(server: Server, tmp_path: Path) -> None:
    broken = True
    server.reply = lambda n, body: (
        failed(500, "Out of memory.") if broken and n > 10 else server.chat("fine")
    )
    to = engine(server, outage=0.5)
    with pytest.raises(UserError) as caught:
        run(tmp_path, to, asks(to, 30))
    assert re.sub(r"for \d+ s", "for 1 s", str(caught.value)) == (
        f"{server.url}: E606 no answer for 1 s (HTTP 500: Out of memory)\n"
        "    hint: 10 answers were stored: see to the server or wait and run "
        "`dvc repro` again to go on"
    )
    broken, before = False, server.calls
    result = run(tmp_path, to, asks(to, 30))
    assert (result.held, server.calls - before) == (10, 20)


def test_what_is_under_way_when_a_run_stops_is_waited_for(server: Server, tmp_path: Path) -> None:
    def reply(n: int, body: dict[str, Any]) -> Any:
        if body["messages"][-1]["content"] == "q3":
            return failed(401, "no")
        return server.chat("fine")

    server.reply, server.delay = reply, 0.3
    to = engine(server)
    with pytest.raises(UserError):
        run(tmp_path, to, asks(to, 20))
    assert held(tmp_path) == server.calls - 1 >= 3


def test_a_refusal_is_recorded_once(server: Server, tmp_path: Path) -> None:
    def reply(n: int, body: dict[str, Any]) -> Any:
        bad = body["messages"][-1]["content"] == "q2"
        return failed(400, "Context too long.") if bad else server.chat("fine")

    server.reply = reply
    to = engine(server)
    result = run(tmp_path, to, asks(to, 4))
    wrong = Completion("", "error", 0, 0, "HTTP 400: Context too long")
    assert result.completions[asks(to, 3)[2].key] == wrong
    again = run(tmp_path, to, asks(to, 4, max_tokens=99))
    assert again.completions == result.completions
    assert server.calls == 4


@pytest.mark.parametrize("status", [400, 413, 422, 451])
def test_a_lone_refusal_is_recorded_too(server: Server, tmp_path: Path, status: int) -> None:
    server.reply = lambda n, body: failed(status, "no")
    to = engine(server)
    assert [item.error for item in run(tmp_path, to, asks(to, 1)).completions.values()] == [
        f"HTTP {status}: no"
    ]
    assert held(tmp_path) == 1


def test_refusals_of_everything_are_not_the_requests_fault(server: Server, tmp_path: Path) -> None:
    server.reply = lambda n, body: failed(400, "API key not valid.")
    to = engine(server)
    with pytest.raises(UserError) as caught:
        run(tmp_path, to, asks(to, 60))
    assert str(caught.value) == (
        f"{server.url}: E605 the server refused each of the first 16 requests "
        "(HTTP 400: API key not valid)\n"
        "    hint: 0 answers were stored: correct the settings of this endpoint "
        "and run `dvc repro` again to go on"
    )
    assert server.calls < 20
    assert held(tmp_path) == 0


@pytest.mark.usefixtures("impatient")
def test_a_reply_that_never_holds_text_is_recorded(server: Server, tmp_path: Path) -> None:
    server.reply = lambda n, body: server.chat(None, spent=0)
    to = engine(server)
    result = run(tmp_path, to, asks(to, 1))
    wrong = Completion("", "error", 5, 0, "the reply holds no text")
    assert list(result.completions.values()) == [wrong]
    assert server.calls == 3
    assert run(tmp_path, to, asks(to, 1)).generated == 0


def test_replies_that_are_answers_all_the_same(server: Server, tmp_path: Path) -> None:
    refusal = {"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}
    server.reply = lambda n, body: {
        "q0": server.chat(""),
        "q1": server.chat(None, "length", 64),
        "q2": server.chat(None, "content_filter", 0),
        "q3": {"choices": [refusal]},
        "q4": server.chat("half \ud83d"),
        "q5": {"choices": [{"message": {"content": "bare"}}], "usage": None},
    }[body["messages"][-1]["content"]]
    to = engine(server)
    result = run(tmp_path, to, asks(to, 6))
    assert [result.completions[request.key] for request in asks(to, 6)] == [
        Completion("", "stop", 5, 3),
        Completion("", "length", 5, 64),
        Completion("", "content_filter", 5, 0),
        Completion("", "content_filter", 0, 0, "I will not"),
        Completion("half \ud83d", "stop", 5, 3),
        Completion("bare", "unknown", 0, 0),
    ]
    assert server.calls == 6


def test_half_a_character_in_a_prompt_is_sent(server: Server, tmp_path: Path) -> None:
    to = engine(server)
    run(tmp_path, to, [Request(to.endpoint, to.model, (("user", "half \ud83d"),), 64)])
    assert server.questions() == ["half \ud83d"]


@pytest.mark.parametrize(
    ("reply", "says", "cure"),
    [
        (
            failed(401, f"Incorrect API key: {KEY}."),
            "the server refused the key in TUTELAGE_KEY (HTTP 401: Incorrect API key: [key])",
            "correct the key",
        ),
        (
            failed(403, "Not yours"),
            "the server will not serve model 'teacher' (HTTP 403: Not yours)",
            "correct the key, its rights or its credit",
        ),
        (
            failed(429, "You exceeded your quota.", "insufficient_quota"),
            "the server will not serve model 'teacher' (HTTP 429: You exceeded your quota)",
            "correct the key, its rights or its credit",
        ),
        (
            failed(404, "No such model"),
            "there is no model 'teacher', or no chat, at this base URL (HTTP 404: No such model)",
            "correct the model or the base URL",
        ),
    ],
)
def test_what_stops_a_run(
    server: Server, tmp_path: Path, reply: Response, says: str, cure: str
) -> None:
    server.reply = lambda n, body: server.chat("fine") if n <= 5 else reply
    to = engine(server, concurrency=1)
    with pytest.raises(UserError) as caught:
        run(tmp_path, to, asks(to, 30))
    assert str(caught.value) == (
        f"{server.url}: E605 {says}\n    hint: 5 answers were stored: {cure} "
        "and run `dvc repro` again to go on"
    )
    assert (server.calls, held(tmp_path)) == (6, 5)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [400, 401, 500])
def test_the_key_is_found_nowhere(server: Server, tmp_path: Path, status: int) -> None:
    escaped = [
        quote(KEY),
        quote(KEY, safe=""),
        KEY.replace("/", "\\/"),
        KEY.replace("+", "\\u002B"),
    ]
    leak = failed(status, " ".join(["x" * 150, KEY, *escaped, KEY]))
    server.reply = lambda n, body: server.chat("fine") if n == 1 else leak
    to = engine(server, retries=1)
    told = [repr(to), str(vars(to))]
    try:
        told.append(repr(run(tmp_path, to, asks(to, 3))))
    except UserError as error:
        told += [str(error), repr(error.__context__), repr(error.__cause__)]
    told += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    assert " ".join(["[key]"] * 6) in "".join(told)
    assert "planted" not in "".join(told)


def test_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUTELAGE_KEY")
    to = OpenAIEngine("teacher", ["https://api.invalid/v1/"], "TUTELAGE_KEY")
    with pytest.raises(UserError) as caught:
        run(tmp_path, to, asks(to, 1))
    assert str(caught.value) == (
        "environment: E604 the environment variable TUTELAGE_KEY, which holds the key for "
        "https://api.invalid/v1, is not set\n"
        "    hint: export TUTELAGE_KEY=… in the shell that runs `dvc repro`"
    )
    unnamed = OpenAIEngine("teacher", ["https://api.invalid/v1"])
    with pytest.raises(UserError) as caught:
        run(tmp_path, unnamed, asks(unnamed, 1))
    assert str(caught.value) == (
        "environment: E604 no environment variable is named for https://api.invalid/v1\n"
        "    hint: export NAME=… in the shell that runs `dvc repro`"
    )
    monkeypatch.setenv("TUTELAGE_KEY", "sk-broken\nin two")
    with pytest.raises(UserError) as caught:
        run(tmp_path, to, asks(to, 1))
    assert str(caught.value) == (
        "environment: E604 the environment variable TUTELAGE_KEY does not hold a key\n"
        "    hint: export TUTELAGE_KEY=… in the shell that runs `dvc repro`"
    )


def test_a_server_on_this_machine_needs_no_key(server: Server, tmp_path: Path) -> None:
    to = engine(server, key_env="")
    run(tmp_path, to, asks(to, 1))
    assert server.keys == [""]


@pytest.mark.parametrize("secret", ["https://me:pw@h.invalid/v1", "https://h.invalid/v1?key=k"])
def test_a_secret_in_the_base_url(secret: str) -> None:
    with pytest.raises(UserError) as caught:
        OpenAIEngine("teacher", [secret])
    assert str(caught.value) == (
        "params.yaml: E604 the base URL on h.invalid holds a login or a query, which would be "
        "stored with every answer\n"
        "    hint: put the key in an environment variable and name the variable"
    )


def test_a_full_disk_stops_the_run(server: Server, tmp_path: Path) -> None:
    server.reply = lambda n, body: server.chat("x" * 20_000)
    to = engine(server)
    with Store(tmp_path / "s") as store:
        store.db.execute("PRAGMA max_page_count = 20")
        to.purse = Purse(store, Price(0.0, 0.0, "free"), None)
        with pytest.raises(UserError, match="E601 no space left on the disk"):
            answer(asks(to, 500), to, store)
    assert server.calls < 200


CHILD = """
import signal
# a test run in the background ignores Ctrl-C, and children inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
from stages.engines.fulfil import fulfil, single
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.request import Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse

engine = OpenAIEngine("teacher", [sys.argv[1]], flow=Flow(concurrency=4))
system = ("system", "Think.")
requests = [
    Request(engine.endpoint, engine.model, (system, ("user", f"q{i}")), 64) for i in range(60)
]
with Store(Path(sys.argv[2])) as store:
    engine.purse = Purse(store, Price(0.0, 0.0, "free"), None)
    told = lambda done, total, tokens: print(done, flush=True)
    fulfil(map(single, requests), 60, engine, store, told)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_where_it_was(
    server: Server, tmp_path: Path, how: signal.Signals
) -> None:
    server.delay = 0.05
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD, server.url, str(tmp_path / "s")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    acknowledged = 0
    while acknowledged < 20:
        acknowledged = int(child.stdout.readline())
    child.send_signal(how)
    rest, errors = child.communicate(timeout=20)
    told = [line for line in rest.splitlines() if not line.isdigit()]
    acknowledged = max([acknowledged, *(int(line) for line in rest.split() if line.isdigit())])
    if how is signal.SIGINT:
        assert [re.sub(r"\d answers", "4 answers", line) for line in told] == [
            "  stopping: 4 answers are under way and may be paid for; once more to leave at once"
        ]
    assert child.returncode != 0
    assert errors == "" if how is signal.SIGKILL else errors.strip().endswith("KeyboardInterrupt")
    time.sleep(2 * server.delay)
    asked = server.calls
    assert acknowledged <= held(tmp_path) < 60
    # an orderly stop loses nothing; a kill loses what was in flight or not yet committed
    in_flight = 0 if how is signal.SIGINT else 4 + 32
    assert asked - held(tmp_path) <= in_flight

    to = OpenAIEngine("teacher", [server.url])
    before = held(tmp_path)
    assert run(tmp_path, to, asks(to, 60)).held == before
    assert server.calls - asked == 60 - before
    assert held(tmp_path) == 60
