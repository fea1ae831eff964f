"""Whether training computes in fp32 or in bf16; weights and optimizer stay in fp32 either way.

A result must not hang on how busy a machine is. So `auto` goes by the device: bf16 only where it
has instructions for it, GPU or CPU. A short measurement can overrule that, once for each device:
what it found is kept.

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
GAIN = 1.2
"""A bf16 that is not so many times as fast is not worth its rounding."""
WIDTHS = {"cpu": 512, "cuda": 8192}
"""Rows and columns of the matrices that are multiplied to measure."""
INSTRUCTIONS = {"amx_bf16", "avx512_bf16", "bf16"}
"""Names in ``/proc/cpuinfo``: two of x86, one of Arm."""

Measure = Callable[[Any], dict[str, float]]


def precision(top: Path, wanted: str, device: Any, measure: Measure | None = None) -> str:
    """`fp32` or `bf16`.

    Args:
        top: The repository's root; what is measured is kept in its ``.cache/precision``.
        wanted: ``train.precision``.
        device: Where training runs.
        measure: Seconds of the same work under each precision.
    """
    if wanted != AUTO:
        return wanted
    name, native = _described(device)
    if not native:
        return FP32
    import torch

    root = Path(os.environ.get("DVC_ROOT") or top)
    file = root / ".cache" / "precision" / f"{digest([name, torch.__version__])[:16]}.json"
    if not file.is_file():
        seconds = (measure or measured)(device)
        choice = BF16 if seconds[FP32] / seconds[BF16] >= GAIN else FP32
        write_json(file, {"device": name, "precision": choice, "seconds": seconds})
    return str(read_json(file)["precision"])


def measured(device: Any) -> dict[str, float]:
    """Seconds of a matrix product under each precision: the best of seven, taken in turns."""
    import torch

    width = WIDTHS[device.type]
    held = {
        name: torch.ones((width, width), dtype=kind, device=device)
        for name, kind in ((FP32, torch.float32), (BF16, torch.bfloat16))
    }

    def once(matrix: Any) -> float:
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    for matrix in held.values():
        once(matrix)  # the first one also fetches memory and makes kernels
    turns = [{name: once(matrix) for name, matrix in held.items()} for _ in range(7)]
    return {name: min(turn[name] for turn in turns) for name in held}


def _described(device: Any) -> tuple[str, bool]:
    """The device's name, and whether it has instructions for bf16."""
    import torch

    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return name, bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = {key.strip(): value for key, _, value in (line.partition(":") for line in lines)}
    flags = set(found.get("flags", found.get("Features", "")).split())
    return found.get("model name", platform.machine()).strip(), bool(flags & INSTRUCTIONS)
