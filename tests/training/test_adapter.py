"""Adapters: their names, when they are trained, and that they leave the student as it was."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.errors import UserError
from stages.engines.fulfil import fulfil, single
from stages.engines.local import Generator
from stages.engines.request import Answers, Request
from stages.engines.store import Store
from stages.training import adapter, sft
from stages.training.adapter import AdapterEngine, Lesson
from stages.training.base import EMBEDDED, EMBEDDED_PACKAGE, materialise

SETTINGS = {"epochs": 8, "learning_rate": 2e-2, "rank": 16, "seed": 1}
ANSWERS = {"short": ["Heads.", "Tails."], "long": ["It is up, so yes.", "It is down, so no."]}


def question(number: int) -> str:
    return f"Is coin {number} up?"


def lesson(strategy: str) -> Lesson:
    rows = [
        {
            "id": f"coin/train/{number}",
            "messages": [{"role": "user", "content": question(number)}],
            "completion": answer,
        }
        for number, answer in enumerate(ANSWERS[strategy])
    ]
    return Lesson(f"coins/coin/{strategy}", rows)


def silent(*told: Any) -> None:
    pass


def engine(student: Path, max_length: int = 512, **settings: Any) -> AdapterEngine:
    return AdapterEngine(student, {**SETTINGS, **settings}, max_length, lambda about: silent)


def asks(name: str, limit: int = 24) -> list[Request]:
    return [Request("local", name, (("user", question(n)),), limit) for n in range(3)]


def texts(made: AdapterEngine, strategies: list[str], limit: int = 24) -> dict[str, list[str]]:
    """What students say that have had these lessons, and nothing held."""
    names = {strategy: made.learn(lesson(strategy)) for strategy in strategies}
    asked = [item for name in names.values() for item in asks(name, limit)]
    said: dict[str, str] = {}

    def deliver(answers: Answers) -> None:
        said.update({item.key: completion.text for item, completion in answers})

    made.complete(asked, {item.key for item in asked}, deliver)
    return {
        strategy: [said[item.key] for item in asks(name, limit)] for strategy, name in names.items()
    }


def test_each_adapter_learns_its_own_lesson(tiny: Path) -> None:
    said = texts(engine(tiny, epochs=60), ["short", "long"])
    for strategy, answers in ANSWERS.items():
        # the tiny student cannot learn to stop, as its end token has no embedding
        assert [
            text[: len(right)] for text, right in zip(said[strategy], answers, strict=False)
        ] == (answers)


def test_twice_gives_the_same_bytes_in_any_company(tiny: Path) -> None:
    both = texts(engine(tiny), ["short", "long"])
    assert texts(engine(tiny), ["long", "short"]) == both
    assert texts(engine(tiny), ["long"])["long"] == both["long"]
    assert both["short"] != both["long"]


def test_the_student_is_as_it_was(tiny: Path) -> None:
    generator = Generator.load(tiny)
    before = {name: value.clone() for name, value in generator.model.state_dict().items()}
    examples = adapter.tokenise(lesson("long").rows, generator.tokenizer, 512)
    settings = {**adapter.RECIPE, **SETTINGS}
    with adapter._adapted(generator, examples, settings, silent) as student:
        assert {n.split(".")[-3] for n in student.model.state_dict() if ".lora_" in n} == {
            "lora_A", "lora_B"
        }  # fmt: skip
        assert not student.model.training
    after = generator.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_an_adapter_is_named_by_all_that_decides_it(tiny: Path, tmp_path: Path) -> None:
    from tests.tiny import save_tiny

    plain = engine(tiny).learn(lesson("short"))
    assert plain.startswith("adapter:")
    assert engine(tiny).learn(Lesson("another/place/short", lesson("short").rows)) == plain
    assert engine(tiny, 256).learn(lesson("short")) == plain
    others = [
        engine(tiny).learn(lesson("long")),
        engine(tiny).learn(Lesson("", lesson("short").rows[::-1])),
        engine(save_tiny(tmp_path / "other", seed=1)).learn(lesson("short")),
        *(
            engine(tiny, **changed).learn(lesson("short"))
            for changed in ({"epochs": 9}, {"learning_rate": 1e-2}, {"rank": 8}, {"seed": 2})
        ),
    ]
    assert len({plain, *others}) == 1 + len(others)


def answered(made: AdapterEngine, store: Store) -> list[Any]:
    names = [made.learn(lesson(strategy)) for strategy in ANSWERS]
    asked = [item for name in names for item in asks(name)]
    fulfil(map(single, asked), len(asked), made, store, silent)
    return store.get_many(asked)


def test_what_is_held_is_not_trained_for_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "whole.sqlite3") as store:
        whole = answered(engine(tiny), store)
    trained: list[int] = []
    fit = sft.fit

    def counted(*arguments: Any) -> None:
        trained.append(1)
        fit(*arguments)

    monkeypatch.setattr(sft, "fit", counted)
    with Store(tmp_path / "store.sqlite3") as store:
        put, calls = store.put_many, list[int]()

        def killed(answers: Answers) -> None:
            if calls:
                raise KeyboardInterrupt
            calls.append(1)
            put(answers)

        monkeypatch.setattr(store, "put_many", killed)
        with pytest.raises(KeyboardInterrupt):
            answered(engine(tiny), store)
        assert len(trained) == 2
        monkeypatch.setattr(store, "put_many", put)
        assert answered(engine(tiny), store) == whole
        assert len(trained) == 3  # the second alone
        assert answered(engine(tiny), store) == whole
        assert len(trained) == 3


@pytest.mark.parametrize(
    ("settings", "limit", "code", "says"),
    [
        ({"max_length": 40}, 24, "E712", "2 of 2 training rows are longer than train.max_length"),
        (
            {}, 17, "E714",
            "the student is to learn rationales of up to 18 tokens for coins/coin/long, and "
            "probe.max_tokens lets it answer with 17",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused_before_anything_is(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, Any], limit: int,
    code: str, says: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(sft, "fit", lambda *arguments: pytest.fail("trained"))
    with pytest.raises(UserError) as raised:
        texts(engine(tiny, **settings), ["short", "long"], limit)
    (problem,) = raised.value.problems
    assert problem.code == code
    assert says in problem.message


@pytest.mark.model
@pytest.mark.skipif(
    importlib.util.find_spec(EMBEDDED_PACKAGE) is None,
    reason="the embedded student is not installed; run `make setup`",
)
def test_the_real_student_learns_the_form_of_an_answer(tmp_path: Path) -> None:
    student = tmp_path / "student"
    materialise(EMBEDDED, None, student)
    answers = ["The answer is yes.", "The answer is no."] * 4
    rows = [
        {
            "id": str(number),
            "messages": [{"role": "user", "content": question(number)}],
            "completion": answer,
        }
        for number, answer in enumerate(answers)
    ]
    made = AdapterEngine(
        student, {"epochs": 3, "learning_rate": 2e-3, "rank": 16, "seed": 1}, 128, lambda _: silent
    )
    asked = asks(made.learn(Lesson("coins/coin/direct", rows)), 16)
    said = []
    made.complete(asked, {item.key for item in asked}, said.extend)
    assert {done.text for _, done in said} <= set(answers)
    assert {done.finish_reason for _, done in said} == {"stop"}
