"""Chat and plain completions from servers that speak OpenAI's protocol, over HTTP.

The key is read from the environment when it is first needed, sent in a header, and struck out of
whatever a server says. The connections only carry the calls: retries, flow and the reading of
replies are the package's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stages.core.errors import UserError, user_error
from stages.engines.budget import Budget
from stages.engines.buying import buying
from stages.engines.flow import Server
from stages.engines.limits import Limits
from stages.engines.pool import Ask, Pool
from stages.engines.prices import on_this_machine
from stages.engines.reply import Again, clean, judge, read
from stages.engines.request import Completion, Desk, Request
from stages.engines.terms import Flow, Purse
from stages.engines.wire import PATHS, body, cause, said

if TYPE_CHECKING:
    import aiohttp


class OpenAIEngine:
    """One model behind one or more base URLs.

    Args:
        model: Name as the servers know it.
        base_urls: Each up to and including ``/v1``; requests are balanced among them.
        key_env: Name of the environment variable that holds the key. A server on this machine
            may go without.
        identity: Stands for the servers in request keys, so that they can move without their
            answers being bought again; the base URL when None.
        flow: How fast.
        purse: What may be spent; None only where nothing is asked.

    Raises:
        UserError: E604, when a base URL itself holds a secret.
    """

    def __init__(
        self,
        model: str,
        base_urls: Sequence[str],
        key_env: str = "",
        identity: str | None = None,
        flow: Flow | None = None,
        purse: Purse | None = None,
    ) -> None:
        for url in map(urlsplit, base_urls):
            if url.username or url.password or url.query:
                raise user_error(
                    "params.yaml",
                    "E604",
                    f"the base URL on {url.hostname} holds a login or a query, which would be "
                    "stored with every answer",
                    "put the key in an environment variable and name the variable",
                )
        self.model = model
        self.base_urls = [url.rstrip("/") for url in base_urls]
        self.endpoint = identity or self.base_urls[0]
        self.key_env = key_env
        self.flow = flow or Flow()
        self.purse = purse
        self.local = all(on_this_machine(url) for url in self.base_urls)

    def serve(self, desk: Desk) -> None:
        """Answer what the desk hands out; see `Streamed.serve`.

        A request that the server refuses, or answers without any text however often it is asked,
        is delivered as a completion with an `error`.

        Raises:
            UserError: E604 no key in the environment, E605 the server will not serve this key or
                model, E606 a failure outlasted the retries, E608 no budget is stated, E609 it is
                spent, E610 nobody knows the price.
        """
        first, purse = desk.peek(), self.purse
        if first is None:
            return
        assert purse is not None
        key = self.key()
        self._budget(purse, first)
        with buying(purse.store.path):
            desk.refresh()
            self._serve(desk, purse, key)

    def _serve(self, desk: Desk, purse: Purse, key: str) -> None:
        first = desk.peek()
        if first is None:
            return
        budget = self._budget(purse, first)
        name = f"in flight {uuid.uuid4().hex}"
        set_aside = 0.0

        def lose(usd: float, reason: str) -> None:
            if usd:
                purse.store.lose(uuid.uuid4().hex, self.endpoint, self.model, usd, reason)

        def reserve(usd: float) -> None:
            nonlocal set_aside
            if usd != set_aside:
                set_aside = usd
                purse.store.lose(name, self.endpoint, self.model, usd, "a run that was killed")

        servers = [Server(url, self.flow.concurrency) for url in self.base_urls]
        limits = Limits(self.flow.requests_per_minute, self.flow.tokens_per_minute)
        pool = Pool(
            desk, servers, budget, self.flow.retries, self.flow.outage,
            limits.admit, lose, reserve,
        )  # fmt: skip
        pool.run(lambda: self._connected(key))
        self._tell(pool)

    def key(self) -> str:
        """The key from the environment; empty where none is needed. Raises `UserError` E604."""
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise self._keyless(f"the environment variable {self.key_env} does not hold a key")
        if not key and not self.local:
            if not self.key_env:
                raise self._keyless(f"no environment variable is named for {self.base_urls[0]}")
            raise self._keyless(
                f"the environment variable {self.key_env}, which holds the key for "
                f"{self.base_urls[0]}, is not set"
            )
        return key

    def _keyless(self, message: str) -> UserError:
        hint = f"export {self.key_env or 'NAME'}=… in the shell that runs `dvc repro`"
        return user_error("environment", "E604", message, hint)

    def _budget(self, purse: Purse, first: Request) -> Budget:
        if purse.price is None:
            raise user_error(
                "params.yaml", "E610", f"nobody knows what {self.model!r} costs at this base URL",
                "state runtime.price, in USD per million tokens: {prompt: 0.4, completion: 1.6}",
            )  # fmt: skip
        budget = Budget(purse.price, purse.max_usd, purse.store.spent())
        if purse.max_usd is None and budget.worst(first):
            raise user_error(
                "params.yaml", "E608",
                f"asking {self.model!r} costs money, {purse.price.prompt:g} USD per million tokens "
                f"read and {purse.price.completion:g} written ({purse.price.source}), and no "
                "budget is stated",
                "see `make plan` for the sum, then state runtime.max_usd; nothing was asked",
            )  # fmt: skip
        return budget

    def _tell(self, pool: Pool) -> None:
        code = message = cure = ""
        if pool.halt:
            code, message, cure = pool.halt.code, str(pool.halt), pool.halt.cure
        elif pool.given_up:
            reasons = sorted({reason for _, reason in pool.given_up})
            times = pool.retries + 1
            many = "a request" if len(pool.given_up) == 1 else f"{len(pool.given_up)} requests"
            code, cure = "E606", "see to the server or wait"
            message = f"{many} failed in {times} attempt{'s' if times > 1 else ''} ({reasons[0]})"
        if code:
            raise user_error(
                ", ".join(self.base_urls), code, message,
                f"{pool.delivered} answers were stored: {cure} and run `dvc repro` again to go on",
            )  # fmt: skip

    @asynccontextmanager
    async def _connected(self, key: str) -> AsyncIterator[Ask]:
        import aiohttp

        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        total = self.flow.concurrency * len(self.base_urls)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=total, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self.flow.timeout),
            headers=headers,
            # a proxy from the environment cannot reach a server on this machine
            trust_env=not self.local,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:

            async def ask(server: Server, request: Request) -> Completion:
                return await self._ask(session, server.url, request, key)

            yield ask

    async def _ask(
        self, session: aiohttp.ClientSession, url: str, request: Request, key: str
    ) -> Completion:
        import aiohttp

        # escaped, so that lone surrogates can be sent
        content = json.dumps(body(request, self.flow.limit_name)).encode()
        try:
            async with session.post(
                url + PATHS[request.api], data=content, allow_redirects=False
            ) as reply:
                raw, status, headers = await reply.read(), reply.status, reply.headers
                phrase = reply.reason or ""
        except asyncio.TimeoutError:
            reason = f"no answer within {self.flow.timeout:g} s"
            raise Again(reason, billed=True) from None
        except aiohttp.ClientConnectorError as error:
            raise Again(clean(cause(error), key)) from None
        except aiohttp.ClientError as error:
            raise Again(clean(cause(error), key), billed=True) from None
        if status == 200:
            return read(raw, key)
        sender = f"the key in {self.key_env}" if key else "a call without a key"
        raise judge(status, said(raw) or phrase, headers, self.model, sender, key)
