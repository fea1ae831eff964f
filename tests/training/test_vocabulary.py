"""Whether two tokenizers agree, and what bytes tokens stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from stages.core.errors import UserError
from stages.training.vocabulary import OTHER, check_same, token_bytes
from tests.tiny import TEMPLATE, save_tiny

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ja, é 🙂?"}]
HINT = f"    hint: {OTHER}"


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny)


def swapped(tokenizer: Any, one: str, other: str) -> Any:
    """The same tokenizer with two tokens in each other's place."""
    held = tokenizer.get_vocab()
    held[one], held[other] = held[other], held[one]
    made = Tokenizer(models.BPE(held, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    fast.chat_template = tokenizer.chat_template
    return fast


def refusal(student: Any, teacher: Any) -> str:
    with pytest.raises(UserError) as found:
        check_same(student, teacher, "coin/train/1/0", CHAT)
    return str(found.value)


def test_the_same_tokenizer_from_another_folder_passes(tokenizer: Any, tmp_path: Path) -> None:
    other = AutoTokenizer.from_pretrained(save_tiny(tmp_path / "other", seed=5))
    check_same(tokenizer, other, "coin/train/1/0", CHAT)


def test_a_vocabulary_of_the_same_tokens_in_another_order_is_refused(tokenizer: Any) -> None:
    a, b = (tokenizer.get_vocab()[token] for token in "ab")
    assert refusal(tokenizer, swapped(tokenizer, "a", "b")) == (
        "build/teacher: E741 the teacher's tokenizer is not the student's: 2 tokens have another "
        f"id or none, such as 'a', id {b} for the teacher and id {a} for the student\n{HINT}"
    )


def test_a_further_token_is_refused(tokenizer: Any, tiny: Path) -> None:
    other = AutoTokenizer.from_pretrained(tiny)
    other.add_tokens(["<think>"])
    assert refusal(tokenizer, other) == (
        "build/teacher: E741 the teacher's tokenizer is not the student's: 1 tokens have another "
        f"id or none, such as '<think>', id {len(tokenizer)} for the teacher and unknown for the "
        f"student\n{HINT}"
    )


def test_another_chat_template_is_refused(tokenizer: Any, tiny: Path) -> None:
    other = AutoTokenizer.from_pretrained(tiny)
    other.chat_template = TEMPLATE.replace("{{ m.role }}", "[{{ m.role }}]")
    assert refusal(tokenizer, other) == (
        "build/teacher: E741 the teacher's chat template is not the student's: token 1 of the "
        f"prompt of coin/train/1/0 is '[' for the teacher and 's' for the student\n{HINT}"
    )


def test_a_template_that_says_more_at_the_end_is_refused(tokenizer: Any, tiny: Path) -> None:
    other = AutoTokenizer.from_pretrained(tiny)
    other.chat_template = TEMPLATE.replace("assistant\n", "assistant\n</s></s>")
    check_same(tokenizer, tokenizer, "coin/train/1/0", CHAT)
    assert "is '</s>' for the teacher and none for the student" in refusal(tokenizer, other)


def test_bytes_of_a_byte_level_vocabulary_make_up_any_text(tokenizer: Any) -> None:
    text = "Ja, é 🙂\n\t\x00."
    told = token_bytes(tokenizer)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert b"".join(told[index] or b"?" for index in ids) == text.encode()
    assert told[tokenizer.eos_token_id] == b"</s>"


def test_bytes_of_a_sentencepiece_vocabulary() -> None:
    pieces = {"<s>": 0, "<0x0A>": 1, "▁Ja": 2, "é": 3}
    made = Tokenizer(models.BPE(pieces, [], byte_fallback=True))
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>")
    assert token_bytes(fast) == [b"<s>", b"\n", b" Ja", "é".encode()]


def test_a_vocabulary_of_another_kind_is_refused() -> None:
    made = Tokenizer(models.WordPiece({"[UNK]": 0, "##a": 1}, unk_token="[UNK]"))
    made.decoder = decoders.WordPiece()
    with pytest.raises(UserError) as found:
        token_bytes(PreTrainedTokenizerFast(tokenizer_object=made))
    assert str(found.value) == (
        "build/student: E742 recorded tokens cannot be found in the student's vocabulary, which is "
        "neither byte-level nor SentencePiece's\n    hint: take a local teacher, or loss: sft"
    )
