"""Sampling that depends on nothing but the request itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from stages.engines.decode import Choose
from stages.engines.request import Request


def gumbel(batch: Sequence[Request]) -> Choose:
    """Sampling at the batch's temperature and top_p, with a stream of noise for each request.

    The largest of log-probabilities with Gumbel noise is a sample (the Gumbel-max trick), so what
    is drawn for a request depends on its own key alone, not on its neighbours.
    """
    temperature, top_p = batch[0].temperature, batch[0].top_p
    noises = [torch.Generator().manual_seed(int(item.key[:15], 16)) for item in batch]

    def choose(logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        scores = logits.float() / temperature
        if top_p < 1:
            ordered, places = scores.sort(descending=True)
            shares = ordered.softmax(-1)
            before = shares.cumsum(-1) - shares
            scores = scores.scatter(-1, places, ordered.masked_fill(before >= top_p, -torch.inf))
        size = scores.shape[-1]
        uniform = torch.stack(
            [torch.rand(size, generator=noises[row], dtype=torch.float64) for row in rows]
        )
        return (scores - torch.log(-torch.log(uniform.clamp_min(1e-300))).to(scores)).argmax(-1)

    return choose
