"""LoRA adapters: a few weights trained beside frozen ones, merged into them when all is done.

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv 2106.09685).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ALL = "all-linear"
"""Every linear layer but the head."""


def adapted(
    model: Any, rank: int, alpha: int, seed: int, dropout: float = 0.0, targets: Any = ALL
) -> Any:
    """The model under a fresh adapter, as a `PeftModel`; only the adapter asks for gradients.

    Args:
        model: Its linear layers are replaced in place.
        rank: Columns of the adapter's matrices.
        alpha: The adapter's output is scaled by ``alpha / rank``.
        seed: Decides the adapter's first weights.
        dropout: Share of the adapter's inputs that training leaves out.
        targets: `ALL`, or names of layers.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    set_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft still uses names of transformers 4
        return get_peft_model(model, config)


def under_adapter(model: Any, settings: Mapping[str, Any]) -> Any:
    """The model under the adapter of ``train.lora``, or as it is where there is none."""
    lora = settings.get("lora")
    if not lora:
        return model
    rank = lora["rank"]
    return adapted(
        model, rank, lora.get("alpha", 2 * rank), settings["seed"],
        lora.get("dropout", 0.0), lora.get("targets", ALL),
    )  # fmt: skip


def merge(wrapped: Any, adapter: Path) -> Any:
    """The plain model with the weights of a saved adapter added to its own.

    Args:
        wrapped: A model under an adapter, which is taken off.
        adapter: What `save_pretrained` of another state of that adapter wrote.
    """
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel.from_pretrained(wrapped.unload(), adapter).merge_and_unload()
