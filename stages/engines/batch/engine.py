"""The teacher through a provider's Batch protocol: half the price, within a day.

https://platform.openai.com/docs/guides/batch. No request is ever in two batches, a run can be left
or killed at any moment, and answers are in the store before their batch counts as ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial

from stages.core.errors import UserError
from stages.engines.batch.api import Missing, Provider
from stages.engines.batch.ledger import Ledger
from stages.engines.batch.run import Batching, Run
from stages.engines.batch.wanted import Wanted
from stages.engines.buying import buying
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.reply import Again, Halt, Refused
from stages.engines.request import Desk
from stages.engines.terms import Flow, Purse


class BatchEngine(OpenAIEngine):
    """One model behind the first of its base URLs, asked in batches.

    Args:
        model: See `OpenAIEngine`, as for all but the last.
        base_urls: Batches go to the first.
        key_env: Name of the environment variable that holds the key.
        identity: Stands for the server in request keys.
        flow: `timeout`, `retries`, `outage` and `limit_name` of it hold for batches; `retries` is
            how often a request that failed in a batch is put into another one.
        purse: What may be spent, at the price without batches.
        batching: How large, how often, for how much.

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
        batching: Batching | None = None,
    ) -> None:
        self.batching = batching or Batching()
        if purse and purse.price:
            full, factor = purse.price, self.batching.factor
            source = f"{full.source}, times {factor:g} for batches"
            price = Price(full.prompt * factor, full.completion * factor, source)
            purse = replace(purse, price=price)
        super().__init__(model, base_urls, key_env, identity, flow, purse)

    def serve(self, desk: Desk) -> None:
        """Answer what the desk hands out; see `Streamed.serve`.

        Raises:
            UserError: As `OpenAIEngine.serve`; also E611, when requests are left with the
                provider, and E612, when a batch came to nothing.
        """
        purse = self.purse
        if desk.peek() or not purse or not Ledger(purse.store, self.endpoint).stale():
            super().serve(desk)
            return
        # left by a run that was killed, with its bill to be settled
        with suppress(UserError):
            key = self.key()
            with buying(purse.store.path):
                self._serve(desk, purse, key)

    def _serve(self, desk: Desk, purse: Purse, key: str) -> None:
        url, flow = self.base_urls[0], self.flow
        ledger = Ledger(purse.store, self.endpoint)
        sender = f"the key in {self.key_env}" if key else "a call without a key"
        outage = flow.outage if desk.peek() else 0.0
        with closing(
            Provider(url, key, sender, self.model, flow.timeout, outage, self.local)
        ) as provider:
            budget = partial(self._budget, purse)
            wanted = Wanted(desk, purse.store, flow.retries)
            run = Run(url, wanted, ledger, provider, self.batching, flow, budget)
            try:
                run.go()
            except KeyboardInterrupt:
                if ledger.count()[0]:
                    raise run.left() from None
                raise
            except Again as again:
                message = f"no answer for {flow.outage:g} s ({again})"
                raise run.stop("E606", message, "see to the server or wait") from None
            except Halt as halt:
                raise run.stop(halt.code, str(halt), halt.cure) from None
            except Refused as refusal:
                message = f"the provider did not accept a batch ({refusal})"
                raise run.stop("E612", message, "correct what it names") from None
            except Missing as missing:
                message = f"there are no batches at this base URL ({missing})"
                raise run.stop("E605", message, "correct the base URL, or ask without") from None
