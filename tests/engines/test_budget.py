from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engines.budget import Budget
from stages.engines.prices import Price
from stages.engines.request import Request

# 15,625 is 2**-6 of a million, so that the amounts below are whole multiples of 1/8 USD
PRICE = Price(8.0, 16.0, "params.yaml")
FREE = Price(0.0, 0.0, "served on this machine")
READ = 15_625 - 16  # bytes of a question that may be 0.125 USD to read
WRITE = 15_625  # tokens that are 0.25 USD to write


def ask(name: str = "a", limit: int = WRITE, size: int = READ) -> Request:
    return Request("https://api.shop.test/v1", "m", (("user", name * size),), limit)


A, B, C = ask("a"), ask("b"), ask("c")
WORST = 0.375


def state(budget: Budget) -> tuple[float, float, bool]:
    return budget.spent, budget.reserved, budget.idle


def test_the_worst_case() -> None:
    budget = Budget(PRICE, None, 0.0)
    assert budget.worst(A) == WORST
    assert budget.worst(ask(limit=0)) == 0.125
    assert budget.worst(ask(size=0)) == PRICE.cost(16, WRITE)
    assert Budget(FREE, None, 0.0).worst(A) == 0.0


@pytest.mark.parametrize(
    ("messages", "tokens"),
    [
        ((("user", "abc"),), 19),
        ((("user", "Grüße"),), 23),
        ((("user", "🙂"),), 20),
        ((("user", "\ud83d"),), 19),
        ((("system", "ab"), ("user", "c"), ("assistant", "")), 51),
    ],
)
def test_a_prompt_has_no_more_tokens_than_bytes(
    messages: tuple[tuple[str, str], ...], tokens: int
) -> None:
    price = Price(1_000_000.0, 0.0, "params.yaml")
    assert Budget(price, None, 0.0).worst(Request("e", "m", messages, 7)) == tokens


def test_a_schema_is_read_like_a_prompt() -> None:
    price = Price(1_000_000.0, 0.0, "params.yaml")
    request = Request("e", "m", (("user", "abc"),), 7, extra='{"a":"ü"}')
    assert Budget(price, None, 0.0).worst(request) == 19 + 10


def test_settling_counts_what_was_used() -> None:
    budget = Budget(PRICE, 1.0, 0.25)
    assert state(budget) == (0.25, 0.0, True)
    assert budget.reserve(A)
    assert state(budget) == (0.25, WORST, False)
    assert budget.settle(A, 15_625, 7_812) == PRICE.cost(15_625, 7_812) == 0.249992
    assert state(budget) == (0.499992, 0.0, True)


def test_what_does_not_fit_waits() -> None:
    budget = Budget(PRICE, 1.0, 0.0)
    assert budget.reserve(A)
    assert budget.reserve(B)
    assert not budget.reserve(C)
    assert state(budget) == (0.0, 0.75, False)
    assert budget.settle(A, 15_625, 0) == 0.125
    assert budget.reserve(C)
    assert state(budget) == (0.125, 0.75, False)


def test_the_limit_itself_may_be_reached() -> None:
    budget = Budget(PRICE, 0.75, 0.375)
    assert budget.reserve(A)
    assert budget.settle(A, 15_625, 15_625) == WORST
    assert state(budget) == (0.75, 0.0, True)
    assert not budget.reserve(ask(limit=0, size=0))


def test_what_can_never_fit_is_refused_when_idle() -> None:
    budget = Budget(PRICE, 0.25, 0.0)
    assert not budget.reserve(A)
    assert state(budget) == (0.0, 0.0, True)
    assert budget.reserve(ask(limit=0))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_allows_nothing(limit: float) -> None:
    assert not Budget(PRICE, limit, 0.0).reserve(A)


def test_an_attempt_without_a_bill() -> None:
    budget = Budget(PRICE, WORST, 0.0)
    assert budget.reserve(A)
    budget.release(A)
    assert state(budget) == (0.0, 0.0, True)
    assert budget.reserve(B)


def test_a_lost_attempt_counts_in_full() -> None:
    budget = Budget(PRICE, 1.0, 0.0)
    assert budget.reserve(A)
    assert budget.presume(A) == WORST
    assert budget.reserve(A)
    assert budget.presume(A) == WORST
    assert state(budget) == (0.75, 0.0, True)
    assert not budget.reserve(A)


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ((0, 0), WORST),
        ((-3, -3), WORST),
        ((0, 7_812), PRICE.cost(15_625, 7_812)),
        ((15_625, 0), 0.125),
        ((15_625, -3), 0.125),
    ],
)
def test_a_server_that_does_not_say(said: tuple[int, int], cost: float) -> None:
    budget = Budget(PRICE, 1.0, 0.0)
    assert budget.reserve(A)
    assert budget.settle(A, *said) == cost
    assert state(budget) == (cost, 0.0, True)


def test_a_bill_above_the_worst_case_is_not_hidden() -> None:
    budget = Budget(PRICE, 0.5, 0.0)
    assert budget.reserve(A)
    assert budget.settle(A, 15_625, 62_500) == 1.125
    assert state(budget) == (1.125, 0.0, True)
    assert not budget.reserve(ask(limit=0, size=0))


def test_without_a_limit() -> None:
    budget = Budget(PRICE, None, 1e9)
    assert all(map(budget.reserve, (A, B, C)))
    assert budget.reserved == 1.125
    assert [budget.presume(A), budget.settle(B, 0, 0)] == [WORST, WORST]
    budget.release(C)
    assert state(budget) == (1e9 + 0.75, 0.0, True)


def test_what_costs_nothing_is_never_stopped() -> None:
    # the limit was reached with another model
    budget = Budget(FREE, 1.0, 5.0)
    assert all(map(budget.reserve, (A, B, C)))
    assert state(budget) == (5.0, 0.0, False)
    assert [budget.settle(A, 9, 9), budget.settle(B, 0, 0), budget.presume(C)] == [0.0] * 3
    assert state(budget) == (5.0, 0.0, True)


def test_one_attempt_at_a_time() -> None:
    budget = Budget(PRICE, 1.0, 0.0)
    assert budget.reserve(A)
    with pytest.raises(ValueError, match="twice at a time"):
        budget.reserve(A)
    assert budget.reserved == WORST
    budget.release(A)
    for end in (budget.release, budget.presume, lambda request: budget.settle(request, 1, 1)):
        with pytest.raises(KeyError):
            end(A)
    assert state(budget) == (0.0, 0.0, True)


def test_what_was_reserved_is_freed_though_the_limit_changed() -> None:
    # the key says nothing of the limit in new tokens
    budget = Budget(PRICE, 1.0, 0.0)
    assert budget.reserve(A)
    budget.release(ask("a", limit=1))
    assert state(budget) == (0.0, 0.0, True)


def test_no_drift() -> None:
    price = Price(0.1, 0.7, "params.yaml")
    budget = Budget(price, None, 0.3)
    requests = [ask(f"{n}", n, n) for n in range(1, 99)]
    for _ in range(30):
        assert all(map(budget.reserve, requests))
        for request in requests[::2]:
            budget.release(request)
        for request in requests[1::2]:
            budget.release(request)
        assert budget.reserved == 0.0
    assert budget.spent == 0.3


RATE = st.floats(0, 1000, allow_subnormal=False)
AMOUNT = st.floats(0, 2, allow_subnormal=False)


@given(
    st.builds(Price, RATE, RATE, st.just("params.yaml")),
    AMOUNT,
    st.fractions(0, 1),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3000)), min_size=6, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("spr")), max_size=60),
    st.data(),
)
def test_the_limit_holds_in_any_order(
    price: Price,
    limit: float,
    share: Fraction,
    sizes: list[tuple[int, int]],
    steps: list[tuple[int, str]],
    data: st.DataObject,
) -> None:
    before = min(float(share * Fraction(limit)), limit)
    budget = Budget(price, limit, before)
    requests = [ask(f"{n}", most, size) for n, (size, most) in enumerate(sizes)]
    free = not (price.prompt or price.completion)
    spent, held = Fraction(before), dict[int, Fraction]()

    def end(n: int, how: str) -> None:
        nonlocal spent
        request, worst = requests[n], held.pop(n)
        if how == "s":
            prompt = data.draw(st.integers(0, 16 + sizes[n][0]))
            cost = budget.settle(request, prompt, data.draw(st.integers(0, sizes[n][1])))
            assert 0 <= cost <= worst
            spent += Fraction(cost)
        elif how == "p":
            assert budget.presume(request) == worst
            spent += worst
        else:
            budget.release(request)

    def check() -> None:
        # exact, where the sum of two floats would be rounded
        reserved = sum(held.values(), Fraction(0))
        assert free or spent + reserved <= Fraction(limit)
        assert state(budget) == (float(spent), float(reserved), not held)

    for n, how in steps:
        if n in held:
            end(n, how)
        else:
            worst = Fraction(budget.worst(requests[n]))
            fits = free or spent + sum(held.values()) + worst <= Fraction(limit)
            assert budget.reserve(requests[n]) is fits
            if fits:
                held[n] = worst
        check()
    for n in list(held):
        end(n, data.draw(st.sampled_from("spr")))
        check()
    assert budget.reserved == 0.0
    assert budget.idle
