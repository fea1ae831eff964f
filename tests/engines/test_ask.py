"""The teacher of params.yaml as an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.engines.ask import local_engine, request, sampling, teacher_engine
from stages.engines.batch.engine import BatchEngine
from stages.engines.local import LocalEngine
from stages.engines.openai import OpenAIEngine
from stages.engines.prices import Price
from stages.engines.ray import Cluster, RayEngine
from stages.engines.store import Store
from stages.engines.vllm import VllmEngine

RUNTIME = {"concurrency": 9, "timeout": 7, "retries": 3}
TEACHER = {"engine": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "key_env": "KEY"}


def made(tmp_path: Path, teacher: dict[str, Any], runtime: dict[str, Any]) -> OpenAIEngine:
    with Store(tmp_path / "s") as store:
        engine = teacher_engine({**TEACHER, **teacher}, {**RUNTIME, **runtime}, tmp_path, store)
    assert isinstance(engine, OpenAIEngine)
    return engine


def test_an_endpoint_with_the_least_said(tmp_path: Path) -> None:
    engine = made(tmp_path, {}, {})
    assert (engine.endpoint, engine.model, engine.key_env) == (TEACHER["base_url"], "m", "KEY")
    assert (engine.flow.concurrency, engine.flow.timeout, engine.flow.retries) == (9, 7, 3)
    assert (engine.flow.outage, engine.flow.limit_name) == (900.0, "max_tokens")
    assert engine.purse is not None
    assert engine.purse.price == Price(0.0, 0.0, "served on this machine")
    assert engine.purse.max_usd is None


def test_an_endpoint_with_all_said(tmp_path: Path) -> None:
    urls = ["http://one/v1", "http://two/v1/"]
    runtime = {
        "outage": 60, "requests_per_minute": 500, "tokens_per_minute": None, "max_usd": 5,
        "limit_name": "max_completion_tokens", "price": {"prompt": 1, "completion": 2},
    }  # fmt: skip
    engine = made(tmp_path, {"base_url": urls, "identity": "ours"}, runtime)
    assert (engine.endpoint, engine.base_urls) == ("ours", ["http://one/v1", "http://two/v1"])
    assert (engine.flow.outage, engine.flow.requests_per_minute) == (60, 500)
    assert (engine.flow.tokens_per_minute, engine.flow.limit_name) == (
        None,
        "max_completion_tokens",
    )
    assert engine.purse is not None
    assert (engine.purse.price, engine.purse.max_usd) == (Price(1.0, 2.0, "params.yaml"), 5)


def test_batches(tmp_path: Path) -> None:
    engine = made(tmp_path, {}, {"batch": {"wait": False}})
    assert isinstance(engine, BatchEngine)
    assert (engine.batching.wait, engine.batching.factor) == (False, 0.5)
    assert not isinstance(made(tmp_path, {}, {"batch": None}), BatchEngine)


def test_a_local_model(tmp_path: Path, tiny: Path) -> None:
    engine = teacher_engine({"engine": "local", "model": "student"}, RUNTIME, tiny, None)
    assert isinstance(engine, LocalEngine)
    assert (engine.endpoint, engine.folder) == ("local", tiny)


@pytest.mark.parametrize(
    ("runtime", "kind"),
    [
        ({}, LocalEngine),
        ({"local": "transformers", "ray": None}, LocalEngine),
        ({"local": "vllm"}, VllmEngine),
        ({"ray": {}}, RayEngine),
        ({"local": "vllm", "ray": {"address": "auto", "gpus": 1}, "outage": 60}, RayEngine),
    ],
)
def test_what_runs_a_local_model_changes_nothing_that_is_asked(
    tiny: Path, runtime: dict[str, Any], kind: type[LocalEngine]
) -> None:
    engine = local_engine(tiny, runtime)
    assert type(engine) is kind
    messages = [{"role": "user", "content": "2 + 2?"}]
    assert request(engine, messages, 8).key == request(LocalEngine(tiny), messages, 8).key
    if isinstance(engine, RayEngine):
        assert engine.vllm == ("local" in runtime)
        asked = {**runtime["ray"], "patience": runtime.get("outage", 900)}
        assert engine.cluster == Cluster(**asked)


@pytest.mark.parametrize(
    ("teacher", "values"),
    [
        ({}, {}),
        ({"temperature": 0, "top_p": 0.9}, {"temperature": 0, "top_p": 0.9}),
        ({"api": "completions", "top_logprobs": 2}, {"api": "completions", "top_logprobs": 2}),
        ({"extra": {"top_k": 3, "effort": None}}, {"extra": '{"effort":null,"top_k":3}'}),
        ({"extra": None}, {}),
    ],
)
def test_what_alters_an_answer(
    tmp_path: Path, teacher: dict[str, Any], values: dict[str, Any]
) -> None:
    assert sampling({**TEACHER, **teacher}) == values
    engine = made(tmp_path, {}, {})
    asked = request(engine, [{"role": "user", "content": "q"}], 8, **values)
    assert (asked.endpoint, asked.model, asked.max_tokens) == (engine.endpoint, "m", 8)
