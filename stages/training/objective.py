"""What a training minimises on a batch; plain fine-tuning's is cross-entropy on the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from accelerate.utils import send_to_device
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import cross_entropy, linear_cross_entropy

from stages.training.packing import Batch, hidden_states, inputs, pack
from stages.training.tokenise import Example


class Objective(Protocol):
    """What is minimised on a batch."""

    def collate(self, examples: Sequence[Any], packed: bool) -> Batch:
        """The batch of some rows, as `pack` makes it, and what else the loss needs."""
        ...

    def loss(self, model: Any, batch: Batch, step: int) -> torch.Tensor:
        """The loss, summed over the batch's `labels`."""
        ...


class HardTargets:
    """Cross-entropy on the rows' own tokens.

    Args:
        linear_head: See `has_linear_head`.
    """

    def __init__(self, linear_head: bool) -> None:
        self._linear_head = linear_head

    def collate(self, examples: Sequence[Any], packed: bool) -> Batch:
        """See `pack`."""
        return pack(examples, packed)

    def loss(self, model: Any, batch: Batch, step: int) -> torch.Tensor:
        """See `completion_loss`."""
        return completion_loss(model, batch, self._linear_head)


def completion_loss(model: Any, batch: Batch, linear_head: bool = True) -> torch.Tensor:
    """Summed cross-entropy over the completion tokens of a batch of `pack`.

    A linear head, a fifth of a small model's work, is applied to those positions alone, and where
    they are many, in chunks, so that the logits of all are never held at once. Models that cap or
    scale their logits compute them themselves.
    """
    if not linear_head:
        logits = model(use_cache=False, **inputs(batch)).logits.flatten(0, 1)
        return cross_entropy(logits[batch["scored"]].float(), batch["labels"], reduction="sum")
    head, hidden = model.get_output_embeddings(), hidden_states(model, batch)
    weight, device = head.weight, hidden.device.type
    if torch.is_autocast_enabled(device):
        hidden, weight = (part.to(torch.get_autocast_dtype(device)) for part in (hidden, weight))
    many = len(hidden) >= hidden.shape[1]
    return linear_cross_entropy(
        hidden, weight, batch["labels"], linear_bias=head.bias, reduction="sum",
        options=LinearCrossEntropyOptions() if many else None,
    )  # fmt: skip


@torch.no_grad()
def has_linear_head(model: Any, example: Example) -> bool:
    """Whether the logits are the last hidden states times the head, tried on a row."""
    batch = send_to_device(pack([example], packed=False), model.device)
    whole = model(use_cache=False, **inputs(batch)).logits[0, batch["scored"]]
    alone = model.get_output_embeddings()(hidden_states(model, batch))
    return torch.allclose(whole, alone, rtol=1e-2, atol=1e-2)
