"""On what terms an endpoint is asked: how fast, and for how much money."""

from __future__ import annotations

from dataclasses import dataclass

from stages.engines.prices import Price
from stages.engines.store import Store


@dataclass(frozen=True)
class Flow:
    """Knobs that decide how fast and how far, never what is answered.

    Args:
        concurrency: Requests in flight at each base URL, at most.
        timeout: Seconds that one attempt may take.
        retries: Attempts after the first, for a request that fails while the server does not.
        outage: Seconds without any answer after which the server is given up.
        requests_per_minute: As the provider limits them; None for no limit.
        tokens_per_minute: Likewise, of prompts and answers together.
        limit_name: What the body calls the limit on an answer's tokens.
    """

    concurrency: int = 32
    timeout: float = 120.0
    retries: int = 6
    outage: float = 900.0
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    limit_name: str = "max_tokens"


@dataclass(frozen=True)
class Purse:
    """What may be spent.

    Args:
        store: Whose ledger the spending is added to.
        price: Of the model; None when nobody knows it.
        max_usd: The most that the ledger may ever show; None when the user stated nothing.
    """

    store: Store
    price: Price | None
    max_usd: float | None
