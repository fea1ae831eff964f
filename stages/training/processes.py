"""One training in several processes, as ``accelerate launch`` starts them; in one, all is plain."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

Value = TypeVar("Value")
PATIENCE = timedelta(days=1)
"""How long processes wait for the main one, which answers the valid rows alone."""


def state() -> Any:
    """Rank, number and device of this process; the group is formed on first use."""
    import torch
    from accelerate.state import PartialState

    return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def is_main() -> bool:
    """Whether this process tells, measures and writes."""
    return bool(state().is_main_process)


def agreed(value: Value) -> Value:
    """What the main process holds, on all of them."""
    if state().num_processes == 1:
        return value
    from accelerate.utils import broadcast_object_list

    held = [value]
    broadcast_object_list(held, from_process=0)
    return held[0]


def meet() -> None:
    """Return once every process is here."""
    state().wait_for_everyone()


def whole(model: Any) -> Any:
    """The model with all its weights, for the main process; every process calls this.

    The model itself, unless its weights are spread over the processes (FSDP2): then a copy, put
    together on the main process's device, and None on the others.
    """
    from torch.distributed.tensor import DTensor

    if not any(isinstance(weight, DTensor) for weight in model.parameters()):
        return model
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from transformers import AutoModelForCausalLM

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(model, options=options)
    if not is_main():
        return None
    auto: Any = AutoModelForCausalLM
    copy = auto.from_config(model.config)
    copy.load_state_dict(weights)
    return copy.to(state().device)
