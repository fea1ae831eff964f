from __future__ import annotations

from tests.curation.making import TEXTS, Made, item, row, samples


def several() -> Made:
    """A row that is never right, one that is half the time, one that always is."""
    hard, middle, easy = row(0), row(1), row(2)
    cases = [
        samples(hard, "No.", "Neither.", said="5"),
        samples(middle, "Well.", "So."),
        samples(easy, "Yes.", "It is."),
    ]
    cases[1].items[0] = item(middle, 0, "Well.", said="5")
    return Made(cases)


def test_filtering_for_right_answers_shows_as_a_shift_to_easy_rows() -> None:
    header = several().tally.header()
    assert header["counts"]["sums"] == {"steps": {"wrong answer": 3, "kept": 3}}
    assert header["counts"]["coins"] == {}
    assert header["rows"]["sums"]["steps"] == {
        "rows": 3,
        "kept": 2,
        "vanished": ["sums/train/0"],
        "added": {},
        "difficulty": {
            "by": "share of samples that are right",
            "before": 0.5,
            "after": 0.75,
            "trained": 0.8333,
            "parts": [
                {"part": "never right", "rows": 1, "kept": 0},
                {"part": "sometimes right", "rows": 1, "kept": 1},
                {"part": "always right", "rows": 1, "kept": 1},
            ],
        },
    }


def test_floor_takes_the_weights_back() -> None:
    hard = row(0, worked={"steps": "By hand. The answer is 4."})
    cases = [samples(hard, "No.", "Neither.", said="5"), samples(row(1), "Yes.", "It is.")]
    shift = Made(cases, floor=2).tally.header()["rows"]["sums"]["steps"]
    assert shift["added"] == {"worked": 1, "repeated": 1}
    assert [shift["difficulty"][name] for name in ("before", "after", "trained")] == [0.5] * 3


def test_with_one_sample_a_row_length_stands_for_difficulty() -> None:
    cases = [
        samples(
            row(n, worked={"steps": " ".join("x" * (n + 1))}), "So.", said="4" if n < 4 else "5"
        )
        for n in range(6)
    ]
    shift = Made(cases).tally.header()["rows"]["sums"]["steps"]["difficulty"]
    assert shift == {
        "by": "words of the gold rationale",
        "before": 3.5,
        "after": 2.5,
        "trained": 2.5,
        "parts": [
            {"part": "shortest third", "rows": 2, "kept": 2},
            {"part": "middle third", "rows": 2, "kept": 2},
            {"part": "longest third", "rows": 2, "kept": 0},
        ],
    }


def test_without_gold_rationales_the_questions_length_does() -> None:
    cases = [samples(row(n, question=" ".join("x" * (n + 1))), "So.") for n in range(3)]
    cases[0].row["worked"] = {"steps": "One has one."}
    shift = Made(cases).tally.header()["rows"]["sums"]["steps"]["difficulty"]
    assert (shift["by"], shift["before"]) == ("words of the question", 2.0)
    nothing = Made([samples(row(0), "So.", said="5")]).tally.header()["rows"]["sums"]["steps"]
    assert (nothing["difficulty"]["after"], nothing["difficulty"]["trained"]) == (None, None)


def test_one_line_sums_it_up() -> None:
    assert several().tally.summary() == (
        "kept 3 of 6 rationales (dropped: 3 wrong answer), nothing kept of 1 of 3 rows"
    )
    assert Made([samples(row(0), "So.")]).tally.summary() == "kept 1 of 1 rationales"
    made = Made([samples(row(0), TEXTS[0], TEXTS[0])], near_duplicates=0.9, floor=3)
    assert made.tally.summary() == "kept 1 of 2 rationales (dropped: 1 near-duplicate), added 2"
