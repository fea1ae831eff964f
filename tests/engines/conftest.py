"""A real HTTP server that counts what it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from stages.engines import delays, flow
from stages.engines.store import Store
from tests.engines.teacher_server import Teacher


class Server:
    """Answers chat completions with what `reply` makes of the n-th call (from 1) and its body."""

    def __init__(self, http: HTTPServer) -> None:
        self.url = http.url_for("/v1")
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.times: list[float] = []
        self.delay = 0.0
        self.reply: Callable[[int, dict[str, Any]], Any] = lambda n, body: self.chat("fine")
        self._lock = threading.Lock()
        http.expect_request("/v1/chat/completions").respond_with_handler(self._handle)

    @staticmethod
    def chat(text: str | None, finish: str = "stop", spent: int = 3) -> dict[str, Any]:
        """A reply in OpenAI's shape."""
        message = {"role": "assistant", "content": text}
        return {
            "choices": [{"message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 5, "completion_tokens": spent},
        }

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def questions(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.bodies]

    def _handle(self, request: Request) -> Response:
        body = json.loads(request.data)
        with self._lock:
            self.bodies.append(body)
            self.keys.append(request.headers.get("Authorization", ""))
            self.times.append(time.monotonic())
            made = self.reply(self.calls, body)
        time.sleep(self.delay)
        if isinstance(made, Response):
            return made
        return Response(json.dumps(made), content_type="application/json")


@pytest.fixture(scope="package")
def http() -> Iterator[HTTPServer]:
    # one for all tests, as stopping it takes half a second
    http = HTTPServer(host="127.0.0.1", port=0, threaded=True)
    http.start()
    yield http
    http.stop()


@pytest.fixture
def server(http: HTTPServer) -> Server:
    http.clear()
    return Server(http)


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with Teacher() as teacher:
        yield teacher


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s") as store:
        yield store


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr(delays, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(flow, "FIRST_PAUSE", 0.05)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The breaker's pauses, from 0.1 to 0.4 s."""
    monkeypatch.setattr(flow, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(flow, "LONGEST_PAUSE", 0.4)
