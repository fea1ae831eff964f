"""Training tokens a second beside a plain loop with logits for every token, in one run."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from stages.data import coin_flip
from stages.engines.local import Generator, reuse_memory
from stages.training.base import EMBEDDED, materialise
from stages.training.sft import collate, completion_loss
from stages.training.tokenise import Example, tokenise

ROWS, STEPS, ROUNDS = 8, 3, 3


def plain_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**batch).loss


def ours_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    total, count = completion_loss(model, batch["input_ids"], batch["labels"])
    return total / count


def rate(model: Any, loss: Callable[..., torch.Tensor], examples: list[Example]) -> float:
    """Tokens a second, padding not counted, optimizer step included; one warm-up step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    tokens, start = 0, 0.0
    for step in range(STEPS + 1):
        if step == 1:
            tokens, start = 0, time.perf_counter()
        part = examples[step * ROWS : (step + 1) * ROWS]
        loss(model, collate(part)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += sum(len(example.ids) for example in part)
    return tokens / (time.perf_counter() - start)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        materialise(EMBEDDED, None, Path(folder))
        generator = Generator.load(Path(folder))
    rows = [
        {
            "id": str(number),
            "messages": [{"role": "user", "content": row["question"]}],
            "completion": row["worked"]["step_by_step"][0],
        }
        for number, row in enumerate(coin_flip.generate(0, ROWS * (STEPS + 1)))
    ]
    examples = tokenise(rows, generator.tokenizer, 512)
    model = generator.model.train()
    reuse_memory()
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(ROUNDS):  # in turn, so that a change of the machine's speed meets both
        rates["plain"].append(rate(model, plain_loss, examples))
        rates["ours"].append(rate(model, ours_loss, examples))
    best = {name: max(values) for name, values in rates.items()}
    print(
        json.dumps(
            {
                "benchmark": "train",
                "tokens_per_s": round(best["ours"], 1),
                "plain_loop_tokens_per_s": round(best["plain"], 1),
                "ratio": round(best["ours"] / best["plain"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
