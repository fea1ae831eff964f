"""Batches of training rows, packed where the model computes the same of them; else padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import send_to_device

from stages.engines import packed as laying
from stages.training.tokenise import Example

Batch = dict[str, Any]


def pack(examples: Sequence[Example], packed: bool = True) -> Batch:
    """One batch.

    Args:
        examples: Its rows.
        packed: Whether to lay them end to end; if not, they are padded on the right, where a
            causal mask keeps them from the padding.

    Returns:
        `scored`, (n,), the tokens, counted through all rows, whose successors are learned, and
        `labels`, (n,), those successors; the rest is what the model takes: `Packed.inputs`, or
        `input_ids` and `position_ids`, (rows, width) each.
    """
    labels = [token for example in examples for token in example.ids[example.prompt :]]
    inputs, starts = _packed(examples) if packed else _padded(examples)
    scored = [
        start + place
        for start, example in zip(starts, examples, strict=True)
        for place in range(example.prompt - 1, len(example.ids) - 1)
    ]
    return {**inputs, "scored": torch.tensor(scored), "labels": torch.tensor(labels)}


def _packed(examples: Sequence[Example]) -> tuple[Batch, list[int]]:
    # the last token of a prompt stays with its row, which learns from it
    limit = min(example.prompt for example in examples) - 1
    made = laying.pack([example.ids for example in examples], limit)
    return made.inputs, [start - made.prefix for start in made.starts]


def _padded(examples: Sequence[Example]) -> tuple[Batch, list[int]]:
    width = max(len(example.ids) for example in examples)
    ids = torch.tensor([example.ids + [0] * (width - len(example.ids)) for example in examples])
    positions = torch.arange(width).expand(len(examples), -1)
    return {"input_ids": ids, "position_ids": positions}, [*range(0, ids.numel(), width)]


INPUTS = ("input_ids", "position_ids", "attention_mask", "layout")
PER_TOKEN = {"scored", "labels", "teacher_scored", "teacher_labels", "tops", "chances"}
"""What of a batch has an entry for each completion token."""


def unlearned(batch: Batch) -> Batch:
    """A batch of which nothing is learned."""
    return {name: value[:0] if name in PER_TOKEN else value for name, value in batch.items()}


def inputs(batch: Batch) -> Batch:
    """What of a batch goes into the model."""
    return {name: batch[name] for name in INPUTS if name in batch}


def hidden_states(model: Any, batch: Batch) -> torch.Tensor:
    """The last hidden states at the `scored` tokens of a batch, (n, hidden size)."""
    whole: torch.Tensor = model.get_decoder()(use_cache=False, **inputs(batch)).last_hidden_state
    return whole.flatten(0, 1)[batch["scored"]]


@contextmanager
def packed_attention(model: Any, examples: Sequence[Example]) -> Iterator[bool]:
    """Whether the model computes inside the same of packed rows, tried on the two longest.

    It does not where attention is more than a causal softmax, such as one with a sliding window
    that is shorter than a row, or with capped scores. All other inputs are treated as before.
    """
    before = model.config._attn_implementation
    if before != "sdpa" or not model._supports_attention_backend:
        yield False
        return
    model.set_attn_implementation(laying.NAME)
    try:
        yield _agrees(model, sorted(examples, key=lambda example: len(example.ids))[-2:])
    finally:
        model.set_attn_implementation(before)


@torch.no_grad()
def _agrees(model: Any, examples: Sequence[Example]) -> bool:
    one, other = (
        hidden_states(model, send_to_device(pack(examples, packed), model.device)).float()
        for packed in (True, False)
    )
    error = float((one - other).norm() / other.norm())
    return error < (1e-3 if model.dtype == torch.float32 else 5e-2)
