"""Whether training computes in fp32 or in bf16; weights and optimizer stay in fp32 either way.

A device is measured once and the choice kept, since a result must not hang on how busy a machine
is. The measurement can only overrule what is usual for the device's class.

Source: Micikevicius et al. 2018, "Mixed Precision Training" (arXiv 1710.03740); bf16 needs no loss
scaling.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.core.jsonl import digest, read_json, write_json

FP32, BF16, AUTO = "fp32", "bf16", "auto"
GAIN = 1.5
"""On a CPU, fp32 is left only for a bf16 that is so many times as fast: no noise is as large."""
SHAPES = {"cpu": (1, 96), "cuda": (16, 512)}
"""Rows and tokens of the batch that is measured."""

Measure = Callable[[Any], dict[str, float]]


def precision(top: Path, wanted: str, model: Any, measure: Measure | None = None) -> str:
    """`fp32` or `bf16`.

    Args:
        top: The repository's root; the choice is kept in its ``.cache/precision``.
        wanted: ``train.precision``; `auto` measures, once for each device and student.
        model: The student on its device, in fp32.
        measure: Seconds of a step under each precision.
    """
    if wanted != AUTO:
        return wanted
    import torch

    kind = model.device.type
    device = torch.cuda.get_device_name() if kind == "cuda" else _cpu()
    key = digest([device, torch.__version__, model.config.to_dict()])
    root = Path(os.environ.get("DVC_ROOT") or top)
    file = root / ".cache" / "precision" / f"{key[:16]}.json"
    if file.is_file():
        return str(read_json(file)["precision"])
    if kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return FP32
    seconds = (measure or measured)(model)
    write_json(file, {"device": device, "precision": decided(kind, seconds), "seconds": seconds})
    return decided(kind, seconds)


def decided(kind: str, seconds: dict[str, float]) -> str:
    """What is usual for the device's class, unless the measurement is clearly against it.

    Args:
        kind: `cpu` or `cuda`.
        seconds: Of a step in `fp32` and in `bf16`.
    """
    gain = seconds[FP32] / seconds[BF16]
    return BF16 if gain >= (1.0 if kind == "cuda" else GAIN) else FP32


def measured(model: Any) -> dict[str, float]:
    """Seconds of the fastest of two forward and backward passes under each precision."""
    import torch

    kind = model.device.type
    ids = torch.arange(SHAPES[kind][0] * SHAPES[kind][1]) % model.config.vocab_size
    ids = ids.view(SHAPES[kind]).to(model.device)

    def once(bf16: bool) -> float:
        start = time.perf_counter()
        with torch.autocast(kind, torch.bfloat16, enabled=bf16):
            hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        hidden.float().square().mean().backward()
        if kind == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    found = {}
    for name in (FP32, BF16):
        once(name == BF16)  # the first one also fetches memory and makes kernels
        found[name] = round(min(once(name == BF16) for _ in range(2)), 4)
    model.zero_grad(set_to_none=True)
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
