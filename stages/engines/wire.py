"""Requests and errors as OpenAI's protocol writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stages.engines.reply import Again
from stages.engines.request import Request

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
"""Under the base URL, by `Request.api`."""


class Unreached(Again):
    """No connection came about, so nothing was sent, and no request is to blame."""


def body(request: Request, limit_name: str = "max_tokens") -> dict[str, Any]:
    """A request as OpenAI's protocol has it, for chat or plain completions.

    https://platform.openai.com/docs/api-reference/chat/create and ``…/completions/create``.
    """
    made: dict[str, Any] = {"model": request.model}
    if request.api == "chat":
        made["messages"] = request.chat()
    else:
        made["prompt"] = request.plain()
    made[limit_name] = request.max_tokens
    made["temperature"], made["top_p"] = request.temperature, request.top_p
    if request.temperature > 0:
        made["seed"] = request.sample
    if request.top_logprobs and request.api == "chat":
        made["logprobs"], made["top_logprobs"] = True, request.top_logprobs
    elif request.top_logprobs:
        made["logprobs"] = request.top_logprobs
    if request.extra:
        made |= json.loads(request.extra)
    # null in `extra` takes a value out, for servers that refuse it
    return {name: value for name, value in made.items() if value is not None}


def said(raw: bytes) -> object:
    """What an error reply says: its ``error`` object, or the whole of it."""
    try:
        said = json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")[:2000]
    return said.get("error", said) if isinstance(said, Mapping) else said


def cause(error: Exception) -> str:
    """What the operating system says of a failed connection."""
    number = getattr(getattr(error, "os_error", None), "errno", None)
    return os.strerror(number) if number and number > 0 else str(error) or type(error).__name__


def place(location: str) -> str:
    """Where a redirect leads, without what may hold a secret: a login, a query, a fragment."""
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    origin = f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
    return origin + parts.path
