"""A chat server that answers after a fixed latency: python -m benchmarks.latency_server.

Stands in for a served model wherever the client is what is measured. A process of its own that
prints its port on stdout:

    python -m benchmarks.latency_server --latency 0.5 --port 0

``POST /v1/chat/completions`` and ``/v1/completions`` are answered once the latency has passed,
never early and about a millisecond late, with a paragraph of some 80 tokens picked by a checksum
of the body. ``GET /count`` returns ``{"requests", "in_flight_peak", "span_s"}``, the last being the
seconds from the first request to the last reply; ``GET /reset`` returns the same and starts anew;
``GET /v1/models`` lists one model.

It shares the machine with the client, so it does as little as it can: HTTP/1.1 with
Content-Length only (no chunked bodies, streaming or pipelining), bodies that are not parsed,
replies of one fixed length that a template makes, and a single timer for all that is due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
import zlib
from collections import deque

MODEL = "fixed-latency"
COMPLETION_TOKENS = 80
# fixed widths keep Content-Length constant; JSON allows the spaces that pad a number
PARAGRAPH = (
    "Let us take the question one step at a time. It gives us %4d to begin with, and each of the "
    "%4d steps that follow adds the same amount to it, so we can multiply first and add the two "
    "parts afterwards. Doing so with care, and checking the carry, leaves us with %8d in all, "
    "which fits the size that we would expect. The answer is %8d."
)
USAGE = (
    '"usage": {"prompt_tokens": %7d, "completion_tokens": '
    f'{COMPLETION_TOKENS}, "total_tokens": %7d}}}}'
)
START = (
    '{"id": "reply-%010d", "created": 1700000000, "model": "' + MODEL + '", "object": "OBJECT", '
    '"choices": [{"index": 0, "finish_reason": "stop", "logprobs": null, CHOICE}], '
)


def template(kind: str, choice: str) -> bytes:
    """A whole HTTP response that lacks its numbers."""
    body = START.replace("OBJECT", kind).replace("CHOICE", choice) + USAGE
    return http(body, len(body % ((0,) * 7)))


def http(body: str, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    return (head + body).encode()


CHAT = template("chat.completion", f'"message": {{"role": "assistant", "content": "{PARAGRAPH}"}}')
TEXT = template("text_completion", f'"text": "{PARAGRAPH}"')
MODELS = http(json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}))
MISSING = http("{}").replace(b"200 OK", b"404 Not Found")


def reply(form: bytes, body: bytes) -> bytes:
    seed = zlib.crc32(body)
    first, steps, prompt = seed % 9973, seed % 97 + 2, len(body) // 4
    total = first * steps
    return form % (seed, first, steps, total, total, prompt, prompt + COMPLETION_TOKENS)


class Server:
    """What all connections share: the replies that wait for their time, and the counts."""

    def __init__(self, latency: float, loop: asyncio.AbstractEventLoop) -> None:
        self.latency = latency
        self.loop = loop
        # one latency for all, so what came first is due first and the head's timer is enough
        self.waiting: deque[tuple[float, asyncio.WriteTransport, bytes]] = deque()
        self.reset()

    def reset(self) -> None:
        self.requests = self.peak = 0
        self.first = self.last = time.monotonic()

    def counts(self) -> bytes:
        span = round(self.last - self.first, 4)
        return http(
            json.dumps({"requests": self.requests, "in_flight_peak": self.peak, "span_s": span})
        )

    def accept(self, transport: asyncio.WriteTransport, form: bytes, body: bytes) -> None:
        now = time.monotonic()
        if not self.requests:
            self.first = now
        self.requests += 1
        self.waiting.append((now + self.latency, transport, reply(form, body)))
        if len(self.waiting) == 1:
            self.loop.call_later(self.latency, self.release)
        self.peak = max(self.peak, len(self.waiting))

    def release(self) -> None:
        waiting, now = self.waiting, time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, transport, data = waiting.popleft()
            transport.write(data)
        self.last = time.monotonic()
        if waiting:
            self.loop.call_later(waiting[0][0] - now, self.release)


class Connection(asyncio.Protocol):
    """One kept-alive connection: reads a request, hands it over, reads the next."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer = data = self.buffer + data if self.buffer else data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return
        length, at = 0, data[:head].lower().find(b"\ncontent-length:")
        if at >= 0:
            length = int(data[at + 16 : data.find(b"\r", at)])
        if len(data) >= head + 4 + length:
            self.buffer = b""
            self.request(data[: data.find(b"\r")].split()[1], data[head + 4 :])

    def request(self, path: bytes, body: bytes) -> None:
        if path.endswith(b"/completions"):
            form = CHAT if path.endswith(b"/chat/completions") else TEXT
            self.server.accept(self.transport, form, body)
        elif path in (b"/count", b"/reset"):
            self.transport.write(self.server.counts())
            if path == b"/reset":
                self.server.reset()
        else:
            self.transport.write(MODELS if path == b"/v1/models" else MISSING)


async def serve(latency: float, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = Server(latency, loop)
    listening = await loop.create_server(
        lambda: Connection(server), "127.0.0.1", port, backlog=65535
    )
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--latency", type=float, default=0.5, help="seconds (0.5)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve(options.latency, options.port))


if __name__ == "__main__":
    main()
