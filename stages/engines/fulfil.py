"""Answers for requests: what is held is served from the store, only the rest is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from stages.engines.request import Answers, Completion, Engine, Request
from stages.engines.store import Store

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Fulfilled:
    """Every completion asked for, and where it came from.

    Args:
        completions: By request key.
        held: How many were served from the store.
        generated: How many the engine was asked for.
    """

    completions: dict[str, Completion]
    held: int
    generated: int

    def answer(self, request: Request) -> dict[str, Any]:
        """What a stage writes about one request."""
        found = self.completions[request.key]
        return {
            "key": request.key,
            "completion": found.text,
            "finish_reason": found.finish_reason,
            "completion_tokens": found.completion_tokens,
            "error": found.error,
        }


def fulfil(
    requests: Iterable[Request], engine: Engine, store: Store | None, progress: Progress
) -> Fulfilled:
    """Complete every request, each of them once.

    Args:
        requests: In a stable order. One key wanted under several limits is asked under the
            highest of them.
        engine: Asked for what the store lacks.
        store: Where answers are made durable before they count; None keeps nothing.
        progress: Called with (done, total, tokens generated so far) after the look-up and after
            each delivery.

    Raises:
        UserError: The store or the engine could not go on; what was answered is in the store.
        ValueError: A request is addressed to another engine, whose answers would be filed wrongly.
    """
    wanted = _distinct(requests)
    for request in wanted:
        if (request.endpoint, request.model) != (engine.endpoint, engine.model):
            raise ValueError(
                f"a request to {request.endpoint} {request.model} was handed to "
                f"{engine.endpoint} {engine.model}"
            )
    completions = store.get_many(wanted) if store else {}
    held = len(completions)
    missing = {request.key for request in wanted} - completions.keys()
    tokens = 0
    progress(held, len(wanted), tokens)

    def deliver(answers: Answers) -> None:
        nonlocal tokens
        # an engine that keeps its batches whole may deliver again what is already held
        fresh = [
            pair for pair in answers if pair[0].key in missing and pair[0].key not in completions
        ]
        if store:
            store.put_many(fresh)
        completions.update((request.key, completion) for request, completion in fresh)
        tokens += sum(completion.completion_tokens for _, completion in fresh)
        progress(len(completions), len(wanted), tokens)

    if missing:
        engine.complete(wanted, missing, deliver)
    if store and missing:
        # a process beside this one may have stored its answer first, and the first one stays
        completions.update(store.get_many([item for item in wanted if item.key in missing]))
    unanswered = missing - completions.keys()
    if unanswered:
        raise RuntimeError(f"the engine left {len(unanswered)} requests unanswered")
    return Fulfilled(
        {request.key: completions[request.key] for request in wanted}, held, len(missing)
    )


def _distinct(requests: Iterable[Request]) -> list[Request]:
    by_key: dict[str, Request] = {}
    for request in requests:
        known = by_key.get(request.key)
        if known is None or known.max_tokens < request.max_tokens:
            by_key[request.key] = request
    return list(by_key.values())
