"""Requests addressed to an engine, and the teacher that ``params.yaml`` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.engines.local import LocalEngine
from stages.engines.openai import OpenAIEngine
from stages.engines.recorded import RecordedEngine
from stages.engines.request import Engine, Message, Request


def request(engine: Engine, messages: Sequence[Message], max_tokens: int, **values: Any) -> Request:
    """A request to this engine; greedy unless `values` (temperature, top_p) say otherwise."""
    pairs = tuple((message["role"], message["content"]) for message in messages)
    return Request(engine.endpoint, engine.model, pairs, max_tokens, **values)


def sampling(teacher: Mapping[str, Any]) -> dict[str, float]:
    """The teacher's sampling values that alter its output."""
    return {key: teacher[key] for key in ("temperature", "top_p") if key in teacher}


def teacher_engine(teacher: Mapping[str, Any], runtime: Mapping[str, Any], root: Path) -> Engine:
    """The teacher of ``params.yaml`` as an engine. The recorded one still lacks its texts."""
    if teacher["engine"] == "openai":
        return OpenAIEngine(
            model=teacher["model"],
            base_url=teacher["base_url"],
            key_env=teacher.get("key_env", ""),
            identity=teacher.get("identity"),
            concurrency=runtime["concurrency"],
            timeout=runtime["timeout"],
            retries=runtime["retries"],
        )
    if teacher["engine"] == "local":
        return LocalEngine(root / teacher["model"])
    return RecordedEngine({})
