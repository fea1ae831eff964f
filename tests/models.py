"""Random models of several architectures, a few thousand weights each."""

from __future__ import annotations

from typing import Any


def random_model(kind: str = "Llama", **changes: Any) -> Any:
    """`kind` as transformers spells it before ``ForCausalLM``; 64 tokens, 1 ends."""
    import torch
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    name = f"{kind}ForCausalLM"
    if kind == "GPT2":
        name = "GPT2LMHeadModel"
        sizes = {
            "vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128,
            "initializer_range": 0.2, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
            "bos_token_id": 0, "eos_token_id": 1,
        }  # fmt: skip
    elif kind == "Qwen3":
        sizes["head_dim"] = 8
    torch.manual_seed(0)
    made: Any = getattr(transformers, f"{kind}Config")(**{**sizes, **changes})
    return getattr(transformers, name)(made)
