"""Which strategy a task gets, how sure that is, and whether the reason says why."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.scoring.choose import IMAGINED, Choice, Outcome, choose, p_best, p_better

NEAR = 0.02  # four standard errors of 10,000 draws


def outcome(right: int | Sequence[int], n: int, tokens: int) -> dict[str, Outcome]:
    """The first so many items right, or those named."""
    chosen = set(range(right) if isinstance(right, int) else right)
    return {f"item {i}": Outcome(i in chosen, tokens) for i in range(n)}


def exact(right: dict[str, list[bool]], draws: int = 40_000) -> dict[str, float]:
    """P(best) of a Dirichlet over all patterns of right and wrong, each drawn as its own weight."""
    rng = Random(5)
    names = list(right)
    patterns = list(product((False, True), repeat=len(names)))
    seen = [tuple(column[i] for column in right.values()) for i in range(len(right[names[0]]))]
    shapes = [IMAGINED / len(patterns) + seen.count(pattern) for pattern in patterns]
    wins = dict.fromkeys(names, 0)
    for _ in range(draws):
        weights = [rng.gammavariate(shape, 1) for shape in shapes]
        scores = [
            sum(w for w, pattern in zip(weights, patterns, strict=True) if pattern[k])
            for k in range(len(names))
        ]
        wins[names[max(range(len(names)), key=scores.__getitem__)]] += 1
    return {name: count / draws for name, count in wins.items()}


def test_the_probably_best_wins_whatever_it_costs() -> None:
    choice = choose(
        {"direct": outcome(9, 24, 5), "step_by_step": outcome(18, 24, 90)}, 0.0, "direct"
    )
    assert choice.strategy == "step_by_step"
    assert not choice.at_floor
    assert choice.reason == (
        "it is the best with a probability of 100 %: step_by_step solves 18 of 24 (55 to 88 %), "
        "direct 9 of 24 (21 to 57 %)"
    )
    assert [item.strategy for item in choice.evidence] == ["direct", "step_by_step"]
    direct, steps = choice.evidence
    assert (direct.accuracy, steps.mean_tokens) == (9 / 24, 90.0)
    assert (direct.tied, steps.tied) == (False, True)
    assert direct.p_better == round(p_better(0, 9), 3) == 0.001
    assert json.loads(json.dumps(asdict(choice)))["evidence"][0]["n"] == 24


def test_one_item_proves_nothing() -> None:
    """The bootstrap without imagined items would be certain."""
    choice = choose({"long": outcome(19, 24, 80), "short": outcome(18, 24, 12)}, 0.5, "long")
    assert choice.strategy == "short"
    assert choice.evidence[1].p_better == 0.25
    assert choice.reason == (
        "it cannot be told from long, which is the best with a probability of 75 %, and is the "
        "shortest such (12 tokens against 80): long solves 19 of 24 (60 to 91 %), "
        "short 18 of 24 (55 to 88 %)"
    )


@pytest.mark.parametrize(
    ("gained", "lost", "tied"),
    [(0, 0, True), (1, 0, True), (2, 0, False), (3, 1, False), (4, 2, True), (6, 3, False)],
)
def test_the_margin_that_tells_two_strategies_apart(gained: int, lost: int, tied: bool) -> None:
    best = outcome(range(10 + gained), 40, 50)
    other = outcome([*range(10), *range(30, 30 + lost)], 40, 5)
    choice = choose({"best": best, "other": other}, 0.0, "best")
    assert choice.strategy == ("other" if tied else "best")


def test_the_margin_is_a_parameter() -> None:
    outcomes = {"a": outcome(19, 24, 80), "b": outcome(18, 24, 12)}
    assert choose(outcomes, 0.0, "a", tie=0.3).strategy == "a"
    assert choose(outcomes, 0.0, "a", tie=0.25).strategy == "b"


def test_equals_go_to_the_shorter() -> None:
    outcomes = {"a": outcome(20, 24, 80), "b": outcome(20, 24, 12), "c": outcome(3, 24, 1)}
    choice = choose(outcomes, 0.5, "a")
    assert choice.strategy == "b"
    assert [item.tied for item in choice.evidence] == [True, True, False]


def test_the_best_is_named_beside_those_that_are_no_shorter() -> None:
    outcomes = {"a": outcome(20, 24, 12), "b": outcome(19, 24, 12), "c": outcome(19, 24, 30)}
    choice = choose(outcomes, 0.5, "a")
    assert choice.strategy == "a"
    assert ", and b and c, which cannot be told from it, are no shorter: a solves" in choice.reason


def test_equals_of_equal_length_go_to_the_first_in_the_task() -> None:
    same = outcome(20, 24, 12)
    for names in (("b", "a"), ("a", "b")):
        choice = choose(dict.fromkeys(names, same), 0.5, "a")
        assert {item.p_better for item in choice.evidence} == {0.5}
        assert choice.strategy == names[0]
        assert choice == choose(dict.fromkeys(names, same), 0.5, "a")


def test_strategies_answer_the_same_items() -> None:
    with pytest.raises(ValueError, match="b did not answer the same items"):
        choose({"a": outcome(3, 4, 5), "b": outcome(3, 5, 5)}, 0.0, "a")


def test_guessing_is_no_evidence() -> None:
    choice = choose(
        {"direct": outcome(14, 24, 5), "step_by_step": outcome(11, 24, 90)}, 0.5, "step_by_step"
    )
    assert choice.strategy == "step_by_step"
    assert choice.at_floor
    assert choice.reason == (
        "no strategy is surely above guessing (50 %), so the probe cannot rank them and the "
        "fallback step_by_step is taken: direct solves 14 of 24 (39 to 76 %), "
        "step_by_step 11 of 24 (28 to 65 %)"
    )
    assert [item.p_best > 0 for item in choice.evidence] == [True, True]


def test_all_wrong_is_the_floor_though_guessing_scores_nothing() -> None:
    assert choose({"a": outcome(0, 24, 5), "b": outcome(0, 24, 3)}, 0.0, "a").at_floor


def test_nothing_probed() -> None:
    none = choose({}, 0.0, "step_by_step")
    assert (none.strategy, none.at_floor, none.evidence) == ("step_by_step", True, ())
    assert none.reason == "no strategy was probed, so the fallback step_by_step is taken"
    empty = choose({"a": {}}, 0.0, "a")
    assert (empty.evidence[0].accuracy, empty.evidence[0].ci_high) == (0.0, 1.0)


def test_answers_that_were_cut_short_are_counted() -> None:
    cut = {f"item {i}": Outcome(i < 9, 64, i >= 12) for i in range(24)}
    assert choose({"a": cut}, 0.0, "a").evidence[0].cut_short == 12


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (0, 1), (3, 1), (7, 2), (2, 9)])
def test_better_of_two_is_the_beta_integral(gained: int, lost: int) -> None:
    """Of Beta(a, b) with whole a and b, above one half, by its polynomial."""
    a, b = gained + 1, lost + 1
    whole = Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))
    below = sum(Fraction((-1) ** k * math.comb(b - 1, k), (a + k) * 2 ** (a + k)) for k in range(b))
    assert p_better(gained, lost) == pytest.approx(float(1 - below / whole), abs=1e-12)
    assert p_better(gained, lost) + p_better(lost, gained) == pytest.approx(1.0)


@pytest.mark.parametrize(("gained", "lost", "same"), [(0, 0, 3), (1, 0, 4), (4, 2, 0), (2, 7, 9)])
def test_best_of_two_is_the_better_of_two(gained: int, lost: int, same: int) -> None:
    a = [True] * gained + [False] * lost + [True] * same
    b = [False] * gained + [True] * lost + [True] * same
    assert p_best({"a": a, "b": b})["a"] == pytest.approx(p_better(gained, lost), abs=NEAR)


@pytest.mark.parametrize(
    "rows",
    [
        ["111", "110", "100", "011"],
        ["110", "110", "101", "011", "000", "100"],
        ["1110", "0110", "0001", "1000", "1100", "0000", "1111"],
    ],
)
def test_best_of_several_is_the_distribution_over_all_patterns(rows: list[str]) -> None:
    right = {name: [row[k] == "1" for row in rows] for k, name in enumerate("abcd"[: len(rows[0])])}
    brute = exact(right)
    for name, found in p_best(right).items():
        assert found == pytest.approx(brute[name], abs=NEAR)


def test_a_strategy_more_does_not_change_the_others() -> None:
    rng = Random(3)
    a, b = ([rng.random() < share for _ in range(20)] for share in (0.7, 0.5))
    alone = p_best({"a": a, "b": b})["a"]
    beside = p_best({"a": a, "b": b, "hopeless": [False] * 20})
    assert beside["a"] == pytest.approx(alone, abs=NEAR)
    assert beside["hopeless"] < NEAR


def test_nothing_seen_is_nothing_known() -> None:
    shares = p_best({name: [True] * 8 for name in "abcd"})
    assert shares == {name: pytest.approx(0.25, abs=NEAR) for name in "abcd"}
    assert sum(shares.values()) == pytest.approx(1.0)


@st.composite
def trials(draw: st.DrawFn) -> dict[str, dict[str, Outcome]]:
    items = draw(st.integers(1, 12))
    cell = st.builds(Outcome, st.booleans(), st.integers(1, 4), st.booleans())
    answers = st.lists(cell, min_size=items, max_size=items)
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
    return {name: {f"item {i}": o for i, o in enumerate(draw(answers))} for name in names}


def by_name(choice: Choice) -> dict[str, object]:
    return {item.strategy: item for item in choice.evidence}


@settings(max_examples=40, deadline=None)
@given(trials(), st.randoms(use_true_random=False), st.sampled_from([0.0, 0.5]))
def test_the_order_of_items_and_strategies_decides_nothing(
    outcomes: dict[str, dict[str, Outcome]], rng: Random, chance: float
) -> None:
    names, items = list(outcomes), list(next(iter(outcomes.values())))
    rng.shuffle(names)
    rng.shuffle(items)
    shuffled = {name: {item: outcomes[name][item] for item in items} for name in names}
    one, other = choose(outcomes, chance, "a"), choose(shuffled, chance, "a")
    assert by_name(one) == by_name(other)
    assert one.at_floor == other.at_floor
    if one.strategy != other.strategy:  # only where nothing tells them apart
        left, right = (by_name(one)[choice.strategy] for choice in (one, other))
        assert asdict(left)["mean_tokens"] == asdict(right)["mean_tokens"]  # type: ignore[call-overload]
        assert asdict(left)["accuracy"] == asdict(right)["accuracy"]  # type: ignore[call-overload]


@settings(max_examples=40, deadline=None)
@given(trials())
def test_what_is_chosen_is_tied_and_no_longer_than_the_best(
    outcomes: dict[str, dict[str, Outcome]],
) -> None:
    choice = choose(outcomes, 0.0, "a")
    if choice.at_floor:
        return
    chosen = next(item for item in choice.evidence if item.strategy == choice.strategy)
    assert chosen.tied
    assert chosen.mean_tokens == min(item.mean_tokens for item in choice.evidence if item.tied)
    assert sum(item.p_best for item in choice.evidence) == pytest.approx(1.0, abs=0.01)
