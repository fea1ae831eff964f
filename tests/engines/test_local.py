from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.engines import local
from stages.engines.ask import request
from stages.engines.local import Generator, LocalEngine, folder_digest, plan
from stages.engines.request import Completion, Request
from stages.engines.store import Store
from tests.engines.helpers import answer
from tests.tiny import TEMPLATE, save_tiny

ROOT = Path(__file__).parents[2]
SYSTEM = {"role": "system", "content": "You are terse."}


@pytest.fixture(scope="module")
def generator(tiny: Path) -> Generator:
    return Generator.load(tiny)


@pytest.fixture(scope="module")
def engine(tiny: Path) -> LocalEngine:
    return LocalEngine(tiny)


def asks(engine: LocalEngine, count: int, limit: int = 24, **values: float) -> list[Request]:
    """Questions of very different lengths."""
    return [
        request(
            engine, [SYSTEM, {"role": "user", "content": f"{i}? " * (1 + 5 * i)}], limit, **values
        )
        for i in range(count)
    ]


def silent(done: int, total: int, tokens: int) -> None:
    pass


def one_by_one(generator: Generator, requests: Sequence[Request]) -> list[Completion]:
    return [generator.generate([item])[0] for item in requests]


def test_a_batch_answers_as_each_request_alone(engine: LocalEngine, generator: Generator) -> None:
    requests = asks(engine, 7)
    answers = generator.generate(requests)
    assert answers == one_by_one(generator, requests)
    assert len({answer.text for answer in answers}) > 1


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_sampled_answers_do_not_depend_on_their_neighbours(
    engine: LocalEngine, generator: Generator, top_p: float
) -> None:
    requests = asks(engine, 6, temperature=0.9, top_p=top_p)
    answers = generator.generate(requests)
    assert generator.generate(requests[::-1]) == answers[::-1]
    assert one_by_one(generator, requests) == answers
    assert generator.generate(requests) == answers


def test_samples_of_one_question_differ(engine: LocalEngine, generator: Generator) -> None:
    requests = [asks(engine, 1, temperature=1.0, sample=sample)[0] for sample in range(8)]
    assert len({answer.text for answer in generator.generate(requests)}) == 8


def test_a_small_nucleus_is_greedy(engine: LocalEngine, generator: Generator) -> None:
    greedy = generator.generate(asks(engine, 4))
    sampled = generator.generate(asks(engine, 4, temperature=1.0, top_p=1e-6))
    assert [item.text for item in sampled] == [item.text for item in greedy]


def test_finish_reasons(engine: LocalEngine, generator: Generator) -> None:
    # Near-uniform over 258 tokens, so that some end within 200 and some do not.
    requests = [
        asks(engine, 1, limit=200, temperature=1.0, sample=sample)[0] for sample in range(12)
    ]
    answers = generator.generate(requests)
    assert {done.finish_reason for done in answers} == {"stop", "length"}
    for done in answers:
        assert (done.completion_tokens == 200) == (done.finish_reason == "length")
        assert "</s>" not in done.text


def test_the_prompt_is_the_chat_templates(engine: LocalEngine, generator: Generator) -> None:
    (item,) = asks(engine, 1)
    tokenizer = generator.tokenizer
    ids = tokenizer.apply_chat_template(
        item.chat(), add_generation_prompt=True, return_dict=False, tokenize=True
    )
    assert generator.encode(item) == ids
    assert generator.generate([item])[0].prompt_tokens == len(ids)
    text = "<s>system\nYou are terse.</s><s>user\n0? </s><s>assistant\n"
    assert tokenizer.decode(ids) == text


def test_no_model_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        LocalEngine(tmp_path / "student")
    assert str(raised.value) == (
        f"{tmp_path / 'student'}: E701 there is no model in this folder\n"
        "    hint: run `dvc repro`, or `dvc pull` to fetch it"
    )


def test_no_chat_template(tmp_path: Path) -> None:
    base = save_tiny(tmp_path / "base", template=None)
    to = LocalEngine(base)
    with pytest.raises(UserError) as raised:
        to.complete(asks(to, 1), {asks(to, 1)[0].key}, lambda answers: None)
    assert str(raised.value) == (
        f"{base}: E702 this model's tokenizer has no chat template\n"
        "    hint: choose an instruct model, save its chat_template.jinja, or train in format: text"
    )


def test_nothing_missing_loads_no_weights(engine: LocalEngine, tmp_path: Path) -> None:
    (item,) = asks(engine, 1)
    with Store(tmp_path / "s") as store:
        store.put_many([(item, Completion("held", "stop", 3, 2))])
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from stages.engines.ask import request\n"
        "from tests.engines.helpers import answer\n"
        "from stages.engines.local import LocalEngine\n"
        "from stages.engines.store import Store\n"
        f"engine = LocalEngine(Path({str(engine.folder)!r}))\n"
        f"item = request(engine, {item.chat()!r}, {item.max_tokens})\n"
        "with Store(Path('s')) as store:\n"
        "    done = answer([item], engine, store)\n"
        "print(done.completions[item.key].text, 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["held", "False"]


def test_a_model_is_named_by_what_decides_its_answers(tiny: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    assert folder_digest(copy) == folder_digest(tiny)
    (copy / "README.md").write_text("A model card.", encoding="utf-8")
    (copy / ".gitattributes").write_text("*.safetensors filter=lfs\n", encoding="utf-8")
    assert folder_digest(copy) == folder_digest(tiny)


def changed_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def changed_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(TEMPLATE + "\n", encoding="utf-8")


def changed_generation(folder: Path) -> None:
    file = folder / "generation_config.json"
    config = {**json.loads(file.read_text(encoding="utf-8")), "repetition_penalty": 1.3}
    file.write_text(json.dumps(config), encoding="utf-8")


def changed_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer_config.json"
    config = {**json.loads(file.read_text(encoding="utf-8")), "eos_token": "<s>"}
    file.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    "change", [changed_weight, changed_template, changed_generation, changed_tokenizer]
)
def test_whatever_changes_an_answer_changes_the_name(
    tiny: Path, tmp_path: Path, change: object
) -> None:
    assert callable(change)
    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    change(copy)
    assert folder_digest(copy) != folder_digest(tiny)


def test_a_killed_run_plans_the_batches_of_one_that_was_not(
    engine: LocalEngine, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SLOTS", 8)
    requests = [
        request(engine, [{"role": "user", "content": f"{'so ' * (i % 9)}{i}"}], 8)
        for i in range(3 * 2 * 8 - 5)
    ]
    whole = list(plan(requests, {item.key for item in requests}, generator))
    assert [len(batch) for batch in whole] == [16, 16, 11]
    left = {item.key for batch in whole[1:] for item in batch}
    assert list(plan(requests[::-1], left, generator)) == whole[1:]
    part = {item.key for item in whole[0][:3]} | {item.key for item in whole[2]}
    assert list(plan(requests, part, generator)) == [whole[2], whole[0][:3]]


def test_a_few_rows_are_no_batch_of_their_own(
    engine: LocalEngine, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SLOTS", 8)

    def sizes(count: int) -> list[int]:
        requests = asks(engine, count)
        return [len(it) for it in plan(requests, {item.key for item in requests}, generator)]

    assert (sizes(7), sizes(16), sizes(23), sizes(24), sizes(39)) == (
        [7], [16], [23], [16, 8], [16, 23]
    )  # fmt: skip


def test_a_long_batch_tells_how_far_it_is(engine: LocalEngine, tmp_path: Path) -> None:
    requests, seen = asks(engine, 5), list[tuple[int, int]]()
    with Store(tmp_path / "s") as store:
        done = answer(
            requests, engine, store, lambda done, total, tokens=0: seen.append((done, tokens))
        )
    made = sum(item.completion_tokens for item in done.completions.values())
    assert made == 5 * 24
    assert seen == [(0, 0), (0, 5 * 8), (0, 5 * 16), (0, made), (5, made)]


def test_limits_and_sampling_are_not_mixed_in_a_batch(
    engine: LocalEngine, generator: Generator
) -> None:
    requests = [*asks(engine, 3), *asks(engine, 3, limit=9, temperature=0.5)]
    made = list(plan(requests, {item.key for item in requests}, generator))
    assert sorted(len(batch) for batch in made) == [3, 3]
    assert all(len({(i.max_tokens, i.temperature) for i in batch}) == 1 for batch in made)


def test_through_the_store(engine: LocalEngine, tmp_path: Path, generator: Generator) -> None:
    requests = asks(engine, 5)
    with Store(tmp_path / "s") as store:
        first = answer(requests, engine, store)
        again = answer(requests, engine, store)
    assert (first.generated, first.held, again.generated, again.held) == (5, 0, 0, 5)
    assert again.completions == first.completions
    assert first.completions[requests[2].key] == generator.generate([requests[2]])[0]
