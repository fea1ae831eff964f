"""Zeroed memory that outgrows RAM: large blocks lie in unnamed files, which the kernel pages.

Mapped pages are the page cache's, so where memory is short they are written out and dropped.
"""

from __future__ import annotations

import os
from mmap import mmap
from pathlib import Path
from tempfile import TemporaryFile

SMALL = 4 * 2**20
"""Bytes that stay in memory: a suite may have hundreds of groups, and each file is open."""


def room(size: int, folder: Path) -> memoryview:
    """`size` writable bytes, all zero.

    Args:
        size: In bytes.
        folder: Where a file may lie; not a temporary one, which many systems keep in memory.

    Raises:
        OSError: When the disk is full; a mapped file that lacks a block ends the process.
    """
    if size < SMALL:
        return memoryview(bytearray(size))
    with TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return memoryview(mmap(file.fileno(), size))


def larger(held: memoryview, folder: Path, size: int = 0) -> memoryview:
    """`room` for twice as many bytes as are held, or for `size` if that is more; it begins so."""
    made = room(max(size, 2 * len(held)), folder)
    made[: len(held)] = held
    return made
