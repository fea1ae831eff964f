"""Which strategy a task gets, and whether the reason says why."""

from __future__ import annotations

import json
from dataclasses import asdict

from stages.scoring.choose import choose


def outcome(correct: int, n: int, tokens: int) -> list[tuple[bool, int]]:
    return [(index < correct, tokens) for index in range(n)]


def test_the_most_accurate_wins_whatever_it_costs() -> None:
    choice = choose(
        {"direct": outcome(9, 24, 5), "step_by_step": outcome(18, 24, 90)}, 0.0, "direct"
    )
    assert choice.strategy == "step_by_step"
    assert not choice.at_floor
    assert choice.reason == (
        "step_by_step solves 18 of 24 (55 to 88 %), direct 9 of 24 (21 to 57 %)"
    )
    assert [item.strategy for item in choice.evidence] == ["direct", "step_by_step"]
    assert choice.evidence[0].accuracy == 9 / 24
    assert choice.evidence[1].mean_tokens == 90.0
    assert json.loads(json.dumps(asdict(choice)))["evidence"][0]["n"] == 24


def test_equals_go_to_the_shorter() -> None:
    outcomes = {"a": outcome(20, 24, 80), "b": outcome(20, 24, 12), "c": outcome(3, 24, 1)}
    choice = choose(outcomes, 0.5, "a")
    assert choice.strategy == "b"
    assert choice.reason == (
        "b solves 20 of 24 (64 to 93 %), a 20 of 24 (64 to 93 %), c 3 of 24 (4 to 31 %); "
        "of equals, b is the shortest (12 tokens against 80)"
    )


def test_equals_of_equal_length_go_to_the_first() -> None:
    choice = choose({"b": outcome(20, 24, 12), "a": outcome(20, 24, 12)}, 0.5, "a")
    assert choice.strategy == "b"
    assert choice.reason.endswith("; of equals, b comes first in the task")


def test_equal_accuracy_on_different_counts_is_equal() -> None:
    assert choose({"a": outcome(30, 30, 9), "b": outcome(60, 60, 8)}, 0.5, "a").strategy == "b"


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


def test_all_wrong_is_the_floor_though_guessing_scores_nothing() -> None:
    assert choose({"a": outcome(0, 24, 5), "b": outcome(0, 24, 3)}, 0.0, "a").at_floor


def test_nothing_probed() -> None:
    none = choose({}, 0.0, "step_by_step")
    assert (none.strategy, none.at_floor, none.evidence) == ("step_by_step", True, ())
    assert none.reason == "no strategy was probed, so the fallback step_by_step is taken"
    empty = choose({"a": []}, 0.0, "a")
    assert (empty.evidence[0].accuracy, empty.evidence[0].ci_high) == (0.0, 1.0)
