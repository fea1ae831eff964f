"""The content of scores.json, whole: one sample as ever, several by hand."""

from __future__ import annotations

from typing import Any

import pytest

from stages.scoring import clustered
from stages.scoring.metrics import scores
from stages.scoring.stats import wilson

TASKS = {
    "sums": {"answer": {"type": "number"}},
    "coins": {"answer": {"type": "yes_no"}},
    "spans": {"answer": {"type": "f1"}},
}


def line(name: str, answer: str | None, right: bool, **more: Any) -> dict[str, Any]:
    task = name.split("/")[0]
    made = {"id": name, "task": task, "answer": answer, "correct": right, "follows_format": right}
    return {**made, "completion_tokens": 10, **({"f1": 0.5} if task == "spans" else {}), **more}


def of(*names: str) -> dict[str, Any]:
    return {name: TASKS[name] for name in names}


def test_one_sample() -> None:
    rows = [line(f"sums/{i}", "1", i < 3, completion_tokens=i) for i in range(8)]
    rows += [line("coins/0", "yes", True), line("coins/1", None, False)]
    low, high = wilson(3, 8)
    middle, bottom, top = clustered.macro([[1.0] * 3 + [0.0] * 5, [1.0, 0.0]], 1)
    assert scores(rows, of("sums", "coins")) == {
        "sums": {
            "accuracy": 0.375, "ci_low": round(low, 4), "ci_high": round(high, 4), "n": 8,
            "format_followed": 0.375, "mean_tokens": 3.5,
        },
        "coins": {
            "accuracy": 0.5, "ci_low": 0.0945, "ci_high": 0.9055, "n": 2, "format_followed": 0.5,
            "mean_tokens": 10.0,
        },
        "macro": {
            "accuracy": round(middle, 4), "ci_low": round(bottom, 4), "ci_high": round(top, 4),
            "n": 10,
        },
    }  # fmt: skip


def test_several_samples() -> None:
    # by item: 2 of 4, no answer at all, 1 of 4 with a tie of two wrong ones before it
    given = [
        ("7", True), ("8", False), ("7", True), (None, False),
        (None, False), (None, False), (None, False), (None, False),
        ("3", False), ("4", False), ("5", True), ("4", False),
    ]  # fmt: skip
    rows = [line(f"sums/{at // 4}", *one, sample=at % 4) for at, one in enumerate(given)]
    low, high = clustered.interval([0.5, 0.0, 0.25], 4)
    made = scores(rows, of("sums"), samples=4, ks=(1, 2, 4))
    assert made["sums"] == {
        "accuracy": 0.25, "ci_low": round(low, 4), "ci_high": round(high, 4), "n": 3,
        "samples": 4, "avg@4": 0.25,
        "pass@1": 0.25, "pass@2": round((5 / 6 + 0 + 1 / 2) / 3, 4), "pass@4": 0.6667,
        # of the six pairs of the first item, 7 wins all with a 7 in them but (8, 7)
        "maj@1": 0.25, "maj@2": round((4 / 6 + 0 + 1 / 6) / 3, 4), "maj@4": 0.3333,
        "maj_ties": 0, "format_followed": 0.25, "mean_tokens": 10.0,
    }  # fmt: skip
    middle, bottom, top = clustered.macro([[0.5, 0.0, 0.25]], 4)
    assert made["macro"] == {
        "accuracy": round(middle, 4), "ci_low": round(bottom, 4), "ci_high": round(top, 4),
        "n": 3, "samples": 4,
    }  # fmt: skip


def test_ties_are_counted() -> None:
    given = ["yes", "no", None, "no", "yes", None, "no", "no", "yes"]
    rows = [line(f"coins/{at // 3}", one, one == "yes") for at, one in enumerate(given)]
    made = scores(rows, of("coins"), samples=3, ks=(3,))["coins"]
    # yes came first, no came first, no has most
    assert (made["maj_ties"], made["maj@3"]) == (2, 0.3333)


def test_what_the_verifier_takes_for_one_answer_votes_together() -> None:
    # 1/3 and its decimals are close; 0.5 and 1/2 are read alike already
    given = [("0.3333333333", True), ("2", False), ("1/3", True), ("2", False), ("1/3", True)]
    rows = [line("sums/0", *one) for one in given]
    made = scores(rows, of("sums"), samples=5, ks=(1, 5))["sums"]
    assert (made["maj@5"], made["maj_ties"]) == (1.0, 0)
    # as texts, 2 would tie with 1/3 and have come first
    assert made["maj@1"] == made["pass@1"] == 0.6


def test_a_vote_counts_as_its_first_writing_was_judged() -> None:
    # close to each other, and only one of them close enough to the gold
    given = [("1000000.6", True), ("1000001.5", False)]
    rows = [line("sums/0", *one) for one in given]
    made = scores(rows, of("sums"), samples=2, ks=(1, 2))["sums"]
    assert (made["maj@1"], made["maj@2"], made["pass@1"]) == (1.0, 1.0, 0.5)


def test_f1_stands_beside_the_accuracy() -> None:
    rows = [line("spans/0", "a", True, f1=1.0), line("spans/1", "b", False, f1=0.4)]
    assert scores(rows, of("spans"))["spans"]["f1"] == 0.7
    several = [line("spans/0", "a", True, f1=1.0), line("spans/0", "b", False, f1=0.5)]
    made = scores(several, of("spans"), samples=2, ks=(1, 2))["spans"]
    assert (made["f1"], made["accuracy"]) == (0.75, 0.5)
    assert "f1" not in scores([line("sums/0", "1", True)], of("sums"))["sums"]


def test_a_task_without_predictions() -> None:
    for samples in (1, 2):
        with pytest.raises(ValueError, match="at least one"):
            scores([line("sums/0", "1", True)] * samples, of("sums", "coins"), samples, (1,))
