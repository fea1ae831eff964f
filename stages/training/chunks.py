"""A loss over logits of which there is never more than a chunk.

The gradient of a chunk is taken as soon as its loss is known. So its logits are gone before the
next ones are made, and are made once. (Checkpointing each chunk took twice the time, and 140 MB
more for each chunk of a head of 49152 by 576.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

Part = Callable[..., torch.Tensor]


def in_chunks(
    part: Part, head: torch.nn.Module, rows: int, hidden: torch.Tensor, *values: torch.Tensor
) -> torch.Tensor:
    """The sum of `part` over chunks of positions.

    Args:
        part: Makes a scalar of a chunk of `hidden`, which it puts through `head`, and one of each
            of `values`.
        head: Its parameters get their gradients as well.
        rows: Positions of a chunk; 1 when less.
        hidden: (positions, width).
        values: (positions, …) each; they get no gradient.
    """
    weights = [weight for weight in head.parameters() if weight.requires_grad]
    apply: Callable[..., torch.Tensor] = _Chunked.apply
    return apply(part, max(1, rows), weights, values, hidden, *weights)


class _Chunked(torch.autograd.Function):
    """The sum; `weights` are given twice, as the leaves themselves and as inputs."""

    @staticmethod
    def forward(
        ctx: Any, part: Part, rows: int, leaves: Sequence[torch.Tensor],
        values: Sequence[torch.Tensor], hidden: torch.Tensor, *weights: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        wanted = any(ctx.needs_input_grad)
        total = torch.zeros((), device=hidden.device)
        mine = torch.zeros_like(hidden) if wanted else hidden
        theirs = [torch.zeros_like(leaf) for leaf in leaves] if wanted else []
        for at in range(0, len(hidden), rows):
            with torch.set_grad_enabled(wanted):
                chunk = hidden[at : at + rows].detach().requires_grad_(wanted)
                value = part(chunk, *(each[at : at + rows] for each in values))
            total += value.detach()
            if wanted:
                mine[at : at + rows], *made = torch.autograd.grad(value, [chunk, *leaves])
                for whole, piece in zip(theirs, made, strict=True):
                    whole += piece
        ctx.save_for_backward(mine, *theirs)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (scale,) = gradients
        return None, None, None, None, *(made * scale for made in ctx.saved_tensors)
