"""Training rows laid end to end, what they begin with alike written once, none seeing another.

Every layer but attention works on each token by itself, so it is given the rows' tokens without
padding, and of a beginning that all rows share (a system message, a block of few-shot examples)
one copy. Attention lays the rows beside each other again, each behind that one copy. Losses and
gradients are those of the rows apart; the shared tokens are computed once instead of once a row.

Source: Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination" (arXiv
2107.02027); Juravsky et al. 2024, "Hydragen" (arXiv 2402.05099) for the shared prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from stages.training.tokenise import Example

NAME = "packed"
Batch = dict[str, Any]


def pack(examples: Sequence[Example], packed: bool = True) -> Batch:
    """One batch.

    Args:
        examples: Its rows.
        packed: Whether to lay them end to end; if not, they are padded on the right, where a
            causal mask keeps them from the padding.

    Returns:
        `input_ids` and `position_ids`, (1, tokens) each, or (rows, width); `scored`, (n,), the
        tokens, counted through all rows, whose successors are learned, and `labels`, (n,), those
        successors. If packed, `attention_mask`, (1, 1, width, prefix + width), what a row's token
        sees of the prefix and of its row, and `layout`: the length of the prefix, which comes
        first, the number of rows, for each place of a (rows, width) table of what follows the
        prefix the index of its token (any, where a row is shorter), and the place of each token
        in that table.
    """
    return _packed(examples) if packed else _padded(examples)


def _packed(examples: Sequence[Example]) -> Batch:
    shared = _shared(examples)
    first = examples[0].ids
    ids, positions = list(first[:shared]), list(range(shared))
    slots, places, scored, labels = list[int](), list[int](), list[int](), list[int]()
    width = max(len(example.ids) for example in examples) - shared
    for row, example in enumerate(examples):
        start, length = len(ids), len(example.ids) - shared
        ids += example.ids[shared:]
        positions += range(shared, len(example.ids))
        slots += [*range(start, start + length), *([start] * (width - length))]
        places += range(row * width, row * width + length)
        scored += range(start + example.prompt - 1 - shared, start + length - 1)
        labels += example.ids[example.prompt :]
    sees = torch.ones(width, shared + width, dtype=torch.bool).tril(shared)
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "scored": torch.tensor(scored),
        "labels": torch.tensor(labels),
        "attention_mask": torch.zeros(sees.shape).masked_fill(~sees, -torch.inf)[None, None],
        "layout": (shared, len(examples), torch.tensor(slots), torch.tensor(places)),
    }


def _padded(examples: Sequence[Example]) -> Batch:
    width = max(len(example.ids) for example in examples)
    ids = [example.ids + [0] * (width - len(example.ids)) for example in examples]
    scored = [
        row * width + place
        for row, example in enumerate(examples)
        for place in range(example.prompt - 1, len(example.ids) - 1)
    ]
    return {
        "input_ids": torch.tensor(ids),
        "position_ids": torch.arange(width).expand(len(ids), -1),
        "scored": torch.tensor(scored),
        "labels": torch.tensor([i for example in examples for i in example.ids[example.prompt :]]),
    }


def _shared(examples: Sequence[Example]) -> int:
    """Tokens that all begin with; the last of a prompt stays with its row, which learns from it."""
    if len(examples) == 1:
        return 0
    limit = min(example.prompt for example in examples) - 1
    columns = zip(*(example.ids[:limit] for example in examples), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def inputs(batch: Batch) -> Batch:
    """What of a batch goes into the model."""
    return {key: value for key, value in batch.items() if key not in ("scored", "labels")}


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
    model.set_attn_implementation(NAME)
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


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: torch.Tensor | None, dropout: float = 0.0, scaling: float | None = None,
    layout: Any = None, **rest: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of a packed batch; without a layout, that of transformers.

    Args:
        query: (1, heads, tokens, size); key and value (1, key heads, tokens, size).
        attention_mask, layout: See `pack`.

    Returns:
        (1, tokens, heads, size), None.
    """
    if layout is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
    assert attention_mask is not None
    shared, rows, slots, places = layout
    _, heads, _, size = query.shape
    key_heads = key.shape[1]
    groups, width = heads // key_heads, len(slots) // rows

    def laid_out(flat: torch.Tensor) -> torch.Tensor:
        table = flat[0].index_select(1, slots).view(flat.shape[1], rows, width, size)
        return table.transpose(0, 1)

    def behind_prefix(flat: torch.Tensor) -> torch.Tensor:
        return torch.cat([flat[:, :, :shared].expand(rows, -1, -1, -1), laid_out(flat)], dim=2)

    # query heads that share a key head become further queries of it, so keys are never copied
    queries = laid_out(query).reshape(rows, key_heads, groups * width, size)
    out = scaled_dot_product_attention(
        queries, behind_prefix(key), behind_prefix(value),
        attn_mask=attention_mask.repeat(1, 1, groups, 1).to(query.dtype),
        dropout_p=dropout, scale=scaling,
    )  # fmt: skip
    after = out.reshape(rows, heads, width, size).transpose(1, 2).reshape(-1, heads, size)
    after = after.index_select(0, places)
    if shared:
        before = scaled_dot_product_attention(
            query[:, :, :shared], key[:, :, :shared], value[:, :, :shared],
            is_causal=True, dropout_p=dropout, scale=scaling, enable_gqa=groups > 1,
        )  # fmt: skip
        after = torch.cat([before[0].transpose(0, 1), after])
    return after[None], None


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
