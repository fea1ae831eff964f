"""Divergences between a teacher's distribution over the next token and the student's, in nats.

Sources: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), for
the temperature and its square; Agarwal et al. 2023, "On-Policy Distillation of Language Models"
(arXiv 2306.13649, eq. 1), for the generalised Jensen-Shannon divergence.
"""

from __future__ import annotations

import math

import torch

FORWARD, REVERSE = 0.0, 1.0
"""Values of `beta` at which the divergence is KL(teacher ‖ student) and KL(student ‖ teacher)."""
NOTHING = -1
"""Stands for no token in a table of top-k ids."""
RAREST = -20.0
"""Recorded alternatives of a lower log-probability are left to the tail. Servers write -9999 and
the like for what they do not know."""
_TAIL = 1e-6  # the least tail: recorded values are rounded, and of nothing no logarithm is taken
_LOW = -1e4  # the logarithm of nothing, that can be multiplied by nothing


def divergence(student: torch.Tensor, teacher: torch.Tensor, beta: float) -> torch.Tensor:
    """Generalised Jensen-Shannon divergence of each position.

    With the mixture M = beta·teacher + (1 - beta)·student it is
    beta·KL(teacher ‖ M) + (1 - beta)·KL(student ‖ M). That is 0 at both ends, so there the limits
    of its quotient by beta and by 1 - beta are taken, as TRL does: see `FORWARD` and `REVERSE`.

    Args:
        student: Log-probabilities, (…, outcomes).
        teacher: The same of the teacher.
        beta: From 0 to 1.

    Returns:
        Nats, (…).
    """
    if beta == FORWARD:
        return _kl(teacher, student)
    if beta == REVERSE:
        return _kl(student, teacher)
    mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)


def full(
    student: torch.Tensor, teacher: torch.Tensor, beta: float, temperature: float
) -> torch.Tensor:
    """`divergence` over the whole vocabulary, by the square of the temperature.

    The square keeps the gradient's size, so that a weight beside the cross-entropy means the same
    at every temperature (Hinton et al., section 2).

    Args:
        student: Logits, (positions, vocabulary).
        teacher: The same; a wider one's columns behind the shared ones, which pad a vocabulary to
            a round size, are left out.
        beta: As `divergence`.
        temperature: Divides both logits.

    Returns:
        Nats, (positions,).
    """
    shared = min(student.shape[-1], teacher.shape[-1])
    of_student, of_teacher = (
        (logits[:, :shared].float() / temperature).log_softmax(-1) for logits in (student, teacher)
    )
    return temperature**2 * divergence(of_student, of_teacher, beta)


def top_k(
    student: torch.Tensor, ids: torch.Tensor, logprobs: torch.Tensor, beta: float
) -> torch.Tensor:
    """`divergence` over the recorded tokens and one further outcome, the tail: any other token.

    It is at most that over the whole vocabulary, and equal to it where all of it is recorded.

    Args:
        student: Logits, (positions, vocabulary).
        ids: Of the recorded tokens, (positions, k), those of a position distinct; `NOTHING` where
            there are fewer.
        logprobs: The teacher's, (positions, k).
        beta: As `divergence`.

    Returns:
        Nats, (positions,).
    """
    student = student.float()
    held = (ids != NOTHING) & (logprobs > RAREST)
    # an unused place repeats the most probable one, so that filling it takes out nothing more
    most = logprobs.masked_fill(~held, -math.inf).argmax(-1, keepdim=True)
    places = torch.where(held, ids, ids.gather(-1, most)).clamp_min(0)
    whole = student.logsumexp(-1, keepdim=True)
    of_student = (student.gather(-1, places) - whole).masked_fill(~held, _LOW)
    rest = student.scatter(-1, places, _LOW).logsumexp(-1, keepdim=True) - whole
    mass = logprobs.exp().masked_fill(~held, 0.0).sum(-1, keepdim=True)
    # the recorded ones sum to one minus the tail, whatever rounding made of them
    excess = (mass / (1 - _TAIL)).clamp_min(1).log()
    of_teacher = (logprobs - excess).masked_fill(~held, _LOW)
    tail = (1 - mass).clamp_min(_TAIL).log()
    return divergence(
        torch.cat([of_student, rest.clamp_min(math.log(_TAIL))], -1),
        torch.cat([of_teacher, tail], -1),
        beta,
    )


def _kl(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one.exp() * (one - other)).sum(-1)
