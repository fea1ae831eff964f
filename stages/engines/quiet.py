"""How torch and transformers behave as parts of a stage, set before they are loaded."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

# Read when torch loads. A thread that spins for long while it waits takes the core from whoever it
# waits for: beside one busy program, training is an order of magnitude slower by default.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
# A stage shows its own progress; through a pipe, bars of libraries end up as one endless line.
os.environ.setdefault("TQDM_DISABLE", "1")


def quiet() -> None:
    """Keep transformers' bars and notices out of a stage's own progress."""
    from transformers.utils import logging

    notices: Any = logging
    notices.set_verbosity_error()
    notices.disable_progress_bar()
    reuse_memory()


def reuse_memory() -> None:
    """Let glibc keep freed blocks: each step otherwise maps and clears its megabytes anew."""
    if sys.platform != "linux" or os.environ.get("MALLOC_CONF") or os.environ.get("LD_PRELOAD"):
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:  # musl has no such knob
        return
    trim_threshold, mmap_threshold = -1, -3
    libc.mallopt(mmap_threshold, 1 << 30)
    libc.mallopt(trim_threshold, 2**31 - 1)
