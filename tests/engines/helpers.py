"""Requests put through the store and an engine, as a stage does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stages.engines.desk import replay
from stages.engines.fulfil import fulfil, single
from stages.engines.request import Completion, Engine, Request
from stages.engines.store import Store


@dataclass(frozen=True)
class Result:
    completions: dict[str, Completion]
    held: int
    generated: int


def silent(done: int, total: int, tokens: int = 0, note: str = "") -> None:
    pass


def answer(
    requests: Iterable[Request], engine: Engine, store: Store, progress: object = silent
) -> Result:
    wanted = list(requests)
    assert callable(progress)
    counts = fulfil(map(single, wanted), len(wanted), engine, store, progress)
    made = replay(map(single, wanted), store)
    completions = {request.key: done for request, done in zip(wanted, made, strict=True)}
    return Result(completions, counts.held, counts.generated)
