"""Which rows make an optimizer step, and how a step is cut into passes and among processes.

A step is decided by rows or by tokens; how it is cut changes nothing but the order of float sums,
since the loss of each pass is divided by the step's own count of completion tokens.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.training.tokenise import Example, batches


def plan(lengths: Sequence[int], settings: Mapping[str, Any]) -> list[list[int]]:
    """Row indices of each optimizer step, all epochs.

    Args:
        lengths: Tokens of each row.
        settings: `seed`, `epochs`, and `batch_size` in rows or `batch_tokens`, which goes before.
    """
    seed, epochs = settings["seed"], settings["epochs"]
    if not settings.get("batch_tokens"):
        return batches(lengths, settings["batch_size"], epochs, seed)
    made: list[list[int]] = []
    for epoch in range(epochs):
        order = list(range(len(lengths)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        made += _filled(order, settings["batch_tokens"], lambda rows: sum(lengths[i] for i in rows))
    return made


def passes(
    step: Sequence[int], lengths: Sequence[int], limit: int | None, processes: int = 1
) -> list[list[list[int]]]:
    """The passes of each process over one step: [process][pass] is a list of rows.

    Args:
        step: Row indices.
        lengths: Tokens of each row.
        limit: Padded tokens that a pass may have; a longer row is a pass of its own. None for one
            pass.
        processes: Among which the rows are shared by tokens. All get equally many passes, some
            perhaps without a row, because processes wait for each other in each pass.
    """
    shares = [list(step)] if processes == 1 else _shared(step, lengths, processes)
    cut = [_cut(rows, lengths, limit) for rows in shares]
    most = max(map(len, cut))
    return [[*each, *([[]] * (most - len(each)))] for each in cut]


def targets(examples: Sequence[Example], step: Sequence[int]) -> int:
    """Completion tokens of a step: what its loss is divided by."""
    return sum(len(examples[i].ids) - examples[i].prompt for i in step)


def _cut(rows: list[int], lengths: Sequence[int], limit: int | None) -> list[list[int]]:
    if limit is None or not rows or _padded(rows, lengths) <= limit:
        return [rows]
    rows = sorted(rows, key=lambda row: lengths[row])
    return _filled(rows, limit, lambda part: _padded(part, lengths))


def _padded(rows: Sequence[int], lengths: Sequence[int]) -> int:
    return len(rows) * max(lengths[row] for row in rows)


def _filled(rows: Sequence[int], limit: int, size: Callable[[list[int]], int]) -> list[list[int]]:
    made: list[list[int]] = []
    for row in rows:
        if made and size([*made[-1], row]) <= limit:
            made[-1].append(row)
        else:
            made.append([row])
    return made


def _shared(step: Sequence[int], lengths: Sequence[int], processes: int) -> list[list[int]]:
    """The longest row first, each to whoever has the fewest tokens."""
    shares: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for row in sorted(step, key=lambda row: -lengths[row]):
        least = loads.index(min(loads))
        shares[least].append(row)
        loads[least] += lengths[row]
    return shares
