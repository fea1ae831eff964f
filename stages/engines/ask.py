"""Requests addressed to an engine, and the teacher that ``params.yaml`` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.jsonl import canonical
from stages.engines.local import LocalEngine
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import price_of
from stages.engines.request import Engine, Message, Planned, Request
from stages.engines.store import Store
from stages.engines.terms import Flow, Purse

FLOW = ("concurrency", "timeout", "retries", "outage", "requests_per_minute", "tokens_per_minute")
"""Keys of ``runtime`` that are fields of `Flow`."""


def request(engine: Engine, messages: Sequence[Message], max_tokens: int, **values: Any) -> Request:
    """A request to this engine; greedy unless `values` (temperature, top_p) say otherwise."""
    pairs = tuple([(message["role"], message["content"]) for message in messages])
    return Request(engine.endpoint, engine.model, pairs, max_tokens, **values)


def examination(
    engine: Engine,
    row: Mapping[str, Any],
    chosen: Mapping[str, str],
    max_tokens: int,
    **values: Any,
) -> Request:
    """A trained student's one request on a row of ``valid.jsonl`` or ``test.jsonl``.

    Args:
        engine: The student.
        row: With its own `messages`, or `prompts` by strategy.
        chosen: The strategy that the student was trained on, by task.
        max_tokens: The limit on its answer.
        values: Sampling values and notes.
    """
    if "prompts" in row:
        return request(
            engine, row["prompts"][chosen[row["task"]]]["messages"], max_tokens, **values
        )
    api = {"api": row["api"]} if "api" in row else {}
    return request(engine, row["messages"], max_tokens, **api, **values)


def sampling(teacher: Mapping[str, Any]) -> dict[str, Any]:
    """The teacher's values that alter its output."""
    keys = ("temperature", "top_p", "api", "top_logprobs")
    values = {key: teacher[key] for key in keys if teacher.get(key) is not None}
    if teacher.get("extra"):
        values["extra"] = canonical(teacher["extra"])
    return values


def local_engine(folder: Path, runtime: Mapping[str, Any]) -> Planned:
    """The model of a folder, run as ``runtime`` says; what is asked of it is the same in any case.

    Args:
        folder: A checkpoint.
        runtime: The section of ``params.yaml``.
    """
    vllm = runtime.get("local") == "vllm"
    if runtime.get("ray") is not None:
        from stages.engines.ray import Cluster, RayEngine

        cluster = Cluster(**runtime["ray"], patience=runtime.get("outage", Cluster.patience))
        return RayEngine(folder, cluster, vllm)
    if vllm:
        from stages.engines.vllm import VllmEngine

        return VllmEngine(folder)
    return LocalEngine(folder)


def teacher_engine(
    teacher: Mapping[str, Any], runtime: Mapping[str, Any], folder: Path, store: Store | None
) -> Engine:
    """The teacher of ``params.yaml`` as an engine.

    Args:
        teacher: The section of ``params.yaml``; not the recorded one, which no request is sent to.
        runtime: The section of ``params.yaml``.
        folder: Where a local teacher's model lies.
        store: Whose ledger is charged; None where nothing is asked.
    """
    if teacher["engine"] == "local":
        return local_engine(folder, runtime)
    urls = base_urls(teacher)
    flow = Flow(
        **{key: runtime[key] for key in FLOW if runtime.get(key) is not None},
        limit_name=runtime.get("limit_name", "max_tokens"),
    )
    purse = None
    if store is not None:
        price = price_of(teacher["model"], urls, runtime.get("price"))
        purse = Purse(store, price, runtime.get("max_usd"))
    named = teacher["model"], urls, teacher.get("key_env", ""), teacher.get("identity")
    if runtime.get("batch") is not None:
        from stages.engines.batch.engine import BatchEngine
        from stages.engines.batch.run import Batching

        return BatchEngine(*named, flow, purse, Batching(**runtime["batch"]))
    return OpenAIEngine(*named, flow, purse)


def base_urls(teacher: Mapping[str, Any]) -> list[str]:
    """One or more base URLs, as a list."""
    stated = teacher["base_url"]
    return [stated] if isinstance(stated, str) else list(stated)
