"""Rows measured a chunk at a time, by several processes where there are many; in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

from stages.curation.cases import Case
from stages.curation.judged import Rationale
from stages.curation.measure import Measure

CHUNK = 512
"""Rationales measured together, about."""
MANY = 16 * 2**20
"""Bytes of rationales from which processes are worth their start."""
PROCESSES = 4
"""At most: what is decided after them, in one process, takes as long as two of them do."""

Measured = tuple[Case, list[Rationale]]


def measured(cases: Iterable[Case], measure: Measure, size: int) -> Iterator[Measured]:
    """Each case with its rationales as `measure` finds them, in order.

    Args:
        cases: Read no further than a few chunks ahead.
        measure: What to do.
        size: Of the rationales, in bytes.
    """
    processes = min(PROCESSES, os.cpu_count() or 1)
    if size < MANY or processes < 2:
        for chunk in chunks(cases):
            yield from zip(chunk, measure(chunk), strict=True)
        return
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(measure,),
    )
    try:
        yield from _in_order(chunks(cases), pool, 2 * processes)
    finally:
        pool.shutdown(cancel_futures=True)


def chunks(cases: Iterable[Case]) -> Iterator[list[Case]]:
    """Rows together that have about `CHUNK` rationales."""
    made, count = list[Case](), 0
    for case in cases:
        made.append(case)
        count += len(case.items)
        if count >= CHUNK:
            yield made
            made, count = [], 0
    if made:
        yield made


def _in_order(
    parts: Iterator[list[Case]], pool: ProcessPoolExecutor, ahead: int
) -> Iterator[Measured]:
    under_way: deque[tuple[list[Case], Future[list[list[Rationale]]]]] = deque()
    while True:
        for chunk in islice(parts, ahead - len(under_way)):
            under_way.append((chunk, pool.submit(_measure, chunk)))
        if not under_way:
            return
        chunk, future = under_way.popleft()
        yield from zip(chunk, future.result(), strict=True)


_shared: Measure | None = None


def _start(measure: Measure) -> None:
    global _shared
    _shared = measure
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends its processes
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # a killed parent closes nothing, and its processes would wait for work for ever
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _measure(chunk: list[Case]) -> list[list[Rationale]]:
    assert _shared is not None
    return _shared(chunk)
