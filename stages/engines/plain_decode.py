"""Decoding by transformers' own `generate`, for models that `decode` does not support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig

from stages.engines.decode import TELL, Choose, greedy
from stages.engines.request import Making, silent


@torch.inference_mode()
def decode_plainly(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limit: int,
    end: int,
    choose: Choose = greedy,
    making: Making = silent,
    slots: int | None = None,
) -> list[list[int]]:
    """As `decode`, for any causal language model."""
    made: list[list[int]] = []
    size = slots or len(prompts)
    settings: Any = GenerationConfig
    before = model.generation_config
    model.generation_config = settings(eos_token_id=end, pad_token_id=end)
    try:
        for first in range(0, len(prompts), size):
            rows = range(len(prompts))[first : first + size]
            told = partial(_told, making, len(made), sum(map(len, made)))
            made += _batch(model, [prompts[row] for row in rows], rows, limit, end, choose, told)
    finally:
        model.generation_config = before
    return made


def _told(making: Making, ended: int, before: int, tokens: int) -> None:
    making(ended, before + tokens)


def _batch(
    model: Any, prompts: list[Sequence[int]], rows: Sequence[int], limit: int, end: int,
    choose: Choose, making: Callable[[int], None],
) -> list[list[int]]:  # fmt: skip
    width = max(map(len, prompts))
    ids = torch.tensor([[end] * (width - len(p)) + list(p) for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])

    def chosen(seen: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        done = seen.shape[1] - width
        if done % TELL == 0:
            making(done * len(prompts))
        return torch.full_like(logits, -torch.inf).scatter(1, choose(logits, rows)[:, None], 0.0)

    out = model.generate(
        input_ids=ids, attention_mask=mask.to(model.device), max_new_tokens=limit,
        logits_processor=[chosen],
    )  # fmt: skip
    made = out[:, width:].tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in made]
