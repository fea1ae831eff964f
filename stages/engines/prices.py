"""What a token costs: as stated in ``params.yaml``, or as listed in the genai-prices package.

Nothing here uses the network: the list is the one that came with the installed package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

_HOURS = 24  # hours ahead that a price must hold for, as a run can go on for as long


@dataclass(frozen=True)
class Price:
    """What the tokens of one model cost.

    Args:
        prompt: USD per million tokens read.
        completion: USD per million tokens written.
        source: Who says so: ``params.yaml``, ``genai-prices`` with its version, or ``served on
            this machine``.

    Raises:
        ValueError: A rate is negative, infinite or not a number.
    """

    prompt: float
    completion: float
    source: str

    def __post_init__(self) -> None:
        for rate in (self.prompt, self.completion):
            if not (math.isfinite(rate) and rate >= 0):
                raise ValueError(f"a price of {rate} USD per million tokens")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """USD for one exchange; never falls when either count rises."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1_000_000


def price_of(
    model: str, base_urls: Sequence[str], stated: Mapping[str, float] | None
) -> Price | None:
    """The price of a model, or None when nobody knows it.

    A listed price is an upper bound for chat without tools: the rates of the highest tier of
    prompt length, of the dearest hour within the next 24, and of the dearest of several servers,
    without the discount for cached prompts. One thing is left out that could add to it: what some
    servers charge for writing to their cache, a quarter of the prompt's rate in general.

    Args:
        model: Name as the servers know it.
        base_urls: Of every server that may be asked; none of them is contacted.
        stated: ``runtime.price`` of ``params.yaml``, USD per million tokens under ``prompt`` and
            ``completion``. It wins over all else, so it is the way to price a paid server behind
            a proxy on this machine, which is otherwise taken to be free.

    Raises:
        KeyError: `stated` lacks one of the two.
        ValueError: A stated rate is no price.
    """
    if stated is not None:
        return Price(float(stated["prompt"]), float(stated["completion"]), "params.yaml")
    if not base_urls:
        return None
    remote = [url for url in base_urls if not on_this_machine(url)]
    if not remote:
        return Price(0.0, 0.0, "served on this machine")
    known = [price for url in remote if (price := _listed(model, url))]
    if len(known) < len(remote):
        return None
    return Price(
        max(price.prompt for price in known),
        max(price.completion for price in known),
        known[0].source,
    )


def on_this_machine(base_url: str) -> bool:
    """Whether the host of `base_url` is the loopback interface, by its name or its address."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _listed(model: str, base_url: str) -> Price | None:
    # imported here, as it takes a third of a second and few runs have to be paid for
    import genai_prices

    url = urlsplit(base_url)
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=0, output_tokens=0),
            model,
            # its patterns are in lower case
            provider_api_url=url._replace(netloc=url.netloc.lower()).geturl(),
        )
    except LookupError:
        return None
    if found.total_price:
        # a charge for each request, on top of its tokens, which no rate a token can stand for
        return None
    now = datetime.now(timezone.utc)
    day = [found.model.get_prices(now + timedelta(hours=hour)) for hour in range(_HOURS + 1)]
    prompt = _dearest([prices.input_mtok for prices in day])
    completion = _dearest([prices.output_mtok for prices in day])
    if prompt is None or completion is None:
        # models of which only the name is listed, and those billed by the second or the page
        return None
    return Price(prompt, completion, f"genai-prices {genai_prices.__version__}")


def _dearest(rates: Sequence[Decimal | TieredPrices | None]) -> float | None:
    top = Decimal(0)
    for rate in rates:
        if rate is None:
            return None
        if isinstance(rate, Decimal):
            top = max(top, rate)
        else:
            top = max([top, rate.base, *(tier.price for tier in rate.tiers)])
    return float(top)
