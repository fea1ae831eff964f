from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.curation.cases import Case
from stages.curation.judged import let_through
from stages.curation.settings import Settings
from tests.curation.making import Made, item, row, samples


def every_kind() -> Case:
    """One rationale of each kind that the answer filter tells apart."""
    of = row()
    return Case(
        of,
        [
            item(of, 0, "Right."),
            item(of, 1, "Wrong.", "5"),
            item(of, 2, "It never says.", ""),
            item(of, 3, "It is", "", finish_reason="length"),
            item(of, 4, "", "", error="HTTP 400"),
        ],
    )


def test_the_answer_filter_keeps_what_is_right_and_names_why_not() -> None:
    made = Made([every_kind()])
    place = {"id": "sums/train/0", "task": "sums", "strategy": "steps"}
    assert made.kept == [{**place, "sample": 0, "rationale": "Right.", "answer": "4"}]
    assert made.dropped == [
        {
            **place, "sample": sample, "reason": reason, "answer": answer, "gold": "4",
            "completion": completion,
        }
        for sample, reason, answer, completion in (
            (1, "wrong answer", "5", "Wrong. The answer is 5."),
            (2, "no answer found", None, "It never says."),
            (3, "cut short", None, "It is"),
            (4, "refused by the endpoint", None, ""),
        )
    ]  # fmt: skip


def test_without_a_filter_what_is_whole_is_kept_with_the_teachers_answer() -> None:
    made = Made([every_kind()], filter="none")
    assert [(line["sample"], line["rationale"], line["answer"]) for line in made.kept] == [
        (0, "Right.", "4"),
        (1, "Wrong.", "5"),
        (2, "It never says.", "4"),  # the teacher states none
    ]
    assert made.reasons == [(0, 3, "cut short"), (0, 4, "refused by the endpoint")]


@pytest.mark.parametrize(
    ("task", "gold", "said", "answer"),
    [
        ("names", "y a", "xb", "x b"),
        ("names", "ya", "x b", "xb"),
        ("lists", '["a", "b"]', "c and d", "c, d"),
        ("sums", "4", "$1,200.00", "1200"),
        ("coins", "yes", "No, it is not", "no"),
    ],
)
def test_a_wrong_answer_is_written_as_the_gold_one_is(
    task: str, gold: str, said: str, answer: str
) -> None:
    of = row(task=task, gold=gold)
    made = Made([samples(of, "So.", said=said)], filter="none")
    assert [line["answer"] for line in made.kept] == [answer]


def test_a_share_of_the_wrong_is_let_through_with_its_own_answer() -> None:
    cases = [samples(row(number), "So.", said="5") for number in range(400)]
    made = Made(cases, let_through=0.25)
    assert 70 <= len(made.kept) <= 130
    assert {line["answer"] for line in made.kept} == {"5"}
    assert {reason for _, _, reason in made.reasons} == {"wrong answer"}
    assert Made(cases, let_through=0.25).kept == made.kept
    assert Made(cases, let_through=0.25, seed=2).kept != made.kept
    assert len(Made(cases, let_through=1).kept) == 400
    assert Made(cases, let_through=0).kept == []


def test_what_states_no_answer_is_not_let_through() -> None:
    assert Made([every_kind()], let_through=1).names == [(0, 0), (0, 1)]


@given(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted), st.text(), st.integers(0, 99))
def test_a_larger_share_only_adds(shares: list[float], name: str, sample: int) -> None:
    rationale: dict[str, Any] = {"id": name, "strategy": "s", "sample": sample}
    small, large = (let_through(rationale, Settings(let_through=share)) for share in shares)
    assert small <= large


def test_only_the_sound_are_kept() -> None:
    made = Made(
        [every_kind(), samples(row(1), "So.", "Thus.")],
        sound=[("sums/train/0", "steps", 1), ("sums/train/1", "steps", 1)],
    )
    assert made.names == [(1, 1)]
    assert made.reasons[:2] == [(0, 0, "not among the sound"), (0, 1, "wrong answer")]
    assert made.reasons[-1] == (1, 0, "not among the sound")


def test_the_rows_own_solution_in_place_of_the_teachers() -> None:
    own = row(0, worked={"steps": "By hand it is. The answer is 4.", "other": "No."})
    bad = row(1, worked={"steps": "The answer is 9."})
    bare = row(2, worked={"steps": "It ends without a statement."})
    cases = [
        Case(own, [item(own, 0), item(own, 1, said="5")]),
        *(Case(of, [item(of)]) for of in (bad, bare, row(3))),
    ]
    made = Made(cases, filter="gold")
    assert [(line["id"][-1], line["sample"], line["rationale"]) for line in made.kept] == [
        ("0", "worked", "By hand it is."),
        ("1", 0, item(bad)["completion"].partition(" The answer")[0]),
        ("2", "worked", "It ends without a statement."),
        ("3", 0, item(bad)["completion"].partition(" The answer")[0]),
    ]
    assert {line["answer"] for line in made.kept} == {"4"}
    assert made.reasons == [
        (0, 0, "replaced by the row's own"),
        (0, 1, "wrong answer"),
        (1, "worked", "wrong answer"),
        (2, 0, "replaced by the row's own"),
    ]
    assert made.dropped[2]["completion"] == "The answer is 9."


def test_strategies_are_told_apart() -> None:
    of = row(worked={"other": "By hand. The answer is 4."})
    case = Case(of, [item(of), item(of, strategy="other")])
    made = Made([case], filter="gold")
    assert [(line["strategy"], line["sample"]) for line in made.kept] == [
        ("steps", 0),
        ("other", "worked"),
    ]
