"""Counts of an audit, which rationales it draws, and the words for what the publisher reads."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from stages.auditing.differ import WORDS, cause
from stages.auditing.readings import Reading
from stages.auditing.tally import Counts, Tally
from stages.scoring.clustered import interval
from stages.scoring.stats import wilson


def reading(row: str = "r", accepted: bool = True, why: str = "rule 1", **more: Any) -> Reading:
    made = {
        "task": "sums", "kind": "number", "strategy": "cot", "row": row, "sample": 0,
        "question": "q", "gold": "4", "text": "t", "answer": "4", "accepted": accepted, "why": why,
        "rule": 0 if accepted else None,
    }  # fmt: skip
    return Reading(**{**made, **more})


def test_counts() -> None:
    counts = Counts()
    for at in range(10):
        counts.add(reading(str(at), at < 7, rule=at % 2, predicted="4" if at < 5 else "5"))
    assert (counts.total, counts.accepted, counts.by_first) == (10, 7, 4)
    assert (counts.theirs, counts.known) == (5, 10)
    assert counts.limits == pytest.approx(wilson(7, 10))
    several = Counts()
    for at in range(8):
        several.add(reading(str(at // 4), at % 4 == 0))
    assert several.limits == interval([0.25, 0.25], 4)


def drawn(names: range, wanted: int, seed: int, **more: Any) -> list[str]:
    tally = Tally(wanted, seed)
    tally.add(reading(str(name), **more) for name in names)
    return [one.row for one in tally.chosen("sums", accepted=True)]


def test_the_draw_depends_on_names_and_seed_alone() -> None:
    first = drawn(range(200), 10, 1)
    assert len(set(first)) == 10
    assert drawn(range(199, -1, -1), 10, 1) == first
    assert drawn(range(200), 10, 2) != first
    assert drawn(range(200), 4, 1) == first[:4]
    # a row more takes the place of one at most
    assert len(set(drawn(range(201), 10, 1)) & set(first)) >= 9
    assert drawn(range(3), 10, 1) == sorted(drawn(range(3), 10, 1), key=drawn(range(3), 9, 1).index)


def test_each_reason_has_its_turn() -> None:
    tally = Tally(6, seed=1)
    tally.add(reading(str(at), False, "wrong answer") for at in range(90))
    tally.add(reading(str(at), False, "no answer found") for at in range(90, 93))
    tally.add(reading(str(at), False, "cut short") for at in range(93, 94))
    tally.add([reading("another", False, task="coins")])
    chosen = tally.chosen("sums", accepted=False)
    assert [one.why for one in chosen] == [
        "cut short", "no answer found", "wrong answer", "no answer found", "wrong answer",
        "no answer found",
    ]  # fmt: skip
    assert tally.chosen("sums", accepted=True) == []
    assert [one.row for one in tally.chosen("coins", accepted=False)] == ["another"]


def test_rows_of_one_name_are_told_apart() -> None:
    tally = Tally(5, seed=1)
    tally.add([reading("same", sample=0), reading("same", sample=0), reading("same", sample=1)])
    assert Counter(one.sample for one in tally.chosen("sums", accepted=True)) == {0: 2, 1: 1}


CAUSES = [
    # stated, read here, the publisher's, gold, word
    ("12.30.", "12.3", "12.30", "12.3", "spelling"),
    ("1,200.0", "1200", "1,200.0", "1200", "spelling"),
    ("0.6666666666666667.", "0.6666666666666667", "0.6666666666666667", "0.6666666666666666",
     "rounding"),
    ("3/4.", "0.75", "3", "0.75", "fraction"),
    ("$ 3 / 4", "0.75", "3", "0.75", "fraction"),
    (".25", "0.25", "25", "0.25", "point"),
    ("7 apples, and 3 left", "4", "7", "4", "elsewhere"),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "answer", "predicted", "gold", "word"), CAUSES)
def test_why_the_publisher_reads_otherwise(
    stated: str, answer: str, predicted: str, gold: str, word: str
) -> None:
    assert cause(reading(stated=stated, answer=answer, predicted=predicted, gold=gold)) == word


def test_why_in_other_cases() -> None:
    later = {"rule": 1, "predicted": "", "gold": "11", "answer": "11"}
    assert cause(reading(stated="eleven.", **later)) == "words"
    assert cause(reading(stated="_____ 11", **later)) == "elsewhere"
    missed = {"accepted": False, "predicted": "162", "gold": "162"}
    assert cause(reading(answer=None, stated="___.\n\nThe answer is 162.", **missed)) == "silent"
    assert cause(reading(answer="7", stated="7 or 162", **missed)) == "elsewhere"
    assert cause(reading(accepted=False, answer="B", kind="choice", predicted="C", gold="C")) == (
        "elsewhere"
    )
    cut = reading(accepted=False, why="cut short", answer="4", predicted="4")
    assert cause(cut) == "unexplained"
    for alike in (reading(), reading(predicted="4"), reading(accepted=False, predicted="5")):
        with pytest.raises(ValueError, match="r is read alike"):
            cause(alike)
    given = {word for *_, word in CAUSES} | {"words", "silent", "unexplained"}
    assert given == WORDS.keys()
