"""Decoding by transformers' own `generate`, for models that `decode` does not support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from stages.engines.decode import TELL, Choose, greedy


@torch.inference_mode()
def decode_plainly(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limit: int,
    end: int,
    choose: Choose = greedy,
    making: Callable[[int], None] = lambda tokens: None,
) -> list[list[int]]:
    """As `decode`, for any causal language model."""
    width, rows = max(map(len, prompts)), range(len(prompts))
    ids = torch.tensor([[end] * (width - len(p)) + list(p) for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])

    def chosen(seen: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        done = seen.shape[1] - width
        if done % TELL == 0:
            making(done * len(prompts))
        return torch.full_like(logits, -torch.inf).scatter(1, choose(logits, rows)[:, None], 0.0)

    settings: Any = GenerationConfig
    before = model.generation_config
    model.generation_config = settings(eos_token_id=end, pad_token_id=end)
    try:
        out = model.generate(
            input_ids=ids, attention_mask=mask.to(model.device), max_new_tokens=limit,
            logits_processor=[chosen],
        )  # fmt: skip
    finally:
        model.generation_config = before
    made = out[:, width:].tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in made]
