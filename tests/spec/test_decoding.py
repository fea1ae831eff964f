"""How often the student is asked each test question, and what of it does not fit together."""

from __future__ import annotations

from typing import Any

import pytest

from stages.core.errors import UserError
from stages.spec.decoding import Decoding
from stages.spec.read import load_params
from tests.projects import Copy

PARAMS = "params.yaml"
SAMPLES = "  samples: 1                        # answers"
TEMPERATURE = "  temperature: 0                    # of the test"


def test_one_greedy_answer_is_the_default(project: Copy) -> None:
    decoding = Decoding.of({"max_tokens": 80})
    assert decoding == Decoding(80, samples=1, temperature=0.0, top_p=None, ks=(1,))
    assert decoding.values == {}
    assert Decoding.of(load_params(project.root).evaluate).samples == 1


@pytest.mark.parametrize(
    ("samples", "ks"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 4)), (10, (1, 2, 4, 8, 10)),
     (16, (1, 2, 4, 8, 16))],
)  # fmt: skip
def test_k_by_powers_of_two(samples: int, ks: tuple[int, ...]) -> None:
    made = Decoding.of({"max_tokens": 8, "samples": samples, "temperature": 0.7})
    assert made.ks == ks


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ({"temperature": 0.7}, {"temperature": 0.7}),
        ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"temperature": 0, "top_p": 0.9}, {}),
    ],
)
def test_sampling_values(section: dict[str, Any], values: dict[str, float]) -> None:
    assert Decoding.of({"max_tokens": 8, **section}).values == values
    assert Decoding.of({"max_tokens": 8, "ks": [4, 1], "samples": 4, **section}).ks == (1, 4)


CASES = [
    (
        SAMPLES, "  samples: 4 # answers", TEMPERATURE, "  temperature: »0 # of the test",
        "E507 at temperature 0 all 4 samples are the same answer",
        "write a temperature above 0, such as 0.7, or samples: 1",
    ),
    (
        SAMPLES, "  samples: »4 # answers", TEMPERATURE, "  # of the test",
        "E507 at temperature 0 all 4 samples are the same answer",
        "write a temperature above 0, such as 0.7, or samples: 1",
    ),
    (
        SAMPLES, "  samples: 4\n  ks: [1, »8] # answers", TEMPERATURE,
        "  temperature: 0.7 # of the test",
        "E507 k is 8, and there are 4 samples of each question",
        "raise evaluate.samples to 8, or leave this k out",
    ),
    (
        SAMPLES, "  samples: 1\n  ks: [»2] # answers", TEMPERATURE, TEMPERATURE,
        "E507 k is 2, and there is 1 sample of each question",
        "raise evaluate.samples to 2, or leave this k out",
    ),
    (
        SAMPLES, "  samples: »0 # answers", TEMPERATURE, TEMPERATURE,
        "E116 evaluate.samples: 0 is less than 1", "",
    ),
    (
        SAMPLES, SAMPLES, TEMPERATURE, "  temperature: 1\n  top_p: »0 # of the test",
        "E116 evaluate.top_p: 0 must be more than 0", "",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[4])
def test_what_does_not_fit(project: Copy, case: tuple[str, ...]) -> None:
    stated = f"{SAMPLES} to a question\n{TEMPERATURE} answers\n"
    project.edit(PARAMS, "  max_tokens: 80\n", f"  max_tokens: 80\n{stated}")
    *edits, message, hint = case
    spots = [
        project.edit(PARAMS, old, new) for old, new in zip(edits[::2], edits[1::2], strict=True)
    ]
    spot = next(spot for spot in spots if spot.line)
    expected = spot.says(message, hint)
    assert project.problems() == [expected]
    # stages behind compile, which do not depend on it, say the same before any work
    with pytest.raises(UserError) as caught:
        load_params(project.root)
    assert [str(problem) for problem in caught.value.problems] == [expected]
