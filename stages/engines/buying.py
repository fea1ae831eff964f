"""One process at a time buys: then nothing is bought twice, and limits and budget hold for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.console import say


@contextmanager
def buying(store: Path) -> Iterator[None]:
    """Hold the store's lock, which ends with the process however that ends.

    Args:
        store: The store's file; the lock is a file beside it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(store.with_name(store.name + ".buying"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("  another process is asking the teacher; waiting for it, as it may buy the same")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
