"""What an endpoint told of its tokens, found again in the student's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from stages.core.errors import UserError
from stages.training.divergence import NOTHING
from stages.training.recorded import Recorded
from stages.training.vocabulary import OTHER

LIKELY, LESS = math.log(0.7), math.log(0.2)


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny)


def told(text: str, other: str = "x") -> list[Any]:
    """The tiny model's tokens are bytes; each has one alternative."""
    tokens = [bytes([byte]) for byte in text.encode()]
    return [[named(raw), LIKELY, [[named(raw), LIKELY], [other, LESS]]] for raw in tokens]


def named(raw: bytes) -> Any:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return list(raw)


def row(logprobs: list[Any] | None) -> dict[str, Any]:
    return {"id": "coin/train/1/0", **({"logprobs": logprobs} if logprobs is not None else {})}


def ids(tokenizer: Any, text: str) -> list[int]:
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def known(table: Any) -> list[bool]:
    return [bool(value) for value in (table != NOTHING).any(-1)]


def refusal(record: Recorded) -> str:
    with pytest.raises(UserError) as found:
        record.check("steps")
    return str(found.value)


def test_the_record_serves_as_far_as_the_student_writes_what_the_teacher_wrote(
    tokenizer: Any,
) -> None:
    record = Recorded(tokenizer)
    completion = ids(tokenizer, "Up, é. So yes")
    tops, chances = record.tops(row(told("Up, é. Then no")), completion)
    shared = len("Up, é. ".encode())
    assert known(tops) == [True] * shared + [False] * (len(completion) - shared)
    assert tops[:shared].tolist() == [[i, ids(tokenizer, "x")[0]] for i in completion[:shared]]
    assert np.allclose(chances[:shared], [LIKELY, LESS])
    assert (record.found, record.shared) == (shared, shared)
    record.check("steps")


def test_blanks_before_the_rationale_shift_the_rest(tokenizer: Any) -> None:
    record = Recorded(tokenizer)
    tops, _ = record.tops(row(told("\n\nUp.")), ids(tokenizer, "Up. yes"))
    assert known(tops) == [True] * 3 + [False] * 5
    tops, _ = record.tops(row(told(" Up.")), ids(tokenizer, " Up."))
    assert known(tops) == [True] * 4 + [False]


def test_the_sampled_token_counts_beside_its_alternatives_and_the_most_probable_is_first(
    tokenizer: Any,
) -> None:
    token = ["U", math.log(0.1), [["x", math.log(0.6)], ["y", math.log(0.2)], ["z", -9999.0]]]
    tops, chances = Recorded(tokenizer).tops(row([token]), ids(tokenizer, "U"))
    assert tops[0].tolist() == [ids(tokenizer, text)[0] for text in "xyU"]
    assert np.allclose(chances[0], np.log([0.6, 0.2, 0.1]))


def test_tokens_by_id_as_vllm_tells_them(tokenizer: Any) -> None:
    completion = ids(tokenizer, "Up")
    tokens = [[f"token_id:{i}", LIKELY, []] for i in completion[:-1]]
    record = Recorded(tokenizer)
    tops, _ = record.tops(row(tokens), completion)
    assert tops.tolist() == [[completion[0]], [completion[1]], [NOTHING]]
    record.tops(row([["token_id:99999", LIKELY, []]]), completion)
    assert "such as 'token_id:99999' in coin/train/1/0" in refusal(record)


def test_a_row_without_a_record_is_learned_as_text(tokenizer: Any) -> None:
    record = Recorded(tokenizer)
    tops, chances = record.tops(row(None), ids(tokenizer, "Up"))
    assert (tops.shape, chances.shape) == ((3, 0), (3, 0))
    assert refusal(record) == (
        "build/mix/steps.jsonl: E743 no row of the run 'steps' has the teacher's probabilities\n"
        "    hint: ask for them with teacher.top_logprobs, train on what the teacher wrote, or "
        "write loss: sft"
    )


def test_tokens_of_another_vocabulary_are_refused(tokenizer: Any) -> None:
    record = Recorded(tokenizer)
    record.tops(row([["U", LIKELY, [["Up", LESS]]]]), ids(tokenizer, "Up"))
    assert refusal(record) == (
        "build/student: E742 1 recorded tokens are none of the student's, such as 'Up' in "
        f"coin/train/1/0: the teacher has another tokenizer\n    hint: {OTHER}"
    )


def test_alternatives_that_are_no_whole_text_are_left_to_the_tail(tokenizer: Any) -> None:
    token = ["U", LIKELY, [["\N{REPLACEMENT CHARACTER}", LESS], ["", LESS]]]
    record = Recorded(tokenizer)
    tops, _ = record.tops(row([token]), ids(tokenizer, "U"))
    assert tops[0].tolist() == ids(tokenizer, "U")[:1]
    record.check("steps")


def test_texts_that_are_cut_otherwise_are_refused(tiny: Path) -> None:
    """A vocabulary that holds all of the teacher's tokens, and cuts the same words otherwise."""
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.add_tokens(["Up", "so"])
    record = Recorded(tokenizer)
    record.tops(row(told("Up so.")), ids(tokenizer, "Up so."))
    assert (record.shared, record.found) == (4, 2)
    assert refusal(record) == (
        "build/student: E742 of 4 tokens that the student learns, 2 are cut otherwise on record: "
        f"the teacher has another tokenizer\n    hint: {OTHER}"
    )
    for _ in range(20):
        record.tops(row(told("yes")), ids(tokenizer, "yes"))
    record.check("steps")
