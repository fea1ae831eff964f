from __future__ import annotations

import pytest

from stages.compiler import overlap
from stages.compiler.overlap import Seen, normalised, template_of


def test_questions_are_compared_by_their_letters_and_digits() -> None:
    assert normalised(" Is  it, 'x_1'?\n") == normalised("is it X 1") == "is it x 1"


@pytest.mark.parametrize("bucket", [1, 3, 100_000])
def test_what_two_splits_share(monkeypatch: pytest.MonkeyPatch, bucket: int) -> None:
    monkeypatch.setattr(overlap, "BUCKET", bucket)
    seen = Seen()
    for split, questions in {
        "train": ["a", "b", "c", "A!"],
        "probe": ["d", "b"],
        "test": ["e", "c?", "B", "d", "e"],
    }.items():
        for question in questions:
            seen.add(split, question)
    assert list(seen.shared()) == [
        ("train", "probe", [1]),
        ("train", "test", [1, 2]),
        ("probe", "test", [3]),
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Faye had 34 books. If she sold 3, how many has she?",
         "Robin had 1,020 books. If he sold 7, how many has he?"),
        ("On 2 May 2015 it rained. What day?", "On 30 May 2099 it rained. What day?"),
        ("Is it even? 4", "is it EVEN... 6"),
        ("Adam gave Mary $5.50.", "Zoe gave Carl $7."),
    ],
)  # fmt: skip
def test_questions_of_one_template(one: str, two: str) -> None:
    assert template_of(one) == template_of(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Faye had 34 books. If she sold 3, how many has she?",
         "Faye had 34 books. If she lost 3, how many has she?"),
        ("How many are 3 and 4?", "How many were 3 and 4?"),
    ],
)  # fmt: skip
def test_questions_of_two_templates(one: str, two: str) -> None:
    assert template_of(one) != template_of(two)
