"""One process at a time buys: then nothing is bought twice, and limits and budget hold for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.console import say
from stages.core.errors import user_error


@contextmanager
def buying(store: Path) -> Iterator[None]:
    """Hold the store's lock, which ends with the process however that ends.

    Args:
        store: The store's file; the lock is a file beside it.

    Raises:
        UserError: E602, when the lock cannot be had at all.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(store.with_name(store.name + ".buying"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say("  another process is asking the teacher; waiting for it, as it may buy the same")
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise user_error(
            lock.lock_file, "E602",
            f"the lock on buying cannot be taken: {getattr(error, 'strerror', None) or error}",
            "make the folder writable, on a file system that has locks; nothing was asked",
        ) from None  # fmt: skip
    try:
        yield
    finally:
        lock.release()
