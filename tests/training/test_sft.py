from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.engines.local import Generator
from stages.engines.request import Request
from stages.training.keeper import Log
from stages.training.objective import completion_loss
from stages.training.packing import pack
from stages.training.sft import train
from stages.training.tokenise import Example, tokenise

SETTINGS = {
    "seed": 1,
    "epochs": 1,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "warmup_ratio": 0.0,
    "weight_decay": 0.0,
    "evaluations": 1,
}
ANSWERS = ["Heads, so yes.", "Tails, so no.", "It stays as it was.", "no"]


def examples(generator: Generator, count: int = 4) -> list[Example]:
    return tokenise(map(row, range(count)), generator.tokenizer, 128)


def row(number: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Is coin {number} heads up?"}]
    answer = ANSWERS[number % len(ANSWERS)]
    return {"id": f"coin/train/{number}/0", "messages": messages, "completion": answer}


def silent(step: int, steps: int, tokens: int, note: str) -> None:
    pass


def trained(
    tiny: Path,
    out: Path,
    accuracy: Callable[[Generator], float] = lambda generator: 0.5,
    **settings: Any,
) -> tuple[Generator, Log]:
    generator = Generator.load(tiny)
    return generator, train(
        generator, examples(generator), accuracy, {**SETTINGS, **settings}, out, silent
    )


def weights(generator: Generator) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in generator.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@torch.no_grad()
def test_loss_is_that_of_transformers_on_completion_tokens_alone(tiny: Path) -> None:
    generator = Generator.load(tiny)
    made = examples(generator)
    batch = pack(made, packed=False)
    labels = torch.full_like(batch["input_ids"], -100)
    for example, row_labels in zip(made, labels, strict=True):
        row_labels[example.prompt : len(example.ids)] = torch.tensor(example.ids[example.prompt :])
    wanted = generator.model(input_ids=batch["input_ids"], labels=labels).loss
    total = completion_loss(generator.model, batch)
    assert len(batch["labels"]) == sum(len(answer) + 1 for answer in ANSWERS)
    assert float(total / len(batch["labels"])) == pytest.approx(float(wanted), abs=1e-4)


@torch.no_grad()
def test_padding_changes_no_loss(tiny: Path) -> None:
    generator = Generator.load(tiny)
    made = examples(generator)
    whole = completion_loss(generator.model, pack(made, packed=False))
    apart = sum(float(completion_loss(generator.model, pack([one], packed=False))) for one in made)
    assert float(whole) == pytest.approx(apart, abs=1e-3)


@pytest.mark.parametrize(("scores", "best"), [([0.2, 0.9, 0.5], 2), ([0.5, 0.5, 0.1], 2)])
def test_the_best_checkpoint_by_valid_is_what_is_on_disk(
    tiny: Path, tmp_path: Path, scores: list[float], best: int
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def scripted(generator: Generator) -> float:
        assert not generator.model.training
        seen.append(weights(generator))
        return scores[len(seen) - 1]

    _, log = trained(tiny, tmp_path / "out", scripted, epochs=3, evaluations=3)
    assert [item["valid_accuracy"] for item in log.evaluations] == scores
    assert [item["step"] for item in log.evaluations] == [2, 4, 6]
    assert log.best_step == log.evaluations[best - 1]["step"]
    kept = weights(Generator.load(tmp_path / "out"))
    assert [same(kept, state) for state in seen] == [number == best for number in (1, 2, 3)]


def test_training_twice_gives_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    logs = [trained(tiny, tmp_path / name, epochs=3)[1] for name in ("one", "two")]
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    assert logs[0] == logs[1]
    assert [item["step"] for item in logs[0].steps] == list(range(1, 7))
    assert {"step", "loss", "learning_rate"} == logs[0].steps[0].keys()


@pytest.mark.parametrize("cut", [{"micro_tokens": 70}, {"checkpointing": True}])
def test_neither_passes_nor_checkpointing_change_the_training(
    tiny: Path, tmp_path: Path, cut: dict[str, Any]
) -> None:
    whole = trained(tiny, tmp_path / "whole", epochs=3, batch_size=4)
    other = trained(tiny, tmp_path / "other", epochs=3, batch_size=4, **cut)
    for one, two in zip(whole[1].steps, other[1].steps, strict=True):
        # a mean of the passes' means would differ in the second digit
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    kept = [weights(Generator.load(tmp_path / name)) for name in ("whole", "other")]
    for name, value in kept[0].items():
        assert torch.allclose(value, kept[1][name], atol=1e-4)


def test_bf16_is_near_fp32_and_keeps_fp32_weights(tiny: Path, tmp_path: Path) -> None:
    exact = trained(tiny, tmp_path / "exact", epochs=2)[1].steps
    generator, log = trained(tiny, tmp_path / "rough", epochs=2, precision="bf16")
    losses = [step["loss"] for step in log.steps]
    assert losses == pytest.approx([step["loss"] for step in exact], rel=0.02)
    assert losses != [step["loss"] for step in exact]
    assert {value.dtype for value in weights(generator).values()} == {torch.float32}


@pytest.mark.parametrize(
    ("scores", "measured", "best"),
    [([0.2, 0.2, 0.2, 0.9], 3, 3), ([0.1, 0.2, 0.3, 0.2, 0.2, 0.9], 5, 3)],
)
def test_training_stops_when_valid_gets_no_better(
    tiny: Path, tmp_path: Path, scores: list[float], measured: int, best: int
) -> None:
    left = iter(scores)
    _, log = trained(
        tiny, tmp_path / "out", lambda generator: next(left), epochs=6, evaluations=6, patience=2
    )
    assert [item["valid_accuracy"] for item in log.evaluations] == scores[:measured]
    assert len(log.steps) == 2 * measured
    assert log.best_step == 2 * best


def test_an_adapter_is_measured_and_merged(tiny: Path, tmp_path: Path) -> None:
    asked = [Request("local", "m", (("user", row(0)["messages"][0]["content"]),), 20)]
    said: list[str] = []

    def accuracy(generator: Generator) -> float:
        said.append(generator.generate(asked)[0].text)
        return 0.5

    lora = {"rank": 8, "alpha": 16}
    trained(
        tiny, tmp_path / "out", accuracy, epochs=40, evaluations=2, learning_rate=2e-2, lora=lora
    )
    merged, plain = Generator.load(tmp_path / "out"), Generator.load(tiny)
    assert merged.generate(asked)[0].text == said[-1] != plain.generate(asked)[0].text
    assert weights(merged).keys() == weights(plain).keys()
    assert not list((tmp_path / "out").glob("*adapter*"))
    changed = {name for name, value in weights(merged).items()
               if not torch.equal(value, weights(plain)[name])}  # fmt: skip
    assert changed
    assert all(".mlp." in name or ".self_attn." in name for name in changed)


def test_an_overfitted_student_repeats_its_completions_and_stops(
    tiny: Path, tmp_path: Path
) -> None:
    generator, log = trained(
        tiny, tmp_path / "out", epochs=150, batch_size=4, learning_rate=1e-2, warmup_ratio=0.05
    )
    assert log.steps[-1]["loss"] < 0.05 < 4 < log.steps[0]["loss"]
    pairs = [(("user", row(number)["messages"][0]["content"]),) for number in range(4)]
    asked = [Request("local", "m", pair, 40) for pair in pairs]
    for student in (generator, Generator.load(tmp_path / "out")):
        answers = student.generate(asked)
        assert [answer.text for answer in answers] == ANSWERS
        assert {answer.finish_reason for answer in answers} == {"stop"}
