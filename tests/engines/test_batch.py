from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request as Call
from werkzeug import Response

from stages.core.errors import UserError
from stages.engines.batch import api as batch_api
from stages.engines.batch.engine import BatchEngine
from stages.engines.batch.lines import outcome
from stages.engines.batch.run import Batching
from stages.engines.desk import replay
from stages.engines.fulfil import Counts, fulfil, single
from stages.engines.prices import Price
from stages.engines.request import Completion, Job, Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse

ROOT = Path(__file__).parents[2]
KEY = "sk-planted/0123456789+abcdef"
FREE = Price(0.0, 0.0, "free")
PAID = Price(1_000_000.0, 2_000_000.0, "params.yaml")
USAGE = {"prompt_tokens": 5, "completion_tokens": 3}


class Provider:
    """Files and batches; a batch ends at its `polls`-th retrieval, in the state of `ends`."""

    def __init__(self, http: HTTPServer) -> None:
        self.url = http.url_for("/v1")
        self.calls: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.files: dict[str, bytes] = {}
        self.batches: list[dict[str, Any]] = []
        self.polls, self.page = 1, 100
        self.ends: dict[int, str] = {}
        self.reply: Callable[[str], Any] = lambda question: "fine"
        self.before: Callable[[str], Response | None] = lambda call: None
        self.after: Callable[[str], Response | None] = lambda call: None
        http.expect_request(re.compile("/v1/.*")).respond_with_handler(self._handle)

    def count(self, start: str) -> int:
        return sum(call.startswith(start) for call in self.calls)

    def lines(self, batch: int) -> list[dict[str, Any]]:
        content = self.files[self.batches[batch]["input_file_id"]]
        return [json.loads(line) for line in content.splitlines()]

    def questions(self) -> list[list[str]]:
        """By batch, the last messages of its requests."""
        return [
            [line["body"]["messages"][-1]["content"] for line in self.lines(n)]
            for n in range(len(self.batches))
        ]

    def _handle(self, call: Call) -> Response:
        name = f"{call.method} {call.path.removeprefix('/v1/')}"
        self.calls.append(name)
        self.headers.append(dict(call.headers))
        early = self.before(name)
        made = early or self._made(call, call.path.split("/")[2:])
        return self.after(name) or made

    def _made(self, call: Call, path: list[str]) -> Response:
        if path[0] == "files" and call.method == "POST":
            assert call.form["purpose"] == "batch"
            name = f"file-{len(self.files)}"
            self.files[name] = call.files["file"].read()
            return told({"id": name, "object": "file"})
        if path[0] == "files":
            content = self.files.get(path[1])
            return Response(content) if content is not None else failed(404, "No such File")
        if call.method == "POST":
            batch = {"id": f"batch_{len(self.batches)}", "status": "validating", **call.get_json()}
            self.batches.append({**batch, "polled": 0})
            return told(batch)
        if len(path) == 1:
            ids = [batch["id"] for batch in self.batches]
            start = ids.index(call.args["after"]) + 1 if "after" in call.args else 0
            page = self.batches[start : start + min(self.page, int(call.args["limit"]))]
            return told({"data": page, "has_more": start + len(page) < len(ids)})
        found = [n for n, batch in enumerate(self.batches) if batch["id"] == path[1]]
        return told(self._poll(found[0])) if found else failed(404, "No batch found")

    def _poll(self, number: int) -> dict[str, Any]:
        batch = self.batches[number]
        batch["polled"] += 1
        total = len(self.lines(number))
        if batch["polled"] < self.polls:
            counts = {"completed": total // 2, "failed": 0, "total": total}
            return {**batch, "status": "in_progress", "request_counts": counts}
        if "output_file_id" not in batch:
            batch["status"] = self.ends.get(number, "completed")
            output, errors = [], []
            for line in self.lines(number) if batch["status"] != "failed" else []:
                made = self.reply(line["body"]["messages"][-1]["content"])
                for one in made if isinstance(made, list) else [made]:
                    well = isinstance(one, (str, dict, bytes))
                    (output if well else errors).append(result(line["custom_id"], one))
            for kind, rows in (("output", output), ("error", errors)):
                content = b"".join(rows)
                self.files[f"{kind}-{number}"] = content
                batch[f"{kind}_file_id"] = f"{kind}-{number}" if content else None
        return batch


def result(name: str, made: Any) -> bytes:
    """A line of a result file: of an answer, of (status, words), of None, or as it is."""
    if isinstance(made, bytes):
        return made
    if made is None:
        return b""
    line: dict[str, Any] = {"id": f"batch_req_{name[:8]}", "custom_id": name, "error": None}
    if isinstance(made, tuple) and made[0]:
        line["response"] = {"status_code": made[0], "body": {"error": {"message": made[1]}}}
    elif isinstance(made, tuple):
        line["response"], line["error"] = None, {"code": made[1], "message": "It did not run."}
    else:
        reply = made if isinstance(made, dict) else chat(made)
        line["response"] = {"status_code": 200, "request_id": "r", "body": reply}
    return json.dumps(line).encode() + b"\n"


def chat(text: str | None, finish: str = "stop", **usage: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return {"choices": choices, "usage": usage or USAGE}


def told(content: Any) -> Response:
    return Response(json.dumps(content), content_type="application/json")


def failed(status: int, message: str, **headers: str) -> Response:
    body = json.dumps({"error": {"message": message, "code": None}})
    return Response(body, status, headers, content_type="application/json")


def cut() -> Response:
    """A reply whose connection ends half-way."""
    size = {"Content-Length": "999"}
    return Response([b'{"id"'], headers=size, content_type="application/json")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTELAGE_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another-server")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-another-server")
    monkeypatch.setattr(batch_api, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(batch_api, "SETTLE", 0.0)


@pytest.fixture
def provider(http: HTTPServer) -> Iterator[Provider]:
    http.clear()
    yield Provider(http)
    http.check_assertions()


class Shop:
    """An engine with its store, made anew for every run as a process would."""

    def __init__(self, url: str, path: Path, price: Price | None = FREE, **settings: Any) -> None:
        self.url, self.path, self.price, self.settings = url, path / "s", price, settings

    def engine(self, store: Store | None = None, **settings: Any) -> BatchEngine:
        given = {"retries": 2, "outage": 0.2, "timeout": 5.0, "key_env": "TUTELAGE_KEY"}
        given |= {"identity": None, "max_usd": None, "interval": 0.0, **self.settings, **settings}
        key, identity, usd = (given.pop(name) for name in ("key_env", "identity", "max_usd"))
        flow = {name: given.pop(name) for name in list(given) if name in Flow.__annotations__}
        purse = Purse(store, self.price, usd) if store else None
        return BatchEngine(
            "teacher", [self.url], key, identity, Flow(**flow), purse, Batching(**given)
        )

    def asks(self, *questions: str, **fields: Any) -> list[Request]:
        to = self.engine()
        values = {"max_tokens": 64, **fields}
        return [
            Request(to.endpoint, to.model, (("system", "Think."), ("user", question)), **values)
            for question in questions
        ]

    def run(self, requests: list[Request], /, **settings: Any) -> Counts:
        with Store(self.path) as store:
            to = self.engine(store, **settings)
            return fulfil(map(single, requests), len(requests), to, store, silent)

    def stopped(self, requests: list[Request], /, **settings: Any) -> str:
        with pytest.raises(UserError) as caught:
            self.run(requests, **settings)
        return str(caught.value)

    def texts(self, requests: list[Request]) -> list[str | None]:
        with Store(self.path) as store:
            return [held and (held.error or held.text) for held in store.get_many(requests)]

    def table(self, query: str) -> list[tuple[Any, ...]]:
        with Store(self.path) as store:
            return store.db.execute(query).fetchall()

    def spent(self) -> float:
        with Store(self.path) as store:
            return store.spent()

    def clear(self) -> bool:
        """Whether no request is held back and no money set aside."""
        states = {state for (state,) in self.table("SELECT DISTINCT state FROM batches")}
        return states <= {"ended"} and not self.table("SELECT key FROM batch_requests")


def silent(done: int, total: int, tokens: int = 0, note: str = "") -> None:
    pass


@pytest.fixture
def shop(provider: Provider, tmp_path: Path) -> Shop:
    return Shop(provider.url, tmp_path)


def test_the_whole_path(provider: Provider, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    provider.polls = 3
    greedy, sampled = shop.asks("q0", "half \ud83d")[:1], shop.asks("q1", temperature=0.7, sample=3)
    assert shop.run(greedy + sampled) == Counts(0, 2)
    (batch,) = provider.batches
    assert batch["endpoint"] == "/v1/chat/completions"
    assert batch["completion_window"] == "24h"
    assert list(batch["metadata"]) == ["tutelage"]
    assert shop.table("SELECT id, batch FROM batches") == [
        (batch["metadata"]["tutelage"], "batch_0")
    ]
    system = {"role": "system", "content": "Think."}
    plain = {"model": "teacher", "max_tokens": 64, "top_p": 1.0}
    assert provider.lines(0) == [
        {
            "custom_id": greedy[0].key,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                **plain,
                "messages": [system, {"role": "user", "content": "q0"}],
                "temperature": 0.0,
            },
        },
        {
            "custom_id": sampled[0].key,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                **plain,
                "messages": [system, {"role": "user", "content": "q1"}],
                "temperature": 0.7,
                "seed": 3,
            },
        },
    ]
    with Store(shop.path) as store:
        assert store.get_many(greedy + sampled) == [Completion("fine", "stop", 5, 3)] * 2
    assert {headers["Authorization"] for headers in provider.headers} == {f"Bearer {KEY}"}
    assert "another-server" not in str(provider.headers)
    assert provider.calls == [
        "POST files",
        "POST batches",
        *["GET batches/batch_0"] * 3,
        "GET files/output-0/content",
    ]
    assert capsys.readouterr().out == (
        "  2 requests submitted as batch_0\n  1 batch: 1 of 2 requests answered, 0 failed\n"
    )
    assert shop.clear()


def test_a_second_run_asks_nothing_and_needs_no_key(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = shop.asks("q0", "q1")
    shop.run(requests)
    monkeypatch.delenv("TUTELAGE_KEY")
    before = len(provider.calls)
    assert shop.run(requests) == Counts(2, 0)
    assert len(provider.calls) == before


def test_a_server_on_this_machine_needs_no_key(provider: Provider, shop: Shop) -> None:
    shop.run(shop.asks("q0"), key_env="")
    assert {headers["Authorization"] for headers in provider.headers} == {"Bearer none"}


def test_split_by_count(provider: Provider, shop: Shop) -> None:
    requests = shop.asks(*"abcdefg")
    shop.run(requests, requests=3)
    assert provider.questions() == [list("abc"), list("def"), ["g"]]
    assert shop.texts(requests) == ["fine"] * 7


def test_split_by_bytes(provider: Provider, shop: Shop) -> None:
    requests = shop.asks("a", "b", "c" * 2000, "d", "e")
    size = len(json.dumps(provider_line(shop, "a"))) + 1
    shop.run(requests, size=2 * size)
    assert provider.questions() == [["a", "b"], ["c" * 2000], ["d", "e"]]
    assert len(provider.files["file-0"]) == 2 * size


def provider_line(shop: Shop, question: str) -> dict[str, Any]:
    from stages.engines.batch.lines import line

    made: dict[str, Any] = json.loads(line(shop.asks(question)[0], "max_tokens"))
    return made


def test_chat_and_plain_texts_are_apart(provider: Provider, shop: Shop) -> None:
    requests = shop.asks("a") + shop.asks("b", api="completions") + shop.asks("c")
    provider.polls = 99
    shop.stopped(requests, wait=False, limit_name="max_completion_tokens")
    assert [batch["endpoint"] for batch in provider.batches] == [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/chat/completions",
    ]
    (line,) = provider.lines(1)
    assert line["url"] == "/v1/completions"
    assert line["body"]["prompt"] == "Think.\n\nb"
    assert line["body"]["max_completion_tokens"] == 64


def test_left_and_come_back_to(provider: Provider, shop: Shop) -> None:
    provider.polls = 3
    requests = shop.asks("q0", "q1", "q2")
    left = (
        f"{provider.url}: E611 3 requests are with the provider in 2 batches\n"
        "    hint: nothing is lost: run `dvc repro` again to fetch them; a batch takes up to "
        "24 hours"
    )
    for _ in range(3):
        assert shop.stopped(requests, wait=False, requests=2) == left
    assert shop.run(requests, wait=False) == Counts(3, 0)
    assert shop.texts(requests) == ["fine"] * 3
    assert provider.count("POST batches") == 2


def test_stopped_by_the_user(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(seconds: float) -> None:
        assert seconds == 7.0
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", stop)
        assert shop.stopped(shop.asks("q0"), interval=7.0).startswith(
            f"{provider.url}: E611 1 request is with the provider in 1 batch\n"
        )
    assert shop.run(shop.asks("q0")) == Counts(1, 0)
    assert provider.count("POST batches") == 1


def test_what_another_run_submitted_is_stored_and_not_submitted_again(
    provider: Provider, shop: Shop
) -> None:
    provider.polls = 3
    shop.stopped(shop.asks("a", "b", "c"), wait=False)
    mine = shop.asks("b", "d")
    assert shop.run(mine) == Counts(0, 2)
    assert provider.questions() == [["a", "b", "c"], ["d"]]
    assert shop.texts(shop.asks(*"abcd")) == ["fine"] * 4


def test_another_model_of_the_same_endpoint_is_fetched_at_its_own_price(
    provider: Provider, shop: Shop
) -> None:
    provider.polls, shop.price = 2, PAID
    asked = shop.asks("a")
    shop.stopped(asked, wait=False, max_usd=1e9)
    with Store(shop.path) as store:
        purse = Purse(store, FREE, None)
        to = BatchEngine("student", [provider.url], "TUTELAGE_KEY", purse=purse,
                         batching=Batching(interval=0.0))  # fmt: skip
        other = Request(to.endpoint, "student", (("user", "a"),), 64)
        fulfil([single(other)], 1, to, store, silent)
    assert shop.texts([*asked, other]) == ["fine"] * 2
    assert shop.spent() == 0.5 * (5 * 1 + 3 * 2)


def test_a_limit_raised_while_a_batch_is_open(provider: Provider, shop: Shop) -> None:
    provider.polls = 2
    provider.reply = lambda question: chat(question, "length" if question == "cut" else "stop")
    shop.stopped(shop.asks("cut", "whole"), wait=False)
    provider.polls = 1
    provider.batches[0]["polled"] = -1
    shop.run(shop.asks("cut", "whole", max_tokens=128))
    assert provider.questions() == [["cut", "whole"], ["cut"]]
    assert [line["body"]["max_tokens"] for line in provider.lines(1)] == [128]


def test_an_answer_without_the_probabilities_that_are_wanted(
    provider: Provider, shop: Shop
) -> None:
    provider.polls = 3
    shop.stopped(shop.asks("a"), wait=False)
    shop.run(shop.asks("a", top_logprobs=2))
    assert provider.questions() == [["a"], ["a"]]
    assert provider.lines(1)[0]["body"]["top_logprobs"] == 2
    assert shop.clear()


def test_a_chain_of_calls(provider: Provider, shop: Shop) -> None:
    provider.reply = lambda question: f"{question}!"

    def job(question: str) -> Job[str]:
        first = yield shop.asks(question)[0]
        second = yield shop.asks(first.text, temperature=1.0)[0]
        return second.text

    with Store(shop.path) as store:
        counts = fulfil(map(job, "abc"), 3, shop.engine(store, requests=2), store, silent)
        assert counts == Counts(0, 6)
        assert list(replay(map(job, "abc"), store)) == ["a!!", "b!!", "c!!"]
    assert sorted(provider.questions()) == [["a", "b"], ["a!", "b!"], ["c"], ["c!"]]


def test_what_an_expired_batch_lacks_is_submitted_again(provider: Provider, shop: Shop) -> None:
    late = {"b": (0, "batch_expired"), "c": None}
    provider.reply = lambda question: (
        late[question] if question in late and len(provider.batches) == 1 else "fine"
    )
    provider.ends[0] = "expired"
    requests = shop.asks(*"abcd")
    assert shop.run(requests) == Counts(0, 4)
    assert provider.questions() == [list("abcd"), list("bc")]
    assert shop.texts(requests) == ["fine"] * 4


def test_requests_that_fail_in_every_batch(provider: Provider, shop: Shop) -> None:
    odd = {"b": (0, "batch_expired"), "c": (500, "Boom."), "d": (429, "Slow down."), "e": None}
    provider.reply = lambda question: odd.get(question, "fine")
    requests = shop.asks(*"abcde")
    assert shop.stopped(requests, retries=1) == (
        f"{provider.url}: E606 4 requests failed in 2 batches (HTTP 429: Slow down)\n"
        "    hint: 1 answers were stored: see to the server or wait and run `dvc repro` again to "
        "go on"
    )
    assert provider.questions() == [list("abcde"), list("bcde")]
    assert shop.texts(requests) == ["fine", None, None, None, None]
    assert shop.clear()


def test_lines_that_are_final(provider: Provider, shop: Shop) -> None:
    said = {"a": "fine", "b": (400, "Context too long."), "c": chat(None, spent=0)}
    provider.reply = lambda question: said[question]
    requests = shop.asks(*"abc")
    shop.run(requests, retries=1)
    assert provider.questions() == [list("abc"), ["c"]]
    wrong = ["fine", "HTTP 400: Context too long", "the reply holds no text"]
    assert shop.texts(requests) == wrong
    assert shop.run(requests) == Counts(3, 0)


def test_refusals_of_everything_are_not_the_requests_fault(provider: Provider, shop: Shop) -> None:
    provider.reply = lambda question: (400, "Unsupported parameter.")
    requests = shop.asks(*map(str, range(16)))
    assert shop.stopped(requests) == (
        f"{provider.url}: E605 the server refused each of the 16 requests of a batch "
        "(HTTP 400: Unsupported parameter)\n"
        "    hint: 0 answers were stored: correct the settings and run `dvc repro` again to go on"
    )
    assert shop.texts(requests) == [None] * 16
    assert shop.clear()


def test_a_line_that_stops_the_run(provider: Provider, shop: Shop) -> None:
    provider.reply = lambda question: (403, f"Not for {KEY}.") if question == "b" else "fine"
    requests = shop.asks(*"abc")
    assert shop.stopped(requests) == (
        f"{provider.url}: E605 the server will not serve model 'teacher' (HTTP 403: Not for "
        "[key])\n"
        "    hint: 2 answers were stored: correct the key, its rights or its credit and run "
        "`dvc repro` again to go on"
    )
    assert shop.texts(requests) == ["fine", None, "fine"]


def test_lines_that_make_no_sense(
    provider: Provider, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c = (request.key for request in shop.asks(*"abc"))
    first = {
        "a": [
            b"{oh\n",
            b"\n",
            b"[" * 100_000 + b"\n",
            b'{"custom_id": 3}\n',
            result("of-another-run", "stray"),
            result(a, "fine"),
            result(a, "twice"),
            b'{"custom_id": "%s", "response": {"status_code": "no"}}\n' % b.encode(),
            b'{"custom_id": "%s"}\n' % c.encode(),
            b'\xff\xfe{"custom_id"\n',
        ],
        "b": None,
        "c": [],
    }
    provider.reply = lambda question: first[question] if len(provider.batches) == 1 else "late"
    requests = shop.asks(*"abc")
    shop.run(requests)
    assert provider.questions() == [list("abc"), list("bc")]
    assert shop.texts(requests) == ["fine", "late", "late"]
    assert "batch_0: 6 lines of its results are of no request\n" in capsys.readouterr().out


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
        | st.sampled_from([200, 400, 429, 404, 500]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["custom_id", "response", "error", "status_code", "body", "choices",
                             "message", "content", "usage", "prompt_tokens", "code", "logprobs"]),
            inner, max_size=5,
        ),
    )
)  # fmt: skip
def test_no_line_is_a_crash(value: Any) -> None:
    outcome(json.dumps(value).encode(), "m", "a call without a key", "")
    reply = {"custom_id": "k", "response": {"status_code": 200, "body": value}}
    name, found = outcome(json.dumps(reply).encode(), "m", "a call without a key", "")
    assert name == "k"
    assert isinstance(found, (Completion, Exception))


def test_a_batch_that_is_not_accepted(provider: Provider, shop: Shop) -> None:
    provider.ends[0] = "failed"
    provider.after = lambda call: (
        provider.batches[0].update(
            errors={"data": [{"line": 1, "message": f"No model for {KEY}."}, {"code": "odd"}]}
        )
        if call == "POST batches"
        else None
    )
    requests = shop.asks("a", "b")
    assert shop.stopped(requests) == (
        f"{provider.url}: E612 the provider did not accept batch_0 (No model for [key].; odd)\n"
        "    hint: 0 answers were stored: correct what it names and run `dvc repro` again to go on"
    )
    assert shop.clear()
    provider.after = lambda call: None
    assert shop.run(requests) == Counts(0, 2)
    assert provider.questions() == [["a", "b"]] * 2


def test_too_much_at_a_time_waits_its_turn(provider: Provider, shop: Shop) -> None:
    provider.ends[1] = "failed"

    def after(call: str) -> None:
        if call == "POST batches":
            provider.batches[-1]["polled"] = -len(provider.batches) * 2
        if call == "POST batches" and len(provider.batches) == 2:
            crowded = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}
            provider.batches[1] |= {"errors": {"data": [crowded]}, "polled": 0}

    provider.after = after
    assert shop.run(shop.asks("a", "b", "c"), requests=1, retries=0) == Counts(0, 3)
    assert provider.questions() == [["a"], ["b"], ["c"], ["b"]]
    # nothing more was submitted until one of the others had ended
    submitted = [place for place, call in enumerate(provider.calls) if call == "POST batches"]
    assert provider.calls.index("GET batches/batch_1") < submitted[3]
    assert provider.calls.index("GET files/output-0/content") < submitted[3]
    assert provider.calls.count("GET batches/batch_1") == 1


def test_too_much_at_a_time_with_nothing_else_there(provider: Provider, shop: Shop) -> None:
    provider.ends[0] = "failed"

    def after(call: str) -> None:
        crowded = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}
        if call == "POST batches":
            provider.batches[0]["errors"] = {"data": [crowded]}

    provider.after = after
    assert "E612 the provider did not accept batch_0 (Enqueued token limit reached)" in (
        shop.stopped(shop.asks("a"))
    )


def test_a_cancelled_batch(provider: Provider, shop: Shop) -> None:
    provider.ends[0] = "cancelled"
    provider.reply = lambda question: None if question == "b" else "fine"
    requests = shop.asks(*"abc")
    assert shop.stopped(requests) == (
        f"{provider.url}: E612 batch_0 was cancelled at the provider, with 1 requests left\n"
        "    hint: 2 answers were stored: see why and run `dvc repro` again to go on"
    )
    assert len(provider.batches) == 1
    provider.reply = lambda question: "fine"
    assert shop.run(requests) == Counts(2, 1)


def test_a_batch_that_the_provider_does_not_know(
    provider: Provider, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.stopped(shop.asks("a"), wait=False)
    provider.batches[0]["id"] = "batch_of_another_account"
    unknown = (
        f"{provider.url}: E612 the provider does not know batch_0, which is not fetched\n"
        "    hint: 0 answers were stored: use the key and the base URL that it was sent with and "
        "run `dvc repro` again to go on"
    )
    assert shop.stopped(shop.asks("a", "b")) == unknown
    assert shop.run(shop.asks("b", "c")) == Counts(0, 2)
    provider.polls, provider.batches[0]["id"] = 99, "batch_0"
    seen: list[str] = []

    def lost(call: str) -> Response | None:
        seen.append(call)
        return failed(404, "No batch") if seen.count("GET batches/batch_0") == 3 else None

    provider.before = lost
    assert shop.stopped(shop.asks("a")) == unknown
    provider.polls, provider.batches[0]["id"] = 1, "batch_of_another_account"
    shop.table("UPDATE batches SET since = '2020-01-01T00:00:00+00:00' WHERE state = 'open'")
    assert shop.run(shop.asks("a")) == Counts(0, 1)
    assert "the provider has forgotten batch_0\n" in capsys.readouterr().out
    assert shop.clear()


@pytest.mark.parametrize("content", [None, b"<html>Log in to the network</html>\n"])
def test_answers_that_are_gone(provider: Provider, shop: Shop, content: bytes | None) -> None:
    shop.price = PAID
    requests = shop.asks("a")
    instead = Response(content) if content else failed(404, "No such File")
    provider.before = lambda call: instead if "content" in call else None
    assert shop.stopped(requests, max_usd=1e9) == (
        f"{provider.url}: E612 the provider does not hold the answers of batch_0 any more\n"
        "    hint: 0 answers were stored: know that the rest will be paid for again and run "
        "`dvc repro` again to go on"
    )
    assert provider.count("GET files/output-0") > 3
    # it may have been paid for
    assert shop.spent() == 0.5 * (16 + 6 + 16 + 1 + 64 * 2)
    assert shop.clear()


@pytest.mark.parametrize("reply", [failed(500, "Boom."), failed(504, "Late."), cut(), told("odd")])
def test_a_submission_that_arrived_though_the_call_failed(
    provider: Provider, shop: Shop, reply: Response
) -> None:
    provider.after = lambda call: reply if call == "POST batches" else None
    assert shop.run(shop.asks("a")) == Counts(0, 1)
    assert provider.questions() == [["a"]]


def test_a_provider_that_keeps_no_metadata(provider: Provider, shop: Shop) -> None:
    def forget(call: str) -> Response | None:
        if call != "POST batches":
            return None
        del provider.batches[0]["metadata"]
        return failed(500, "Boom.")

    provider.after = forget
    assert shop.run(shop.asks("a")) == Counts(0, 1)
    assert provider.questions() == [["a"]]


@pytest.mark.parametrize("reply", [failed(500, "Boom."), failed(429, "Slow."), cut()])
def test_a_submission_that_did_not_arrive(provider: Provider, shop: Shop, reply: Response) -> None:
    provider.before = lambda call: (
        reply if call == "POST batches" and provider.count(call) < 3 else None
    )
    assert shop.run(shop.asks("a")) == Counts(0, 1)
    assert provider.calls.count("GET batches") == (0 if reply.status_code == 429 else 2)
    assert provider.questions() == [["a"]]


def test_a_submission_in_doubt_shows_up_late(
    provider: Provider, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_api, "SETTLE", 1.0)
    rests: list[float] = []

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        hidden.clear()

    monkeypatch.setattr(time, "sleep", sleep)
    hidden = ["yes"]
    provider.after = lambda call: failed(500, "Boom.") if call == "POST batches" else None
    provider.before = lambda call: (
        told({"data": [], "has_more": False}) if call == "GET batches" and hidden else None
    )
    shop.run(shop.asks("a"))
    assert provider.questions() == [["a"]]
    assert 0.5 < rests[0] <= 1.0


def test_doubt_outlasts_a_provider_that_fails(provider: Provider, shop: Shop) -> None:
    provider.after = lambda call: failed(500, "Boom.") if call.endswith("batches") else None
    assert shop.stopped(shop.asks("a")) == (
        f"{provider.url}: E606 no answer for 0.2 s (HTTP 500: Boom)\n"
        "    hint: 0 answers were stored: see to the server or wait and run `dvc repro` again to "
        "go on"
    )
    assert shop.table("SELECT state FROM batches") == [("sending",)]
    provider.after = lambda call: None
    assert shop.run(shop.asks("a")) == Counts(1, 0)
    assert provider.questions() == [["a"]]


@pytest.mark.parametrize("more", [True, None])
def test_a_batch_far_down_in_the_provider_s_list(
    provider: Provider, shop: Shop, more: bool | None
) -> None:
    provider.after = lambda call: failed(500, "Boom.") if call.endswith("batches") else None
    for number in range(5):
        batch = {"id": f"other_{number}", "metadata": None if number % 2 else {"tutelage": "x"}}
        provider.batches.append(batch)
    shop.stopped(shop.asks("a"))
    provider.batches.append({"id": "other_5"})
    provider.after, provider.page = lambda call: None, 2
    if more is None:

        def unsaid(call: str) -> Response | None:
            return told({"data": provider.batches}) if call == "GET batches" else None

        provider.before = unsaid
    assert shop.run(shop.asks("a")) == Counts(1, 0)
    assert provider.count("POST batches") == 1


def test_a_list_without_it_ends(provider: Provider, shop: Shop) -> None:
    shop.stopped(shop.asks("a"), wait=False)
    shop.table("UPDATE batches SET state = 'sending', batch = ''")
    provider.batches[0] |= {"metadata": {}, "input_file_id": "another"}
    provider.before = lambda call: (
        told({"data": provider.batches[:1]}) if call == "GET batches" else None
    )
    assert shop.run(shop.asks("a")) == Counts(0, 1)
    assert provider.count("GET batches") < 9


def test_a_provider_without_batches(provider: Provider, shop: Shop) -> None:
    provider.before = lambda call: failed(404, "Not Found")
    assert shop.stopped(shop.asks("a")) == (
        f"{provider.url}: E605 there are no batches at this base URL (HTTP 404)\n"
        "    hint: 0 answers were stored: correct the base URL, or ask without and run "
        "`dvc repro` again to go on"
    )
    assert shop.clear()


@pytest.mark.parametrize("at", ["POST files", "POST batches"])
def test_a_batch_that_is_refused_at_once(provider: Provider, shop: Shop, at: str) -> None:
    shop.price = PAID
    provider.before = lambda call: failed(400, f"Over {KEY}'s limit.") if call == at else None
    assert shop.stopped(shop.asks("a"), max_usd=1e9) == (
        f"{provider.url}: E612 the provider did not accept a batch "
        "(HTTP 400: Over [key]'s limit)\n"
        "    hint: 0 answers were stored: correct what it names and run `dvc repro` again to go on"
    )
    assert shop.clear()
    assert shop.spent() == 0.0


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    shop = Shop(url, tmp_path)
    assert shop.stopped(shop.asks("a")) == (
        f"{url}: E606 no answer for 0.2 s ([Errno 111] Connection refused)\n"
        "    hint: 0 answers were stored: see to the server or wait and run `dvc repro` again to "
        "go on"
    )
    assert shop.clear()


@pytest.mark.parametrize("reply", [failed(502, "Bad."), cut(), told([]), Response("<html>")])
def test_calls_that_fail_now_and_then(provider: Provider, shop: Shop, reply: Response) -> None:
    seen: Counter[str] = Counter()

    def trouble(call: str) -> Response | None:
        seen[call] += 1
        safe = call.startswith("GET") and "content" not in call
        return reply if seen[call] == 1 and (safe or reply.status_code != 200) else None

    provider.before = trouble
    assert shop.run(shop.asks("a", "b")) == Counts(0, 2)
    assert provider.questions() == [["a", "b"]]


def test_a_download_that_is_cut_short(provider: Provider, shop: Shop) -> None:
    def short(call: str) -> Response | None:
        if "output" not in call or provider.count(call) > 2:
            return None
        whole = provider.files["output-0"]
        size = {"Content-Length": str(len(whole))}
        return Response([whole[: whole.index(b"\n") + 1]], headers=size)

    provider.after = short
    assert shop.run(shop.asks("a", "b")) == Counts(0, 2)
    assert provider.questions() == [["a", "b"]]


WORST = 0.5 * (16 + 6 + 16 + 1 + 64 * 2)
PAYS = 0.5 * (5 * 1 + 3 * 2)


def test_what_is_spent(provider: Provider, shop: Shop) -> None:
    shop.price = PAID
    said = {"a": "fine", "b": (0, "batch_expired"), "c": (400, "No."), "d": b"{oh\n"}
    provider.reply = lambda question: said[question]
    requests = shop.asks(*"abcd")
    with pytest.raises(UserError, match="E606 2 requests failed in 1 batch "):
        shop.run(requests, retries=0, max_usd=1e9)
    assert shop.table("SELECT text, usd FROM completions ORDER BY usd") == [
        ('""', 0.0), ('"fine"', PAYS)
    ]  # fmt: skip
    # of a batch that is completed, what cannot be read may have been paid for
    assert shop.table("SELECT usd, reason FROM lost") == [
        (2 * WORST - WORST, "requests of a batch that failed")
    ]


def test_the_budget_holds_at_every_moment(provider: Provider, shop: Shop) -> None:
    shop.price, pays = PAID, 0.5 * (5 + 20 * 2)
    provider.reply = lambda question: chat("fine", prompt_tokens=5, completion_tokens=20)
    seen: list[float] = []

    def look(call: str) -> None:
        if call == "POST batches":
            seen.append(shop.spent())

    provider.after = look
    requests, budget = shop.asks(*"abcdefgh"), 2 * WORST + pays
    assert shop.stopped(requests, max_usd=budget) == (
        f"{provider.url}: E609 the budget of 189.5 USD is spent: 112.5000 so far, and the next "
        "request can cost up to 83.5000\n"
        "    hint: 5 answers were stored: raise runtime.max_usd and run `dvc repro` again to go on"
    )
    assert provider.questions() == [["a", "b"], ["c"], ["d"], ["e"]]
    assert seen == [2 * WORST, 2 * pays + WORST, 3 * pays + WORST, 4 * pays + WORST]
    provider.after = lambda call: None
    assert shop.run(requests, max_usd=1e9) == Counts(5, 3)
    assert shop.spent() == 8 * pays


def test_what_is_open_counts_against_the_budget(provider: Provider, shop: Shop) -> None:
    shop.price, provider.polls = PAID, 3
    shop.stopped(shop.asks("a"), wait=False, max_usd=WORST)
    assert shop.spent() == WORST
    assert "E611 1 request is" in shop.stopped(shop.asks("a", "b"), wait=False, max_usd=WORST)
    assert provider.questions() == [["a"]]
    shop.run(shop.asks("a", "b"), max_usd=WORST + PAYS)
    assert provider.questions() == [["a"], ["b"]]


def test_no_budget_and_no_price(provider: Provider, shop: Shop) -> None:
    shop.price = PAID
    assert shop.stopped(shop.asks("a")) == (
        "params.yaml: E608 asking 'teacher' costs money, 500000 USD per million tokens read and "
        "1e+06 written (params.yaml, times 0.5 for batches), and no budget is stated\n"
        "    hint: see `make plan` for the sum, then state runtime.max_usd; nothing was asked"
    )
    shop.price = None
    assert shop.stopped(shop.asks("a")).startswith("params.yaml: E610 nobody knows what 'teacher' ")
    assert provider.calls == []


def test_an_answer_that_another_engine_bought_meanwhile(provider: Provider, shop: Shop) -> None:
    shop.price = PAID
    requests = shop.asks("a", "b")
    shop.stopped(requests, wait=False, max_usd=1e9)
    with Store(shop.path) as store:
        store.put_many([(requests[0], Completion("sooner", "stop", 5, 3, usd=1.0))])
    shop.run(requests, max_usd=1e9)
    assert shop.texts(requests) == ["sooner", "fine"]
    assert shop.spent() == 1.0 + 2 * PAYS


@pytest.mark.parametrize("status", [400, 401, 500])
def test_the_key_is_found_nowhere(
    provider: Provider, shop: Shop, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    escaped = [quote(KEY), quote(KEY, safe=""), KEY.replace("/", "\\/")]
    leak = " ".join(["x" * 100, KEY, *escaped])
    said: dict[str, Any] = {"a": "fine", "b": (status, leak), "c": (0, leak)}
    said["d"] = [b'{"custom_id": "%s"}\n' % KEY.encode()]
    provider.reply = lambda question: said[question]
    told = [shop.stopped(shop.asks(*"abcd"), retries=0)]
    for at in ("POST files", "POST batches", "GET batches/batch_1"):

        def trouble(call: str, at: str = at) -> Response | None:
            return failed(status, leak) if call == at else None

        provider.before = trouble
        told.append(shop.stopped(shop.asks("e"), retries=0, wait=False))
    told += [path.read_bytes().decode("latin-1") for path in shop.path.parent.iterdir()]
    told += capfd.readouterr()
    assert "[key]" in "".join(told)
    assert "planted" not in "".join(told)


CHILD = """
import os, signal, sys
from pathlib import Path
from stages.engines.batch import api as batch_api, ledger as batches, wanted as batch_wanted
from stages.engines.batch.engine import BatchEngine
from stages.engines.batch.run import Batching
from stages.engines.fulfil import fulfil, single
from stages.engines.prices import Price
from stages.engines.request import Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse

url, path, where, name, when = sys.argv[1:]
part = {"ledger": batches.Ledger, "wanted": batch_wanted.Wanted, "api": batch_api.Provider}[where]
done = getattr(part, name)

def killed(*args, **named):
    if when == "after":
        done(*args, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(part, name, killed)
with Store(Path(path)) as store:
    purse = Purse(store, Price(1e6, 2e6, "params.yaml"), 1e9)
    to = BatchEngine("teacher", [url], "TUTELAGE_KEY", None, Flow(outage=1.0), purse,
                     Batching(interval=0.0))
    requests = [
        Request(to.endpoint, "teacher", (("system", "Think."), ("user", question)), 64)
        for question in "abc"
    ]
    fulfil(map(single, requests), 3, to, store, lambda *told, **named: None)
"""


@pytest.mark.parametrize(
    ("where", "what", "when", "submitted"),
    [
        ("ledger", "intend", "after", 0),
        ("api", "upload", "after", 0),
        ("ledger", "sending", "after", 0),
        ("api", "create", "after", 1),
        ("ledger", "opened", "before", 1),
        ("api", "retrieve", "after", 1),
        ("wanted", "answered", "before", 1),
        ("wanted", "answered", "after", 1),
        ("ledger", "end", "before", 1),
        ("ledger", "end", "after", 1),
    ],
)
def test_killed_anywhere(
    provider: Provider, shop: Shop, where: str, what: str, when: str, submitted: int
) -> None:
    provider.reply = lambda question: "fine" if question != "c" else (400, "No.")
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD, provider.url, str(shop.path), where, what,
         when],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert (child.returncode, child.stderr) == (-signal.SIGKILL, "")
    assert len(provider.batches) == submitted
    shop.price = PAID
    requests = shop.asks(*"abc")
    shop.run(requests, max_usd=1e9)
    assert provider.questions() == [list("abc")]
    assert shop.texts(requests) == ["fine", "fine", "HTTP 400: No"]
    assert shop.spent() == 2 * PAYS
    assert shop.clear()
