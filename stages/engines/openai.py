"""Chat and plain completions from servers that speak OpenAI's protocol, over HTTP.

The key is read from the environment when it is first needed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from stages.core.errors import UserError, user_error
from stages.engines.budget import Budget
from stages.engines.buying import buying
from stages.engines.calling import connected
from stages.engines.flow import Server
from stages.engines.limits import Limits
from stages.engines.outbox import Outbox
from stages.engines.outcomes import Outcomes
from stages.engines.pool import Pool
from stages.engines.prices import on_this_machine
from stages.engines.request import Desk, Request
from stages.engines.rescue import rescue
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse


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
        self._servers = [Server(url, self.flow.concurrency) for url in self.base_urls]

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
        budget, flow = self._budget(purse, first), self.flow
        # what was learnt of a server holds for the next run, unless it failed
        self._servers = servers = [
            Server(server.url, server.ceiling) if server.down else server
            for server in self._servers
        ]
        ledger = _Ledger(purse.store, self.endpoint, self.model)
        outbox = Outbox(desk, budget, ledger, partial(rescue, purse.store))
        outcomes = Outcomes(desk, outbox, budget, flow.retries, flow.outage)
        limits = Limits(flow.requests_per_minute, flow.tokens_per_minute)
        sender = f"the key in {self.key_env}" if key else "a call without a key"
        pool = Pool(desk, outbox, outcomes, servers, budget, limits)
        pool.run(lambda: connected(self.base_urls, flow, key, sender, self.local))
        self._tell(outcomes, outbox.delivered)

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

    def _tell(self, outcomes: Outcomes, delivered: int) -> None:
        code = message = cure = ""
        if outcomes.halt:
            code, message, cure = outcomes.halt.code, str(outcomes.halt), outcomes.halt.cure
        elif count := outcomes.given_up:
            many = "a request" if count == 1 else f"{count} requests"
            times = self.flow.retries + 1
            code, cure = "E606", "see to the server or wait"
            message = (
                f"{many} failed in {times} attempt{'s' if times > 1 else ''} ({outcomes.reason})"
            )
        if code:
            raise user_error(
                ", ".join(self.base_urls), code, message,
                f"{delivered} answers were stored: {cure} and run `dvc repro` again to go on",
            )  # fmt: skip


class _Ledger:
    """See `stages.engines.outbox.Ledger`."""

    def __init__(self, store: Store, endpoint: str, model: str) -> None:
        self._store, self._of = store, (endpoint, model)
        self._name = f"in flight {uuid.uuid4().hex}"

    def lose(self, usd: float) -> None:
        self._store.lose(uuid.uuid4().hex, *self._of, usd, "attempts that no answer came of")

    def keep(self, usd: float) -> None:
        self._store.lose(self._name, *self._of, usd, "a run that was killed")
