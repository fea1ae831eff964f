"""Results as items: several lines of predictions to a question, and pairs of such results."""

from __future__ import annotations

from typing import Any

import pytest

from stages.core.jsonl import digest
from stages.scoring import clustered
from stages.scoring.differences import method, p_value, paired_rows, unpaired_rows
from stages.scoring.items import Item, outcomes, reported, sampled, tally
from stages.scoring.paired import Pairs, mcnemar, newcombe_independent


def lines(*rights: str, task: str = "sums") -> list[dict[str, Any]]:
    """A question for each text, a sample for each of its letters: r is right."""
    return [
        {"task": task, "id": f"{task}/{i}", "question": f"q{i}", "gold": "g", "correct": one == "r"}
        for i, samples in enumerate(rights) for one in samples
    ]  # fmt: skip


def test_an_item_is_its_share_of_right_samples() -> None:
    made = outcomes([*lines("r", "w"), *lines("rrwr", "wwww", "r", task="coins")])
    question = [digest([f"q{i}", "g"]) for i in range(3)]
    assert made == {
        "sums": {"sums/0": Item(1.0, question[0]), "sums/1": Item(0.0, question[1])},
        "coins": {
            "coins/0": Item(0.75, question[0], 4),
            "coins/1": Item(0.0, question[1], 4),
            "coins/2": Item(1.0, question[2], 1),
        },
    }
    assert (sampled(made["coins"].values()), sampled([])) == (4, 1)
    assert tally({"base": made}) == {"base": {"sums": (1.0, 2), "coins": (1.75, 3)}}


def test_metrics_of_several_samples_are_not_rounded_to_whole_items() -> None:
    one, four = {"accuracy": 0.3281, "n": 8}, {"accuracy": 0.3281, "n": 8, "samples": 4}
    assert reported({"base": {"one": one, "four": four}}) == {
        "base": {"one": (3, 8), "four": (pytest.approx(2.6248), 8)}
    }


def test_items_are_paired_by_share() -> None:
    then = {"base": outcomes(lines("rrww", "wwww", "rwww", "wwww", "rrrw", "wwrr"))}
    now = {"base": outcomes(lines("rrrr", "rwww", "rrww", "wwww", "rrrr", "rrww"))}
    rows, left_out = paired_rows(then, now)
    assert (len(rows), left_out) == (1, [])
    shares = [0.5, 0.0, 0.25, 0.0, 0.75, 0.5], [1.0, 0.25, 0.5, 0.0, 1.0, 0.5]
    row = rows[0]
    assert (row.n_then, row.n_now) == (6, 6)
    assert (row.accuracy_then, row.accuracy_now) == (pytest.approx(2 / 6), pytest.approx(3.25 / 6))
    assert row.difference == pytest.approx(1.25 / 6)
    assert (row.low, row.high) == clustered.difference([shares], (4, 4))
    assert row.bootstrap == clustered.bootstrap([shares])
    assert row.p == row.p_corrected == clustered.sign_flips([shares])


def test_one_sample_on_one_side_is_paired_by_share_too() -> None:
    then = {"base": outcomes([*lines("r", "w"), *lines("r", "w", task="coins")])}
    now = {"base": outcomes([*lines("rr", "rw"), *lines("rr", "ww", task="coins")])}
    rows, _ = paired_rows(then, now)
    assert [row.task for row in rows] == ["sums", "coins", "macro"]
    changes = [([1.0, 0.0], [1.0, 0.5]), ([1.0, 0.0], [1.0, 0.0])]
    assert rows[2].p == clustered.sign_flips(changes)
    assert (rows[2].low, rows[2].high) == clustered.difference(changes, (1, 2))


def test_p_values() -> None:
    one = outcomes(lines("r", "w", "w", "w", "w"))["sums"]
    two = outcomes(lines("r", "r", "r", "r", "w"))["sums"]
    matched = [(one[name], two[name]) for name in one]
    assert p_value([matched]) == mcnemar(Pairs(1, 3, 0, 1))
    often = outcomes(lines("rr", "rw", "rr", "rr", "ww"))["sums"]
    shares = [1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.5, 1.0, 1.0, 0.0]
    assert p_value([[(one[name], often[name]) for name in one]]) == clustered.sign_flips([shares])


def test_sums_of_shares_are_compared_unpaired() -> None:
    rows, _ = unpaired_rows({"base": {"x": (2.5, 10)}}, {"base": {"x": (7.25, 10)}})
    assert (rows[0].low, rows[0].high) == newcombe_independent([(2.5, 10)], [(7.25, 10)])
    assert rows[0].difference == pytest.approx(0.475)


def test_the_reader_is_told_how() -> None:
    rows, _ = paired_rows(
        {"base": outcomes(lines("r", "w"))}, {"base": outcomes(lines("rw", "ww"))}
    )
    assert list(method(rows, [], (1, 2))) == [
        "paired: on items that both answered, by each item's share of right samples, of 1 then and "
        "2 now",
        "p by sign flips of the items' changes within tasks, 10,000 draws from seed 0; Newcombe's "
        "interval from the effective number of outcomes",
        "gain, loss: p corrected for the number of rows, 1, is below 0.05",
    ]
