"""Rows of tokens laid end to end, what they begin with alike written once, none seeing another.

Every layer but attention works on each token by itself, so it is given the rows' tokens without
padding, and of a beginning that all rows share (a system message, a block of few-shot examples)
one copy. Attention lays the rows beside each other again, each behind that one copy. The result
is that of the rows apart; the shared tokens are computed once instead of once a row.

Source: Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination" (arXiv
2107.02027); Juravsky et al. 2024, "Hydragen" (arXiv 2402.05099) for the shared prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "packed"


@dataclass(frozen=True)
class Packed:
    """A packed batch.

    Attributes:
        inputs: What a model takes of it: `input_ids` and `position_ids`, (1, tokens) each;
            `attention_mask`, (1, 1, width, prefix + width), what a row's token sees of the prefix
            and of its row; `layout`: the length of the prefix, which comes first, the number of
            rows, for each place of a (rows, width) table of what follows the prefix the index of
            its token (any, where a row is shorter), and the place of each token in that table.
        prefix: The length of the prefix.
        starts: The index of each row's first token after the prefix.
    """

    inputs: dict[str, Any]
    prefix: int
    starts: list[int]

    def to(self, device: Any) -> Packed:
        """The same on a device."""
        prefix, rows, slots, places = self.inputs["layout"]
        moved = {name: value.to(device) for name, value in self.inputs.items() if name != "layout"}
        moved["layout"] = (prefix, rows, slots.to(device), places.to(device))
        return Packed(moved, self.prefix, self.starts)


def pack(rows: Sequence[Sequence[int]], limit: int) -> Packed:
    """Lay rows end to end.

    Args:
        rows: Token ids.
        limit: So many tokens at most are taken for a shared prefix; less than the shortest row.
    """
    prefix = _shared(rows, limit) if len(rows) > 1 else 0
    ids, positions = list(rows[0][:prefix]), list(range(prefix))
    slots, places, starts = list[int](), list[int](), list[int]()
    width = max(map(len, rows)) - prefix
    for number, row in enumerate(rows):
        start, length = len(ids), len(row) - prefix
        starts.append(start)
        ids += row[prefix:]
        positions += range(prefix, len(row))
        slots += [*range(start, start + length), *([start] * (width - length))]
        places += range(number * width, number * width + length)
    sees = torch.ones(width, prefix + width, dtype=torch.bool).tril(prefix)
    inputs = {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": torch.zeros(sees.shape).masked_fill(~sees, -torch.inf)[None, None],
        "layout": (prefix, len(rows), torch.tensor(slots), torch.tensor(places)),
    }
    return Packed(inputs, prefix, starts)


def _shared(rows: Sequence[Sequence[int]], limit: int) -> int:
    columns = zip(*(row[:limit] for row in rows), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: torch.Tensor | None, dropout: float = 0.0, scaling: float | None = None,
    layout: Any = None, **rest: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of a packed batch; without a layout, that of transformers.

    Args:
        query: (1, heads, tokens, size); key and value (1, key heads, tokens, size).
        attention_mask, layout: See `Packed`.

    Returns:
        (1, tokens, heads, size), None.
    """
    if layout is None:
        made: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
        return made
    assert attention_mask is not None
    prefix, rows, slots, places = layout
    _, heads, _, size = query.shape
    key_heads = key.shape[1]
    groups, width = heads // key_heads, len(slots) // rows

    def laid_out(flat: torch.Tensor) -> torch.Tensor:
        table = flat[0].index_select(1, slots).view(flat.shape[1], rows, width, size)
        return table.transpose(0, 1)

    def behind_prefix(flat: torch.Tensor) -> torch.Tensor:
        return torch.cat([flat[:, :, :prefix].expand(rows, -1, -1, -1), laid_out(flat)], dim=2)

    # query heads that share a key head become further queries of it, so keys are never copied
    queries = laid_out(query).reshape(rows, key_heads, groups * width, size)
    out = scaled_dot_product_attention(
        queries, behind_prefix(key), behind_prefix(value),
        attn_mask=attention_mask.repeat(1, 1, groups, 1).to(query.dtype),
        dropout_p=dropout, scale=scaling,
    )  # fmt: skip
    after = out.reshape(rows, heads, width, size).transpose(1, 2).reshape(-1, heads, size)
    after = after.index_select(0, places)
    if prefix:
        before = scaled_dot_product_attention(
            query[:, :, :prefix], key[:, :, :prefix], value[:, :, :prefix],
            is_causal=True, dropout_p=dropout, scale=scaling, enable_gqa=groups > 1,
        )  # fmt: skip
        after = torch.cat([before[0].transpose(0, 1), after])
    return after[None], None


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
