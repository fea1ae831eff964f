"""Ctrl-C and SIGTERM as a wish that a running event loop can grant in order."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stoppable(stop: Callable[[bool], None]) -> Iterator[None]:
    """Call `stop` instead of raising `KeyboardInterrupt` somewhere in the middle.

    Args:
        stop: Called in the running loop; the argument says whether it was called before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    loop, told = asyncio.get_running_loop(), False

    def called() -> None:
        nonlocal told
        stop(told)
        told = True

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGINT] == signal.SIG_IGN:
        del before[signal.SIGINT]  # a job in the background is not to be stopped by Ctrl-C
    for number in before:
        loop.add_signal_handler(number, called)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
