"""The student as training loads it: fp32 weights on this process's device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.engines.local import Generator
from stages.engines.quiet import quiet
from stages.training.processes import state


def load(folder: Path) -> Generator:
    """Model and tokenizer; fp32 also on a GPU, where bf16 weights would lose small updates."""
    import torch
    from transformers import AutoModelForCausalLM

    quiet()
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    return Generator(model.to(state().device).eval(), tokenizer(folder))


def tokenizer(folder: Path) -> Any:
    """The tokenizer alone."""
    from transformers import AutoTokenizer

    quiet()
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
