from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.engines.ask import request
from stages.engines.local import Generator, LocalEngine
from stages.engines.request import Answers, Request
from stages.engines.store import Store
from stages.engines.vllm import VllmEngine, VllmModel
from tests.engines.helpers import answer
from tests.tiny import save_tiny

real = pytest.mark.skipif(not find_spec("vllm"), reason="vLLM is not installed; see docs/scale.md")
libraries = pytest.mark.filterwarnings("default")  # of vLLM, which is not ours to keep clean


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with heads of the smallest size that vLLM's CPU build has code for."""
    return save_tiny(tmp_path_factory.mktemp("models") / "wide", head=32)


@pytest.fixture(scope="module")
def engine(wide: Path) -> Iterator[VllmEngine]:
    patch = pytest.MonkeyPatch()
    for name, value in {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }.items():
        patch.setenv(name, value)
    yield VllmEngine(wide)
    patch.undo()


def asks(engine: LocalEngine, count: int, limit: int = 24, **values: float) -> list[Request]:
    """Questions of very different lengths."""
    return [
        request(engine, [{"role": "user", "content": f"{i}? " * (1 + 5 * i)}], limit, **values)
        for i in range(count)
    ]


def test_the_keys_are_those_of_the_local_engine(wide: Path) -> None:
    here, there = LocalEngine(wide), VllmEngine(wide)
    keys = [item.key for item in asks(here, 3, temperature=0.7)]
    assert [item.key for item in asks(there, 3, temperature=0.7)] == keys


def test_it_is_not_installed(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    engine = VllmEngine(tiny)
    (item,) = asks(engine, 1)
    with pytest.raises(UserError) as raised:
        engine.complete([item], {item.key}, lambda answers: None)
    assert str(raised.value) == (
        "params.yaml: E705 runtime.local is vllm, and vLLM is not installed\n"
        "    hint: see docs/scale.md for how to install it, or take `local: vllm` out of runtime"
    )


@real
@libraries
def test_greedy_answers_are_those_of_the_local_engine(
    engine: VllmEngine, wide: Path, tmp_path: Path
) -> None:
    requests = asks(engine, 20)
    with Store(tmp_path / "there") as store:
        there = answer(requests, engine, store)
    with Store(tmp_path / "here") as store:
        here = answer(requests, LocalEngine(wide), store)
    assert there == here


@real
@libraries
def test_answers_come_one_by_one_as_they_end(engine: VllmEngine) -> None:
    requests = [*asks(engine, 1, 40), *asks(engine, 2, 3)[1:]]
    came = list[Answers]()
    engine.complete(requests, {item.key for item in requests}, came.append)
    assert [[item.key for item, _ in answers] for answers in came] == [
        [item.key] for item in reversed(requests)
    ]


@real
@libraries
def test_only_what_is_missing_is_generated(engine: VllmEngine) -> None:
    requests = asks(engine, 4)
    came = list[Answers]()
    engine.complete(requests, {requests[2].key}, came.append)
    assert [item for answers in came for item, _ in answers] == [requests[2]]


@real
@libraries
def test_sampled_answers_do_not_depend_on_their_neighbours(engine: VllmEngine) -> None:
    model = engine._model = engine._model or VllmModel.load(engine.folder)
    requests = asks(engine, 6, temperature=0.9, top_p=0.8)
    answers = model.generate(requests)
    assert model.generate(requests[::-1]) == answers[::-1]
    assert [model.generate([item])[0] for item in requests] == answers
    samples = [asks(engine, 1, temperature=1.0, sample=sample)[0] for sample in range(8)]
    assert len({done.text for done in model.generate(samples)}) == 8


@real
@libraries
def test_answers_end_as_those_of_the_local_engine(engine: VllmEngine, wide: Path) -> None:
    model = engine._model = engine._model or VllmModel.load(engine.folder)
    requests = [asks(engine, 1, 200, temperature=1.0, sample=i)[0] for i in range(12)]
    answers = model.generate(requests)
    assert {done.finish_reason for done in answers} == {"stop", "length"}
    for done in answers:
        assert (done.completion_tokens == 200) == (done.finish_reason == "length")
        assert "</s>" not in done.text
    assert {done.prompt_tokens for done in answers} == {
        len(Generator(None, model.tokenizer).encode(requests[0]))
    }


@real
@libraries
def test_a_run_that_is_stopped_leaves_nothing_under_way(engine: VllmEngine) -> None:
    def stop(answers: Answers) -> None:
        raise KeyboardInterrupt

    requests = [*asks(engine, 3, 30), *asks(engine, 5, 4)[3:]]
    with pytest.raises(KeyboardInterrupt):
        engine.complete(requests, {item.key for item in requests}, stop)
    assert engine._model is not None
    engine._model.engine.step()
    assert not engine._model.engine.has_unfinished_requests()


@real
@libraries
def test_a_prompt_that_does_not_fit(engine: VllmEngine) -> None:
    model = engine._model = engine._model or VllmModel.load(engine.folder)
    short, long = (
        request(engine, [{"role": "user", "content": "so " * count}], 8) for count in (1, 900)
    )
    with pytest.raises(UserError) as raised:
        engine.complete([short, long], {short.key, long.key}, lambda answers: None)
    (problem,) = raised.value.problems
    most = model.engine.model_config.max_model_len
    assert (problem.file, problem.code, problem.message) == (
        str(engine.folder),
        "E706",
        f"1 of 2 prompts are longer than vLLM can take, {most} tokens; "
        f"the longest has {len(Generator(None, model.tokenizer).encode(long))}, row {long.row}",
    )
