"""Whether two models mean the same by a token id, and what bytes a token stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from stages.core.errors import user_error
from stages.engines.local import encode
from stages.engines.request import Message

OTHER = "take a teacher of the student's own family, or loss: sft, which learns from its texts"


def check_same(
    student: Any, teacher: Any, row: str, messages: Sequence[Message], api: str = "chat"
) -> None:
    """Every id must be the same token in both tokenizers, and a prompt the same ids.

    Names and sizes say little: vocabularies of one size differ in order, and models of one
    family in the marks of their turns.

    Args:
        student: A tokenizer.
        teacher: Another.
        row: Where the prompt comes from.
        messages: The prompt.
        api: As of `encode`.

    Raises:
        UserError: E741 when they differ.
    """
    held, other = student.get_vocab(), teacher.get_vocab()
    if held != other:
        differ = sorted(token for token in held.keys() | other.keys()
                        if held.get(token) != other.get(token))  # fmt: skip
        token = differ[0]
        message = (
            f"the teacher's tokenizer is not the student's: {len(differ)} tokens have another id "
            f"or none, such as {token!r}, {_named(other.get(token))} for the teacher and "
            f"{_named(held.get(token))} for the student"
        )
        raise user_error("build/teacher", "E741", message, OTHER)
    ids, others = (
        [*encode(tokenizer, messages, api), tokenizer.eos_token_id]
        for tokenizer in (student, teacher)
    )
    if ids != others:
        pairs = enumerate(zip_longest(ids, others))
        at, (one, two) = next((n, pair) for n, pair in pairs if pair[0] != pair[1])
        message = (
            f"the teacher's chat template is not the student's: token {at} of the prompt of {row} "
            f"is {_shown(teacher, two)} for the teacher and {_shown(student, one)} for the student"
        )
        raise user_error("build/teacher", "E741", message, OTHER)


def _named(token: int | None) -> str:
    return "unknown" if token is None else f"id {token}"


def _shown(tokenizer: Any, token: int | None) -> str:
    return "none" if token is None else repr(tokenizer.convert_ids_to_tokens(token))


def token_bytes(tokenizer: Any) -> list[bytes | None]:
    """The bytes that each id stands for inside a text, None for an id that is not in use.

    Byte-level vocabularies (GPT-2 and its kin) spell each byte as a printable character;
    SentencePiece's write a space as ``▁`` and single bytes as ``<0x0A>``.

    Raises:
        UserError: E742 for a tokenizer of another kind, of whose tokens nobody knows the bytes.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    kinds = set(_types(json.loads(backend.to_str())["decoder"])) if backend else set[str]()
    if "ByteLevel" in kinds:
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        table: Any = bytes_to_unicode
        spelt = {character: byte for byte, character in table().items()}

        def of(token: str) -> bytes | None:
            return bytes(spelt[c] for c in token) if all(c in spelt for c in token) else None

    elif kinds & {"ByteFallback", "Metaspace"}:

        def of(token: str) -> bytes | None:
            byte = re.fullmatch(r"<0x([0-9A-F]{2})>", token)
            return bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode()

    else:
        raise user_error(
            "build/student", "E742",
            "recorded tokens cannot be found in the student's vocabulary, which is neither "
            "byte-level nor SentencePiece's",
            "take a local teacher, or loss: sft",
        )  # fmt: skip
    added = {index: token.content for index, token in tokenizer.added_tokens_decoder.items()}
    vocabulary = tokenizer.get_vocab()
    made: list[bytes | None] = [None] * (max(vocabulary.values()) + 1)
    for token, index in vocabulary.items():
        made[index] = added[index].encode() if index in added else of(token)
    return made


def _types(decoder: Mapping[str, Any] | None) -> list[str]:
    if decoder is None:
        return []
    inner = decoder.get("decoders", ())
    return [str(decoder["type"]), *(kind for part in inner for kind in _types(part))]
