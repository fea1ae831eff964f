"""Rows laid end to end: losses and gradients are those of the rows apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from stages.engines.local import Generator
from stages.engines.request import Request
from stages.training.objective import completion_loss, has_linear_head
from stages.training.packing import pack, packed_attention
from stages.training.tokenise import Example
from tests.models import random_model

ROWS = [
    Example("a", [5, 6, 7, 20, 21, 22, 1], 4),
    Example("b", [5, 6, 7, 30, 1], 4),
    Example("c", [5, 6, 9, 40, 41, 42, 43, 44, 45, 1], 6),
]


def apart(student: Any, examples: list[Example]) -> torch.Tensor:
    """The loss by transformers alone, a row at a time."""
    total = torch.zeros(())
    for example in examples:
        logits = student(torch.tensor([example.ids])).logits[0]
        wanted = torch.tensor(example.ids[example.prompt :])
        total = total + cross_entropy(logits[example.prompt - 1 : -1], wanted, reduction="sum")
    return total


def gradients(student: Any) -> dict[str, torch.Tensor]:
    made = {name: value.grad.clone() for name, value in student.named_parameters()}
    student.zero_grad()
    return made


@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Qwen3", "Mistral", "GPT2"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[1:], ROWS[:2]], ids=len)
def test_losses_and_gradients_are_those_of_the_rows_apart(kind: str, rows: list[Example]) -> None:
    student = random_model(kind).train()
    wanted = apart(student, rows)
    wanted.backward()  # type: ignore[no-untyped-call]
    slopes = gradients(student)
    with packed_attention(student, rows) as packed:
        assert packed
        loss = completion_loss(student, pack(rows))
        loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    for name, slope in gradients(student).items():
        assert torch.allclose(slope, slopes[name], atol=1e-4, rtol=1e-4), name


def test_what_all_rows_begin_with_is_computed_once() -> None:
    batch = pack(ROWS[:2])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 20, 21, 22, 1, 30, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6, 3, 4]]
    assert batch["scored"].tolist() == [3, 4, 5, 7]
    assert batch["labels"].tolist() == [21, 22, 1, 1]
    # the last token of a prompt is each row's own: what follows is learned from it
    same = [Example("a", [5, 6, 1], 2), Example("b", [5, 6, 7, 1], 2)]
    assert pack(same)["input_ids"].tolist() == [[5, 6, 1, 6, 7, 1]]


def test_a_row_alone_is_as_it_is() -> None:
    batch = pack(ROWS[:1])
    assert batch["input_ids"].tolist() == [ROWS[0].ids]
    assert batch["labels"].tolist() == [21, 22, 1]


def test_no_row_sees_another() -> None:
    student = random_model().train()
    with packed_attention(student, ROWS), torch.no_grad():
        one = completion_loss(student, pack(ROWS[:2]))
        other = completion_loss(student, pack([ROWS[0], Example("x", [5, 6, 7, 33, 1], 4)]))
        alone = completion_loss(student, pack(ROWS[:1]))
        second = completion_loss(student, pack(ROWS[1:2]))
        third = completion_loss(student, pack([Example("x", [5, 6, 7, 33, 1], 4)]))
    assert float(one - second) == pytest.approx(float(alone), rel=1e-5)
    assert float(other - third) == pytest.approx(float(alone), rel=1e-5)


def test_many_completion_tokens_are_scored_in_chunks_to_the_same_loss() -> None:
    student = random_model().train()
    rows = [Example(str(n), [5, 6, *(7 + (n + i) % 50 for i in range(40)), 1], 2) for n in range(4)]
    batch = pack(rows)
    assert len(batch["labels"]) > student.config.hidden_size
    with packed_attention(student, ROWS), torch.no_grad():
        loss = completion_loss(student, batch)
        assert float(loss) == pytest.approx(float(apart(student, rows)), rel=1e-5)


def test_the_student_answers_as_before_while_it_is_trained(tiny: Path) -> None:
    generator = Generator.load(tiny)
    asked = [Request("local", "m", (("user", "Is it?" * n),), 12) for n in (1, 3)]
    before = generator.generate(asked)
    with packed_attention(generator.model, ROWS):
        assert generator.generate(asked) == before
    assert generator.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Mistral", {"sliding_window": 4}),
        ("Gemma2", {"attn_logit_softcapping": 0.5, "final_logit_softcapping": 2.0}),
    ],
)
def test_other_attention_is_noticed_and_such_rows_are_padded(
    kind: str, changes: dict[str, Any]
) -> None:
    student = random_model(kind, **changes).train()
    wanted = apart(student, ROWS)
    with packed_attention(student, ROWS) as packed:
        assert not packed
        linear = has_linear_head(student, ROWS[0])
        assert linear == (kind == "Mistral")
        loss = completion_loss(student, pack(ROWS, packed=False), linear)
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
