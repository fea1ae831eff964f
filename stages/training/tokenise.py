"""Training rows as token ids, checked before the first step (family E7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stages.core.errors import user_error
from stages.core.jsonl import encodable
from stages.engines.local import encode


@dataclass(frozen=True)
class Example:
    """One training row: `ids` are prompt then completion; loss is on ``ids[prompt:]`` alone.

    `cut` tells that its end is missing.
    """

    id: str
    ids: list[int]
    prompt: int
    cut: bool = False


def tokenise(
    rows: Iterable[Mapping[str, Any]], tokenizer: Any, max_length: int, truncated: float = 0.0
) -> list[Example]:
    """Tokenise prompt and completion apart, as they are met at inference.

    The completion ends with the end-of-turn token, so that the student learns to stop
    (trl issue 1623).

    Args:
        rows: With `id`, `messages`, `completion`, perhaps `api`.
        tokenizer: The student's.
        max_length: Tokens that a row may have.
        truncated: Share of the rows that may be longer and lose their end.

    Raises:
        UserError: E711 no rows, E712 too many rows longer than `max_length` tokens, E713 a chat
            template whose turn does not end with the tokenizer's end token.
    """
    made, end = [], None
    for row in rows:
        api = row.get("api", "chat")
        prompt = encode(tokenizer, row["messages"], api)
        if end is None:  # the rows of a run are of one kind
            end = end_of_turn(tokenizer) if api == "chat" else int(tokenizer.eos_token_id)
        completion = tokenizer(encodable(row["completion"]), add_special_tokens=False)["input_ids"]
        made.append(Example(row["id"], [*prompt, *completion, end], len(prompt)))
    if not made:
        raise user_error(
            "build/mix", "E711", "there is no training row",
            "look at build/yield for why rows were dropped",
        )  # fmt: skip
    long = [example for example in made if len(example.ids) > max_length]
    if len(long) > truncated * len(made):
        longest = max(len(example.ids) for example in long)
        allowed = f", and train.truncated allows {truncated:.1%} of them" if truncated else ""
        raise user_error(
            "params.yaml", "E712",
            f"{len(long)} of {len(made)} training rows are longer than train.max_length, "
            f"{max_length} tokens{allowed}; the longest has {longest}, the first is {long[0].id}",
            f"raise train.max_length to {longest}, or shorten the rationales",
        )  # fmt: skip
    return [
        replace(example, ids=example.ids[:max_length], cut=True)
        if len(example.ids) > max_length else example
        for example in made
    ]  # fmt: skip


def end_of_turn(tokenizer: Any) -> int:
    """The token that ends the assistant's turn, by the chat template itself."""
    mark = "\x00answer\x00"
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": mark}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    tail = text.partition(mark)[2]
    if not tail.startswith(tokenizer.eos_token or "\x00"):
        raise user_error(
            "build/student", "E713",
            f"the chat template ends a turn with {tail[:20]!r}, "
            f"but the tokenizer's end token is {tokenizer.eos_token!r}",
            "set eos_token in tokenizer_config.json to the token that ends a turn",
        )  # fmt: skip
    return int(tokenizer.eos_token_id)


def batches(lengths: Sequence[int], size: int, epochs: int, seed: int) -> list[list[int]]:
    """Row indices of each step: shuffled, then sorted by length within windows of four batches.

    Little padding, and still no order by length over the epoch.
    """
    import random

    made: list[list[int]] = []
    for epoch in range(epochs):
        rng = random.Random(f"{seed}/{epoch}")
        order = list(range(len(lengths)))
        rng.shuffle(order)
        steps: list[list[int]] = []
        for at in range(0, len(order), 4 * size):
            window = sorted(order[at : at + 4 * size], key=lambda index: lengths[index])
            cut = [window[i : i + size] for i in range(0, len(window), size)]
            rng.shuffle(cut)
            steps += cut
        made += steps
    return made
