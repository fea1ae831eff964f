"""What training takes in memory, from the student's shape and the largest pass; nothing is loaded.

Counts what PyTorch keeps for the backward pass of a Llama-like decoder, layer by layer.

Source: the accounting of Korthikanti et al. 2022, "Reducing Activation Recomputation in Large
Transformer Models" (arXiv 2205.05198), for a gated MLP, grouped queries and fused attention.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod
from pathlib import Path
from typing import Any

FP32_BYTES, BF16_BYTES = 4, 2
LIBRARIES = 500_000_000
"""Bytes of Python with PyTorch, transformers and what they load, as measured."""


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a step, by what they are for."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    libraries: int = LIBRARIES

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, field.name) for field in fields(self))


def estimate(
    student: Path, settings: Mapping[str, Any], tokens: int, completion: int
) -> Memory | None:
    """Memory of training in one process; None for a student of unknown shape.

    Args:
        student: The folder of the untrained student.
        settings: ``train`` of ``params.yaml``.
        tokens: Of the largest pass, padding included.
        completion: How many of them the loss is on.
    """
    try:
        shape = _Shape.of(json.loads((student / "config.json").read_text(encoding="utf-8")))
    except (KeyError, FileNotFoundError):
        return None
    weights = sum(map(parameters, student.glob("*.safetensors")))
    trained = shape.adapter(settings["lora"]["rank"]) if settings.get("lora") else weights
    bf16 = settings.get("precision") == "bf16"
    layer = shape.saved(bf16)
    kept = shape.layers * layer
    if settings.get("checkpointing"):
        kept = shape.layers * shape.hidden * FP32_BYTES + layer
    return Memory(
        weights=weights * (FP32_BYTES + (BF16_BYTES if bf16 else 0)),
        gradients=trained * FP32_BYTES,
        optimizer=trained * 2 * FP32_BYTES,  # AdamW's two moments
        activations=tokens * (kept + 3 * shape.hidden * FP32_BYTES),
        logits=completion * shape.vocabulary * 2 * FP32_BYTES,  # log-probabilities, gradients
    )


def parameters(file: Path) -> int:
    """How many weights a safetensors file holds, by its header."""
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    return sum(prod(value["shape"]) for key, value in header.items() if key != "__metadata__")


@dataclass(frozen=True)
class _Shape:
    layers: int
    hidden: int
    inner: int
    heads: int
    queries: int
    keys: int
    vocabulary: int

    @staticmethod
    def of(config: Mapping[str, Any]) -> _Shape:
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        width = config.get("head_dim") or hidden // heads
        groups = config.get("num_key_value_heads") or heads
        return _Shape(
            config["num_hidden_layers"], hidden, config["intermediate_size"], heads,
            heads * width, groups * width, config["vocab_size"],
        )  # fmt: skip

    def saved(self, bf16: bool) -> int:
        """Bytes a token that one layer keeps: around two norms, attention, and the gated MLP."""
        norms = 4 * self.hidden * FP32_BYTES
        rest = 2 * self.hidden + 2 * self.queries + 2 * self.keys + 4 * self.inner
        few = (self.heads + 2) * FP32_BYTES
        return norms + rest * (BF16_BYTES if bf16 else FP32_BYTES) + few

    def adapter(self, rank: int) -> int:
        """Weights of an adapter of every linear layer but the head."""
        ends = [
            (self.hidden, self.queries), (self.hidden, self.keys), (self.hidden, self.keys),
            (self.queries, self.hidden), (self.hidden, self.inner), (self.hidden, self.inner),
            (self.inner, self.hidden),
        ]  # fmt: skip
        return self.layers * rank * sum(map(sum, ends))
