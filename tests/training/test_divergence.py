"""Divergences against plain arithmetic, known identities and the numbers of TRL."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from stages.training.divergence import FORWARD, NOTHING, REVERSE, divergence, full, top_k

TRL = json.loads((Path(__file__).parents[1] / "golden/trl_divergences.json").read_text())
"""Made by TRL 1.16.0 with torch 2.13: the sum of `GKDTrainer.generalized_jsd_loss` on the tables
below, its gradient in the second position, and `_jsd_divergence` behind `_add_tail_bucket` of its
ServerDistillationTrainer on the k most probable tokens of the teacher."""
BETAS = (FORWARD, 0.1, 0.5, 0.9, REVERSE)


def table(phase: float, *, rows: int = 4, columns: int = 13) -> torch.Tensor:
    steps = torch.arange(rows * columns, dtype=torch.float64).reshape(rows, columns)
    return (3 * torch.sin(steps * (1.7 + phase) + phase)).float()


STUDENT, TEACHER = table(0.3), table(1.1)


def recorded(k: int) -> tuple[torch.Tensor, torch.Tensor]:
    best = TEACHER.log_softmax(-1).topk(k, -1)
    return best.indices, best.values


def by_hand(student: list[float], teacher: list[float], beta: float) -> float:
    q, p = ([math.exp(x) / sum(map(math.exp, row)) for x in row] for row in (student, teacher))

    def kl(one: list[float], other: list[float]) -> float:
        return sum(a * math.log(a / b) for a, b in zip(one, other, strict=True))

    if beta in (FORWARD, REVERSE):
        return kl(p, q) if beta == FORWARD else kl(q, p)
    mixture = [beta * a + (1 - beta) * b for a, b in zip(p, q, strict=True)]
    return beta * kl(p, mixture) + (1 - beta) * kl(q, mixture)


@pytest.mark.parametrize("beta", BETAS)
def test_each_position_is_what_its_formula_says(beta: float) -> None:
    made = full(STUDENT, TEACHER, beta, 1.0)
    pairs = zip(STUDENT.tolist(), TEACHER.tolist(), strict=True)
    assert made.tolist() == pytest.approx([by_hand(q, p, beta) for q, p in pairs], abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("beta", BETAS)
def test_sum_and_gradient_are_those_of_trl(beta: float, temperature: float) -> None:
    student = STUDENT.clone().requires_grad_()
    total = full(student, TEACHER, beta, temperature).sum()
    total.backward()
    name, scale = f"{beta}/{temperature}", temperature**2  # TRL leaves the square out
    assert total.item() == pytest.approx(scale * TRL["full"][name], abs=1e-4)
    assert student.grad is not None
    wanted = [scale * value for value in TRL["gradient"][name]]
    assert student.grad[1, :5].tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("beta", [FORWARD, 0.5, REVERSE])
@pytest.mark.parametrize("k", [1, 4])
def test_top_k_with_its_tail_is_that_of_trl(k: int, beta: float) -> None:
    total = float(top_k(STUDENT, *recorded(k), beta).sum())
    assert total == pytest.approx(TRL["top"][f"{k}/{beta}"], abs=1e-4)


@pytest.mark.parametrize("beta", BETAS)
def test_equal_distributions_have_none(beta: float) -> None:
    shifted = TEACHER + 5  # the same probabilities
    assert full(shifted, TEACHER, beta, 2.0).abs().max() < 1e-5
    assert top_k(shifted, *recorded(4), beta).abs().max() < 1e-5


def test_the_ends_are_limits_and_the_middle_is_symmetric() -> None:
    q, p = (logits.double().log_softmax(-1) for logits in (STUDENT, TEACHER))
    near = 1e-6
    assert torch.allclose(divergence(q, p, near) / near, divergence(q, p, FORWARD), rtol=1e-3)
    assert torch.allclose(divergence(q, p, 1 - near) / near, divergence(q, p, REVERSE), rtol=1e-3)
    assert torch.allclose(divergence(q, p, 0.3), divergence(p, q, 0.7))
    assert (divergence(q, p, 0.5) < math.log(2)).all()


@pytest.mark.parametrize("beta", BETAS)
def test_gradients_are_those_of_finite_differences(beta: float) -> None:
    student = STUDENT[:2, :5].double().requires_grad_()
    teacher = TEACHER[:2, :5].double()
    torch.autograd.gradcheck(
        lambda x: divergence(x.log_softmax(-1), teacher.log_softmax(-1), beta), (student,)
    )


def test_the_square_keeps_the_gradients_size() -> None:
    """For small logits the gradient does not depend on the temperature (Hinton et al., eq. 4)."""
    made = []
    for temperature in (10.0, 100.0):
        student = (STUDENT / 100).requires_grad_()
        full(student, TEACHER / 100, FORWARD, temperature).sum().backward()
        made.append(student.grad)
    assert torch.allclose(made[0], made[1], rtol=0.02, atol=1e-6)


def test_a_wider_vocabulary_is_cut_to_the_shared_one() -> None:
    wider = torch.cat([TEACHER, torch.full((4, 3), 50.0)], -1)
    assert torch.equal(full(STUDENT, wider, 0.5, 1.0), full(STUDENT, TEACHER, 0.5, 1.0))


@pytest.mark.parametrize("beta", BETAS)
def test_what_is_recorded_of_all_tokens_is_the_whole(beta: float) -> None:
    whole = full(STUDENT, TEACHER, beta, 1.0)
    assert torch.allclose(top_k(STUDENT, *recorded(13), beta), whole, atol=1e-4)
    before = top_k(STUDENT, *recorded(1), beta)
    for k in (2, 4, 8):
        more = top_k(STUDENT, *recorded(k), beta)
        assert (before <= more + 1e-6).all(), "the finer the outcomes, the larger the divergence"
        assert (more <= whole + 1e-6).all()
        before = more


def test_unused_places_and_values_that_stand_for_nothing_change_nothing() -> None:
    ids, chances = recorded(4)
    unused = torch.full((4, 2), NOTHING)
    others = torch.tensor([[next(n for n in range(13) if n not in row)] for row in ids.tolist()])
    padded = torch.cat([unused, ids, others], -1)
    values = torch.cat([torch.zeros(4, 2), chances, torch.full((4, 1), -9999.0)], -1)
    for beta in BETAS:
        made = top_k(STUDENT, padded, values, beta)
        assert torch.allclose(made, top_k(STUDENT, ids, chances, beta), atol=1e-6)


def test_rounded_values_of_more_than_the_whole_stay_finite() -> None:
    ids, chances = torch.tensor([[3, 5]]), torch.tensor([[math.log(0.6), math.log(0.41)]])
    for beta in BETAS:
        student = STUDENT[:1].clone().requires_grad_()
        made = top_k(student, ids, chances, beta)
        made.sum().backward()
        assert 0 <= made.item() < 20
        assert student.grad is not None
        assert student.grad.isfinite().all()
