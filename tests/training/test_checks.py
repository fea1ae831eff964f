from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.engines.request import Request
from stages.training.checks import check
from stages.training.tokenise import Example, tokenise

FILE = "build/mix/selected.jsonl"
BOTH = "{{ bos_token }}{% for m in messages %}{{ m.content }}</s>{% endfor %}"


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny)


def row(number: int, completion: str = "It is yes.", *, system: bool = False) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Question {number}?"}]
    if system:
        messages.insert(0, {"role": "system", "content": "Think."})
    return {
        "id": f"coin/train/{number}/0", "task": "coin", "messages": messages,
        "completion": completion,
    }  # fmt: skip


def asked(*roles: str, task: str = "coin") -> list[tuple[str, Request]]:
    return [(task, Request("local", "m", tuple((role, "What?") for role in roles), 8))]


def refused(
    tokenizer: Any,
    rows: list[dict[str, Any]],
    examples: Sequence[Example] | None = None,
    valid: Sequence[tuple[str, Request]] = (),
) -> str:
    made = tokenise(rows, tokenizer, 512) if examples is None else examples
    with pytest.raises(UserError) as raised:
        check(FILE, rows, made, valid, tokenizer)
    return str(raised.value)


def test_sound_rows_pass(tokenizer: Any) -> None:
    rows = [row(1), row(2), row(3, system=True)]
    valid = [*asked("user"), *asked("system", "user"), *asked("system", task="other")]
    check(FILE, rows, tokenise(rows, tokenizer, 512), valid, tokenizer)


def test_a_text_without_template_is_checked_as_a_text(tokenizer: Any) -> None:
    rows = [{**row(1), "api": "completions"}]
    valid = [("coin", Request("local", "m", (("user", "What?"),), 8, api="completions"))]
    check(FILE, rows, tokenise(rows, tokenizer, 512), valid, tokenizer)


def test_rows_without_anything_to_learn(tokenizer: Any) -> None:
    rows = [row(1), row(2, ""), row(3), row(4)]
    examples = tokenise(rows, tokenizer, 512)
    examples[3] = Example("coin/train/4/0", examples[3].ids[:20], 20, cut=True)
    assert refused(tokenizer, rows, examples) == (
        "build/mix/selected.jsonl:3:1: E721 2 of 4 training rows have no token to learn from: the "
        "prompt fills train.max_length, or the completion is empty; the first is coin/train/2/0\n"
        "    hint: raise train.max_length, or drop these rows in curation"
    )


def test_a_completion_that_ends_the_turn_early(tokenizer: Any) -> None:
    assert refused(tokenizer, [row(1), row(2, "Yes.</s> Or no.")]) == (
        "build/mix/selected.jsonl:3:1: E722 1 of 2 training rows do not end with the one "
        "end-of-turn token that their completion may have; the first is coin/train/2/0\n"
        "    hint: a rationale that contains the token's text ends the student's turn early: "
        "drop it"
    )


def test_a_completion_that_never_ends(tokenizer: Any) -> None:
    (made,) = tokenise([row(1)], tokenizer, 512)
    assert "E722 1 of 1" in refused(tokenizer, [row(1)], [Example("a", made.ids[:-1], made.prompt)])


def test_a_row_that_was_cut_has_no_end(tokenizer: Any) -> None:
    examples = tokenise([row(1), row(2, "x" * 600)], tokenizer, 512, truncated=0.5)
    check(FILE, [row(1), row(2)], examples, asked("user"), tokenizer)


TWO = (
    "build/mix/selected.jsonl:2:1: E723 1 of 1 training rows do not begin with one begin-of-text "
    "token; the first is coin/train/1/0\n"
    "    hint: let either the chat template or the tokenizer write it, not both and not neither"
)


def test_two_bos(tokenizer: Any) -> None:
    tokenizer.chat_template = BOTH.replace("{{ bos_token }}", "{{ bos_token }}<s>")
    assert refused(tokenizer, [row(1)]) == TWO


def test_no_bos_where_the_tokenizer_begins_texts_with_one(tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.chat_template = BOTH.replace("{{ bos_token }}", "")
    check(FILE, [row(1)], tokenise([row(1)], tokenizer, 512), (), tokenizer)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    assert refused(tokenizer, [row(1)]) == TWO
    tokenizer.chat_template = BOTH
    check(FILE, [row(1)], tokenise([row(1)], tokenizer, 512), (), tokenizer)


def test_a_prompt_of_other_tokens_than_inference_sends(tokenizer: Any) -> None:
    examples = tokenise([row(1), row(2)], tokenizer, 512)
    tokenizer.chat_template = tokenizer.chat_template.replace("<s>assistant", "<s>model")
    assert refused(tokenizer, [row(1), row(2)], examples) == (
        "build/mix/selected.jsonl:2:1: E724 1 of 2 training rows have a prompt of other tokens "
        "than inference would send; the first is coin/train/1/0\n"
        "    hint: the chat template depends on more than the messages, such as the time; take "
        "that out"
    )


def test_questions_asked_in_another_form_than_trained_on(tokenizer: Any) -> None:
    assert refused(tokenizer, [row(1)], valid=asked("system", "user")) == (
        "build/mix/selected.jsonl: E724 the student is asked about coin as system, user, and is "
        "trained on user\n"
        "    hint: run `dvc repro`, which makes build/mix and build/compiled of one params.yaml"
    )


def test_everything_at_once(tokenizer: Any) -> None:
    rows = [row(1, ""), row(2, "Yes.</s> Or no.")]
    said = refused(tokenizer, rows, valid=asked("system", "user"))
    assert [line.split()[1] for line in said.splitlines() if "build/mix" in line.split()[0]] == (
        ["E724", "E721", "E722"]
    )
