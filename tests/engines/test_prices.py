from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import pytest
from genai_prices import data_snapshot
from genai_prices.types import (
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from stages.engines.prices import Price, on_this_machine, price_of

HERE = "http://127.0.0.1:8000/v1"
THERE = "https://api.shop.test/v1"
DEARER = "https://api.boutique.test/v1"
LISTED = f"genai-prices {version('genai-prices')}"


def rates(prompt: str, completion: str, **more: Decimal) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(prompt), output_mtok=Decimal(completion), **more)


def tiers(base: str, *steps: tuple[int, str]) -> TieredPrices:
    return TieredPrices(Decimal(base), [Tier(start, Decimal(price)) for start, price in steps])


class Shelf(list[ModelInfo]):
    """The models that are listed for `THERE`."""

    def put(self, name: str, prices: ModelPrice | list[ConditionalPrice]) -> None:
        self.append(ModelInfo(name, ClauseStartsWith(name), prices=prices))


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """`THERE` and `DEARER` both have `plain`."""
    cheap, dear = Shelf(), Shelf()
    cheap.put("plain", rates("0.5", "2"))
    dear.put("plain", rates("1", "1.5"))
    providers = [
        Provider("shop", "Shop", re.escape("https://api.shop.test"), models=cheap),
        Provider("boutique", "Boutique", re.escape("https://api.boutique.test"), models=dear),
    ]
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot(providers, False))
    yield cheap
    data_snapshot.set_custom_snapshot(None)


def test_cost() -> None:
    price = Price(0.5, 2.0, "params.yaml")
    assert price.cost(0, 0) == 0.0
    assert price.cost(1_000_000, 0) == 0.5
    assert price.cost(0, 1_000_000) == 2.0
    assert price.cost(3_000_000, 500_000) == 2.5


@pytest.mark.parametrize("rate", [-0.1, float("inf"), float("nan")])
def test_no_price(rate: float) -> None:
    with pytest.raises(ValueError, match="USD per million tokens"):
        Price(rate, 1.0, "params.yaml")
    with pytest.raises(ValueError, match="USD per million tokens"):
        price_of("m", [THERE], {"prompt": 1.0, "completion": rate})


@pytest.mark.parametrize("urls", [[], [HERE], [THERE], ["https://unknown.test/v1"]])
def test_a_stated_price_wins(shelf: Shelf, urls: list[str]) -> None:
    stated = {"prompt": 3, "completion": 4.5}
    assert price_of("plain", urls, stated) == Price(3.0, 4.5, "params.yaml")


def test_half_a_stated_price() -> None:
    with pytest.raises(KeyError):
        price_of("plain", [THERE], {"prompt": 3.0})


@pytest.mark.parametrize(
    ("url", "local"),
    [
        (HERE, True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://LOCALHOST/v1", True),
        ("http://vllm.localhost/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://[2001:db8::1]/v1", False),
        ("https://localhost.example.org/v1", False),
        ("https://api.openai.com/v1", False),
        ("not a url", False),
    ],
)
def test_on_this_machine(url: str, local: bool) -> None:
    assert on_this_machine(url) is local


def test_what_this_machine_serves_costs_nothing(shelf: Shelf) -> None:
    free = Price(0.0, 0.0, "served on this machine")
    assert price_of("plain", [HERE], None) == free
    assert price_of("plain", [HERE, "http://localhost:8001/v1"], None) == free


def test_a_listed_price(shelf: Shelf) -> None:
    assert price_of("plain", [THERE], None) == Price(0.5, 2.0, LISTED)
    assert price_of("plain", ["HTTPS://API.Shop.test/v1/"], None) == Price(0.5, 2.0, LISTED)


def test_the_dearest_of_several_servers(shelf: Shelf) -> None:
    assert price_of("plain", [THERE, HERE], None) == Price(0.5, 2.0, LISTED)
    assert price_of("plain", [HERE, THERE, DEARER], None) == Price(1.0, 2.0, LISTED)


@pytest.mark.parametrize(
    ("model", "urls"),
    [
        ("plain", []),
        ("plain", ["https://unknown.test/v1"]),
        ("plain", [THERE, "https://unknown.test/v1"]),
        ("plain", [HERE, "https://unknown.test/v1"]),
        ("unheard-of", [THERE]),
        ("", [THERE]),
    ],
)
def test_nobody_knows(shelf: Shelf, model: str, urls: list[str]) -> None:
    assert price_of(model, urls, None) is None


def test_the_rates_of_the_highest_tier(shelf: Shelf) -> None:
    shelf.put(
        "steep",
        ModelPrice(input_mtok=tiers("1", (200_000, "2"), (400_000, "3")), output_mtok=Decimal("8")),
    )
    assert price_of("steep", [THERE], None) == Price(3.0, 8.0, LISTED)


def test_a_tier_that_is_cheaper_sets_no_bound(shelf: Shelf) -> None:
    shelf.put(
        "bulk",
        ModelPrice(
            input_mtok=tiers("4", (1000, "5"), (9000, "1")), output_mtok=tiers("7", (1000, "6"))
        ),
    )
    assert price_of("bulk", [THERE], None) == Price(5.0, 7.0, LISTED)


def test_a_tiered_price_without_tiers(shelf: Shelf) -> None:
    shelf.put("flat", ModelPrice(input_mtok=tiers("4"), output_mtok=tiers("7")))
    assert price_of("flat", [THERE], None) == Price(4.0, 7.0, LISTED)


@pytest.mark.parametrize("hours", [0, 1, 11, 22])
def test_the_dearest_hour_of_the_day(shelf: Shelf, hours: int) -> None:
    start, end = (
        (datetime.now(timezone.utc) + timedelta(hours=hours + more, minutes=17)).time()
        for more in (0, 1)
    )
    shelf.put(
        "busy",
        [
            ConditionalPrice(prices=rates("1", "2")),
            ConditionalPrice(TimeOfDateConstraint(start, end), prices=rates("3", "9")),
        ],
    )
    assert price_of("busy", [THERE], None) == Price(3.0, 9.0, LISTED)


def test_each_rate_has_its_own_dearest_hour(shelf: Shelf) -> None:
    shelf.put(
        "shifting",
        [
            ConditionalPrice(TimeOfDateConstraint(time(0), time(12)), prices=rates("3", "1")),
            ConditionalPrice(TimeOfDateConstraint(time(12), time(0)), prices=rates("1", "9")),
        ],
    )
    assert price_of("shifting", [THERE], None) == Price(3.0, 9.0, LISTED)


@pytest.mark.parametrize(("days", "expected"), [(-9, 5.0), (1, 5.0), (3, 1.0)])
def test_a_rise_counts_from_the_day_before(shelf: Shelf, days: int, expected: float) -> None:
    day: date = datetime.now(timezone.utc).date() + timedelta(days=days)
    shelf.put(
        "rising",
        [
            ConditionalPrice(prices=rates("1", "2")),
            ConditionalPrice(StartDateConstraint(day), prices=rates("5", "2")),
        ],
    )
    assert price_of("rising", [THERE], None) == Price(expected, 2.0, LISTED)


@pytest.mark.parametrize(
    "prices",
    [
        ModelPrice(),
        ModelPrice(input_mtok=Decimal("1")),
        ModelPrice(output_mtok=Decimal("1")),
        ModelPrice(audio_hours=Decimal("1")),
        rates("1", "2", requests_kcount=Decimal("12")),
        [
            ConditionalPrice(prices=rates("1", "2")),
            ConditionalPrice(TimeOfDateConstraint(time(0), time(12)), prices=ModelPrice()),
            ConditionalPrice(TimeOfDateConstraint(time(12), time(0)), prices=rates("1", "2")),
        ],
    ],
    ids=["name only", "no completion", "no prompt", "audio", "by request", "by the hour"],
)
def test_what_is_not_billed_by_tokens_alone(shelf: Shelf, prices: Any) -> None:
    shelf.put("odd", prices)
    assert price_of("odd", [THERE], None) is None


def test_listed_as_free(shelf: Shelf) -> None:
    shelf.put("gift", rates("0", "0"))
    assert price_of("gift", [THERE], None) == Price(0.0, 0.0, LISTED)


def test_the_list_of_the_package_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    url = "https://api.openai.com/v1"
    assert price_of("gpt-4.1-mini", [url], None) == Price(0.4, 1.6, LISTED)
    assert price_of("gpt-4.1-mini-2025-04-14", [url], None) == Price(0.4, 1.6, LISTED)
    router = "https://openrouter.ai/api/v1"
    assert price_of("openai/gpt-4.1-mini", [router], None) == Price(0.4, 1.6, LISTED)
    assert price_of("ft:gpt-4.1-mini:org::abc", [url], None) is None
    assert price_of("sonar", ["https://api.perplexity.ai"], None) is None


def test_the_package_is_imported_only_when_it_is_asked() -> None:
    script = (
        "import sys\n"
        "from stages.engines import budget\n"
        "from stages.engines.prices import price_of\n"
        "assert price_of('m', ['http://localhost/v1'], None).prompt == 0\n"
        "assert price_of('m', ['https://a.test'], {'prompt': 1, 'completion': 1}).prompt == 1\n"
        "assert price_of('m', [], None) is None\n"
        "assert not {'genai_prices', 'pydantic', 'openai'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
