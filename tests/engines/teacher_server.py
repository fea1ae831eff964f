"""A teacher that is a real HTTP server: it counts, fails as it is told to, and is fast.

It runs on a thread of its own and serves thousands of requests a second, which the server of
`conftest` does not.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.request import Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse
from tests.engines.helpers import Result, answer

FREE = Price(0.0, 0.0, "free")


@dataclass
class Raw:
    """A reply that is not a plain 200."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the connection breaks in the middle of the body."""


NEVER = Raw(status=0)
"""The request is taken and no reply comes."""


def chat(text: str | None = "fine", finish: str = "stop", spent: int = 3) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 5, "completion_tokens": spent}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def failed(status: int, message: str, **headers: str) -> Raw:
    body = json.dumps({"error": {"message": message}}).encode()
    return Raw(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


class Teacher:
    """A context manager; see the module.

    Attributes:
        reply: Makes the reply to the n-th request, counted from 1, and its body.
        latency: Seconds that a reply takes, of the number in flight.
        bodies: Of all requests, in order.
        times: When they came.
        peak: The most that were in flight at once since it was last set to 0.
        calls: Connections made.
    """

    def __init__(self, port: int = 0) -> None:
        self.reply: Callable[[int, dict[str, Any]], dict[str, Any] | Raw] = lambda n, body: chat()
        self.latency: Callable[[int], float] = lambda in_flight: 0.0
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.times: list[float] = []
        self.in_flight = self.peak = 0
        self.port = port
        self._connections: set[_Connection] = set()
        self._listening: asyncio.Server | None = None
        self.shut = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Teacher:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *of: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def questions(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.bodies]

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._wait(self._open())

    def close(self) -> None:
        """Stop to listen and break all connections."""
        self._wait(self._close())

    def _wait(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        self.shut = False
        self._listening = await self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024, reuse_address=True
        )
        self.port = self._listening.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self.shut = True
        if self._listening:
            self._listening.close()
            self._listening = None
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def take(self, connection: _Connection, head: bytes, content: bytes) -> None:
        body = json.loads(content or b"{}")
        self.bodies.append(body)
        self.heads.append(head)
        self.times.append(time.monotonic())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        connection.busy = True
        made = self.reply(len(self.bodies), body)
        if made is not NEVER:
            self._loop.call_later(self.latency(self.in_flight), connection.send, made)


class _Connection(asyncio.Protocol):
    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.buffer = b""
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.teacher._connections.add(self)
        if self.teacher.shut:  # it was on its way when the others were broken
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.teacher._connections.discard(self)
        self._free()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, content = self.buffer.partition(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r")[0]) if at >= 0 else 0
        if found and len(content) >= length:
            self.buffer = b""
            self.teacher.take(self, head, content)

    def send(self, made: dict[str, Any] | Raw) -> None:
        self._free()
        if self.transport.is_closing():
            return
        raw = made if isinstance(made, Raw) else Raw(body=json.dumps(made).encode())
        lines = [f"HTTP/1.1 {raw.status} Said", "Content-Type: application/json"]
        lines += [f"{name}: {text}" for name, text in raw.headers.items()]
        lines += [f"Content-Length: {len(raw.body) + (50 if raw.cut else 0)}", "", ""]
        self.transport.write("\r\n".join(lines).encode("utf-8", "surrogateescape") + raw.body)
        if raw.cut:
            self.transport.close()

    def _free(self) -> None:
        self.teacher.in_flight -= self.busy
        self.busy = False


def engine(*teachers: Teacher | str, **settings: Any) -> OpenAIEngine:
    """An engine for teachers that are here, or for base URLs."""
    urls = [one if isinstance(one, str) else one.url for one in teachers]
    key, identity = settings.pop("key_env", ""), settings.pop("identity", "ours")
    flow = Flow(**{"concurrency": 32, "timeout": 10.0, "outage": 10.0, **settings})
    return OpenAIEngine("teacher", urls, key, identity, flow)


def asks(count: int, start: int = 0, **fields: Any) -> list[Request]:
    """Distinct requests to whatever `engine` makes."""
    plain = {"max_tokens": 64, **fields}
    return [
        Request("ours", "teacher", (("system", "Think."), ("user", f"q{i}")), **plain)
        for i in range(start, start + count)
    ]


def run(
    store: Store,
    to: OpenAIEngine,
    requests: list[Request],
    price: Price | None = FREE,
    max_usd: float | None = None,
) -> Result:
    """Ask, with the purse that the price and the budget make."""
    to.purse = Purse(store, price, max_usd)
    return answer(requests, to, store)


def held(store: Store) -> int:
    """How many answers the store has."""
    return sum(store.count().values())


def nobody() -> str:
    """A base URL where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"
