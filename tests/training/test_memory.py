"""The estimate against what PyTorch really keeps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.engines.local import Generator
from stages.training.lora import adapted
from stages.training.memory import estimate
from stages.training.objective import completion_loss
from stages.training.packing import pack as batch
from stages.training.tokenise import Example

ROWS, WIDTH, PROMPT = 4, 96, 64


def kept(generator: Generator, *, bf16: bool = False) -> int:
    """Bytes that a forward pass keeps for the backward one, each block once, weights not."""
    model = generator.model.train()
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    alive: list[torch.Tensor] = []
    blocks: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)  # so that no other block gets its address
        block = tensor.untyped_storage()
        if block.data_ptr() not in weights and not _is_cast(tensor, shapes):
            blocks[block.data_ptr()] = block.nbytes()
        return tensor

    shapes = {tuple(weight.shape) for weight in model.parameters()}
    rows = torch.arange(ROWS * WIDTH).view(ROWS, WIDTH) % model.config.vocab_size
    examples = [Example(str(row[0]), row, PROMPT) for row in rows.tolist()]
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        completion_loss(model, batch(examples, packed=False))
    return sum(blocks.values())


def _is_cast(tensor: torch.Tensor, shapes: set[tuple[int, ...]]) -> bool:
    """Whether this is a weight in bf16, which the estimate counts among the weights."""
    return tensor.dtype == torch.bfloat16 and tuple(tensor.shape[::-1]) in shapes | {
        shape[::-1] for shape in shapes
    }


@pytest.mark.parametrize("bf16", [False, True])
def test_activations_are_what_is_kept(tiny: Path, bf16: bool) -> None:
    found = estimate(
        tiny, {"precision": "bf16" if bf16 else "fp32"}, ROWS * WIDTH, ROWS * (WIDTH - PROMPT)
    )
    assert found is not None
    measured = kept(Generator.load(tiny), bf16=bf16)
    # half of `logits` is their gradient, which is made later
    assert found.activations + found.logits / 2 == pytest.approx(measured, rel=0.1)


def test_checkpointing_keeps_a_layer_at_a_time(tiny: Path) -> None:
    generator = Generator.load(tiny)
    generator.model.activation_checkpointing_enable()
    one = estimate(tiny, {}, 1, 0)
    found = estimate(tiny, {"checkpointing": True}, 1, 0)
    assert one is not None
    assert found is not None
    layer = found.activations - 32 * 4 * (2 + 3)  # two layers' inputs, and around the last norm
    assert one.activations == 2 * layer + 32 * 4 * 3
    assert kept(generator) < 0.5 * kept(Generator.load(tiny))


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_weights_gradients_and_optimizer(tiny: Path, lora: dict[str, int] | None) -> None:
    model = Generator.load(tiny).model
    if lora:
        model = adapted(model, lora["rank"], 8, 1)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    sum(weight.sum() for weight in trained).backward()  # type: ignore[union-attr]
    optimizer.step()
    held = sum(
        value.numel() * 4 for state in optimizer.state.values() for value in state.values()
        if value.ndim
    )  # fmt: skip
    found = estimate(tiny, {"lora": lora}, 100, 10)
    assert found is not None
    assert found.gradients == sum(weight.numel() for weight in trained) * 4
    assert found.optimizer == held
    if not lora:
        assert found.weights == found.gradients


def test_of_another_architecture_nothing_is_said(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "other")
    file = tmp_path / "other/config.json"
    config: dict[str, Any] = json.loads(file.read_text())
    del config["intermediate_size"]
    file.write_text(json.dumps(config))
    assert estimate(file.parent, {}, 100, 10) is None
