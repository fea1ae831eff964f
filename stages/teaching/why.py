"""Why a request is not held, told from what the store holds of its kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stages.engines.request import Request
from stages.engines.store import Store

CHUNK = 400
"""Requests that are looked up at once."""
_OF_PROMPT = """
SELECT prompt, key, max_tokens, top_logprobs, endpoint, model, system, finish_reason, error, request
FROM completions WHERE prompt IN ({})
"""
_SAMPLING = ("temperature", "top_p", "api", "extra")
NEW_ROW = "new row"
NEVER = "never asked before"


def reasons(missing: Sequence[Request], store: Store) -> list[str]:
    """One reason a request, in their order; of several that hold, the one nearest to a hit."""
    found: list[str] = []
    known: dict[str, bool] = {}
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        held: dict[str, list[Any]] = {}
        prompts = list({request.prompt for request in chunk})
        with store.explained():
            marks = ", ".join("?" * len(prompts))
            for prompt, *rest in store.db.execute(_OF_PROMPT.format(marks), prompts):
                held.setdefault(prompt, []).append(rest)
            for request in chunk:
                near = held.get(request.prompt)
                found.append(_nearest(request, near) if near else _unseen(request, store, known))
    return found


def _nearest(request: Request, held: Sequence[Any]) -> str:
    ranked = min(_compared(request, *one) for one in held)
    return ranked[1]


def _compared(
    request: Request, key: str, limit: int, alternatives: int, endpoint: str, model: str,
    system: str, finish: str, error: str, identity: str,
) -> tuple[int, str]:  # fmt: skip
    if key == request.key:
        if alternatives < request.top_logprobs:
            return 0, "log-probabilities were not kept"
        if json.loads(error):
            return 0, f"refused before, under {limit} tokens"
        if finish == "length":
            return 0, f"cut short before, at {limit} tokens"
        return 0, f"longer than {request.max_tokens} tokens before"
    if system != request.system:
        return 4, "changed system message"
    if endpoint != request.endpoint:
        return 3, "changed endpoint"
    if model != request.model:
        return 2, "changed model"
    then, now = json.loads(identity), request.identity()
    if any(then.get(name) != now.get(name) for name in _SAMPLING):
        return 1, "changed sampling values"
    return 0, "new sample"


def _unseen(request: Request, store: Store, known: dict[str, bool]) -> str:
    """The prompt itself is new."""
    query = "SELECT 1 FROM completions WHERE about = ? AND row = ? LIMIT 1"
    if store.db.execute(query, (request.about, request.row)).fetchone():
        return "changed prompt"
    if request.about not in known:
        query = "SELECT 1 FROM completions WHERE about = ? LIMIT 1"
        known[request.about] = store.db.execute(query, (request.about,)).fetchone() is not None
    return NEW_ROW if known[request.about] else NEVER
