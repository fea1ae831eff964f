"""One call over HTTP: a request goes out, and its answer or what went wrong comes back.

The connections only carry the calls: retries, flow and the reading of replies are the package's
own. The key is sent in a header, and struck out of whatever is said.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from stages.engines.flow import Server
from stages.engines.pool import Ask
from stages.engines.reply import Again, Halt, clean, judge, read
from stages.engines.request import Completion, Request
from stages.engines.terms import Flow
from stages.engines.wire import PATHS, Unreached, body, cause, place, said

_CONNECT = 30.0  # seconds that a connection may take
_SPARE = 64  # files that are open beside the connections


@asynccontextmanager
async def connected(
    urls: Sequence[str], flow: Flow, key: str, sender: str, local: bool
) -> AsyncIterator[Ask]:
    """What asks one request once; see `Pool.run`.

    Args:
        urls: Base URLs.
        flow: How many connections, and how long one attempt may take.
        key: Empty for none.
        sender: What a refused key is called; see `judge`.
        local: Whether the servers are on this machine, which no proxy reaches.
    """
    import aiohttp

    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    total = flow.concurrency * len(urls)
    _allow_files(total + _SPARE)
    # looked up here, as the library would do it anew for each call, on another thread
    proxies = {url: None if local else _proxy(url) for url in urls}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=total, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=flow.timeout, sock_connect=min(_CONNECT, flow.timeout)),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def ask(server: Server, request: Request) -> Completion:
            # escaped, so that lone surrogates can be sent
            content = json.dumps(body(request, flow.limit_name)).encode()
            try:
                async with session.post(
                    server.url + PATHS[request.api],
                    data=content,
                    # given here, as headers of the session are sent to a proxy as well
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxies[server.url],
                ) as reply:
                    raw, status, said_with = await reply.read(), reply.status, reply.headers
                    phrase = reply.reason or ""
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
                raise _failed(error, flow, key) from None
            if 200 <= status < 300:
                return read(raw, key)
            if 300 <= status < 400:
                where = clean(place(said_with.get("Location", "")), key)
                message = f"this base URL leads elsewhere (HTTP {status}{where and ': ' + where})"
                raise Halt("E605", message, "correct the base URL")
            raise judge(status, said(raw) or phrase, said_with, request.model, sender, key)

        yield ask


def _failed(error: Exception, flow: Flow, key: str) -> Again | Halt:
    import aiohttp

    reason = clean(cause(error), key)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cure = "correct the base URL, or have its certificate trusted"
        return Halt("E605", f"the certificate of this server is not valid ({reason})", cure)
    if isinstance(error, aiohttp.InvalidURL):
        return Halt("E605", f"this is no base URL ({reason})", "correct it")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Unreached(f"no connection within {min(_CONNECT, flow.timeout):g} s")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
        return Unreached(reason)
    if isinstance(error, asyncio.TimeoutError):
        reason = f"no answer within {flow.timeout:g} s"
    return Again(reason, billed=True)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL."""
    parts = urlsplit(url)
    named = getproxies().get(parts.scheme, "")
    if not named or proxy_bypass(parts.netloc):
        return None
    return named if "://" in named else f"http://{named}"


def _allow_files(count: int) -> None:
    """Raise the soft limit on open files, as each connection is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard):
        count = min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < count:
        with suppress(OSError, ValueError):  # connections then wait for each other
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
