"""Completions that a student in training samples itself, for on-policy distillation.

Source: Agarwal et al. 2023 (arXiv 2306.13649), algorithm 1: at temperature 1, and no gradient
through the sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig


@torch.no_grad()
def sampled(
    model: Any, prompts: Sequence[Sequence[int]], limit: int, end: int, words: int, seed: int
) -> list[list[int]]:
    """Ids of one completion for each prompt.

    Args:
        model: Left in training mode, as it came.
        prompts: Their ids.
        limit: Tokens that a completion may have.
        end: The token that ends a completion, and is its last one unless the limit came before.
        words: Ids from here on, which pad a vocabulary, are never drawn.
        seed: Decides what is drawn, whatever was drawn before.
    """
    width, device = max(map(len, prompts)), model.device
    ids = torch.tensor([[end] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    padding = range(words, model.config.get_text_config().vocab_size)
    make: Any = GenerationConfig
    config = make(
        max_new_tokens=limit, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
        repetition_penalty=1.0, eos_token_id=end, pad_token_id=end,
        suppress_tokens=list(padding) or None,
    )  # fmt: skip
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    finally:
        model.train(training)
    rows = out[:, width:].tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in rows]
