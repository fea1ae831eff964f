from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stages.curation.cases import Case
from tests.curation.making import TEXTS, Made, item, row, samples

OWN = "By hand it is easy. The answer is 4."


def test_a_row_without_a_right_rationale_is_kept_by_its_own_solution() -> None:
    cases = [
        samples(row(0, worked={"steps": OWN}), TEXTS[0], said="5"),
        samples(row(1), TEXTS[0], said="5"),
    ]
    made = Made(cases, floor=1)
    assert made.kept == [
        {
            "id": "sums/train/0", "task": "sums", "strategy": "steps", "sample": "worked",
            "rationale": "By hand it is easy.", "answer": "4",
        }
    ]  # fmt: skip
    # a wrong rationale is not usable, so the second row is gone, and is named
    assert made.reasons == [(0, 0, "wrong answer"), (1, 0, "wrong answer")]
    assert made.tally.header()["rows"]["sums"]["steps"]["vanished"] == ["sums/train/1"]
    assert made.tally.header()["rows"]["sums"]["steps"]["added"] == {"worked": 1}


def test_what_is_kept_of_a_row_is_repeated_in_turn() -> None:
    case = samples(row(0, worked={"steps": OWN}), TEXTS[0], TEXTS[1])
    made = Made([case], floor=5)
    assert [(line["sample"], line.get("copy")) for line in made.kept] == [
        (0, None), (1, None), ("worked", None), (0, 1), (1, 1),
    ]  # fmt: skip
    assert made.kept[3] == {**made.kept[0], "copy": 1}
    assert made.tally.header()["rows"]["sums"]["steps"]["added"] == {"worked": 1, "repeated": 2}


def test_a_row_with_enough_is_left_alone() -> None:
    case = samples(row(0, worked={"steps": OWN}), TEXTS[0], TEXTS[1])
    assert Made([case], floor=2).names == [(0, 0), (0, 1)]


def test_the_own_solution_is_not_added_beside_itself() -> None:
    of = row(0, worked={"steps": OWN})
    made = Made([Case(of, [item(of, completion=OWN)])], floor=3)
    assert [(line["sample"], line.get("copy")) for line in made.kept] == [
        (0, None), (0, 1), (0, 2),
    ]  # fmt: skip


def test_what_floor_adds_passes_the_other_filters() -> None:
    shared = " ".join(TEXTS)
    own = row(0, worked={"steps": f"{shared} The answer is 4."})
    tests = [{"id": "exam/test/0", "task": "exam", "question": TEXTS[0]}]
    assert Made([samples(own, "No.", said="5")], floor=1).names == [(0, "worked")]
    case = samples(own, "No.", said="5")
    assert Made([case], floor=1, decontaminate={"ngram": 8}, tests=tests).kept == []
    before = samples(row(1), shared.replace("noon", "dusk"))
    assert Made([before, case], floor=1, near_duplicates=0.8).names == [(1, 0)]
    wrong = samples(row(0, worked={"steps": "The answer is 9."}), "No.", said="5")
    assert Made([wrong], floor=1).kept == []


def test_floor_after_keep() -> None:
    case = samples(row(0), TEXTS[0], TEXTS[1], TEXTS[2])
    made = Made([case], keep={"diverse": 1}, floor=2)
    assert [(line["sample"], line.get("copy")) for line in made.kept] == [(0, None), (0, 1)]
    assert len(made.reasons) == 2


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(1, 6),
    st.booleans(),
)
def test_each_row_has_so_many_or_nothing_usable(
    rights: list[list[bool]], floor: int, own: bool
) -> None:
    cases = []
    for number, each in enumerate(rights):
        of = row(number, worked={"steps": OWN} if own else {})
        items = [item(of, n, TEXTS[n], "4" if right else "5") for n, right in enumerate(each)]
        cases.append(Case(of, items))
    made = Made(cases, floor=floor)
    for number, each in enumerate(rights):
        count = sum(line["id"] == f"sums/train/{number}" for line in made.kept)
        usable = sum(each) + own
        assert count == (max(sum(each), floor) if usable else 0)
    assert all(line["answer"] == "4" for line in made.kept)
