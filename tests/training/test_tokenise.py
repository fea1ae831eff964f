from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.training.tokenise import batches, end_of_turn, tokenise
from tests.tiny import TEMPLATE


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny)


def row(number: int, completion: str = "The answer is yes.") -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Question {number}?"}]
    return {"id": f"coin/train/{number}/0", "messages": messages, "completion": completion}


def test_prompt_as_at_inference_then_completion_then_end_of_turn(tokenizer: Any) -> None:
    (made,) = tokenise([row(1)], tokenizer, 64)
    prompt, target = made.ids[: made.prompt], made.ids[made.prompt :]
    assert tokenizer.decode(prompt) == "<s>user\nQuestion 1?</s><s>assistant\n"
    assert tokenizer.decode(target) == "The answer is yes.</s>"
    assert target[-1] == tokenizer.eos_token_id
    turns = [*row(1)["messages"], {"role": "assistant", "content": "The answer is yes."}]
    assert tokenizer.decode(made.ids) == tokenizer.apply_chat_template(turns, tokenize=False)


def test_rows_too_long_are_refused_at_once(tokenizer: Any) -> None:
    rows = [row(1), row(2, "x" * 50), row(3, "x" * 80), row(4, "y" * 60)]
    with pytest.raises(UserError) as raised:
        tokenise(rows, tokenizer, 64)
    assert str(raised.value) == (
        "params.yaml: E712 3 of 4 training rows are longer than train.max_length, 64 tokens; "
        "the longest has 110, the first is coin/train/2/0\n"
        "    hint: raise train.max_length to 110, or shorten the rationales"
    )


def test_a_share_of_rows_may_lose_its_end(tokenizer: Any) -> None:
    rows = [row(1), row(2, "x" * 50), row(3), row(4)]
    made = tokenise(rows, tokenizer, 64, truncated=0.25)
    assert [(len(example.ids) <= 64, example.cut) for example in made] == [
        (True, number == 1) for number in range(4)
    ]
    whole = tokenise(rows, tokenizer, 512)
    assert [example.ids for example in made] == [example.ids[:64] for example in whole]


def test_more_than_that_share_is_refused(tokenizer: Any) -> None:
    rows = [row(1), row(2, "x" * 50), row(3, "x" * 80), row(4)]
    with pytest.raises(UserError) as raised:
        tokenise(rows, tokenizer, 64, truncated=0.25)
    assert str(raised.value) == (
        "params.yaml: E712 2 of 4 training rows are longer than train.max_length, 64 tokens, "
        "and train.truncated allows 25.0% of them; "
        "the longest has 110, the first is coin/train/2/0\n"
        "    hint: raise train.max_length to 110, or shorten the rationales"
    )


def test_no_rows(tokenizer: Any) -> None:
    with pytest.raises(UserError) as raised:
        tokenise([], tokenizer, 64)
    assert str(raised.value) == (
        "build/mix: E711 there is no training row\n"
        "    hint: look at build/yield for why rows were dropped"
    )


def test_a_turn_that_does_not_end_with_the_end_token(tiny: Path) -> None:
    from transformers import AutoTokenizer

    other = AutoTokenizer.from_pretrained(tiny)
    other.chat_template = TEMPLATE.replace("</s>", "<|turn|>")
    with pytest.raises(UserError) as raised:
        tokenise([row(1)], other, 64)
    assert str(raised.value) == (
        "build/student: E713 the chat template ends a turn with '<|turn|>', "
        "but the tokenizer's end token is '</s>'\n"
        "    hint: set eos_token in tokenizer_config.json to the token that ends a turn"
    )


def test_a_tokenizer_without_an_end_token(tiny: Path) -> None:
    from transformers import AutoTokenizer

    other = AutoTokenizer.from_pretrained(tiny)
    other.eos_token = None
    with pytest.raises(UserError, match=r"E713 .* end token is None"):
        end_of_turn(other)


LENGTHS = [(7 * i) % 23 + 1 for i in range(50)]


def test_every_row_once_an_epoch() -> None:
    plan = batches(LENGTHS, 8, 3, seed=1)
    assert len(plan) == 3 * 7
    for epoch in range(3):
        steps = plan[7 * epoch : 7 * (epoch + 1)]
        assert Counter(i for step in steps for i in step) == Counter(range(50))
    assert {len(step) for step in plan} == {8, 2}


def test_batches_are_decided_by_the_seed() -> None:
    assert batches(LENGTHS, 8, 2, seed=1) == batches(LENGTHS, 8, 2, seed=1)
    assert batches(LENGTHS, 8, 2, seed=1) != batches(LENGTHS, 8, 2, seed=2)
    first, second = batches(LENGTHS, 8, 2, seed=1)[:7], batches(LENGTHS, 8, 2, seed=1)[7:]
    assert first != second


def test_rows_of_like_length_share_a_batch() -> None:
    lengths = [10] * 500 + [1000] * 500
    padding = sum(
        sum(max(lengths[i] for i in step) - lengths[i] for i in step)
        for step in batches(lengths, 8, 1, seed=1)
    )
    blind = 990 * 500
    assert padding < blind / 3
