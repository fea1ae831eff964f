"""What a student is trained to match: tokens, or a teacher's probabilities as well (family E5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from stages.core.errors import Problem
from stages.spec.document import Document
from stages.spec.methods import ANSWERS, NOTHING, settings

SFT, JSD = "sft", "jsd"
BETAS: Mapping[str, float | None] = MappingProxyType(
    {SFT: None, "forward_kl": 0.0, "reverse_kl": 1.0, JSD: None}
)
"""The losses by name, and the beta that a Kullback-Leibler divergence stands for."""
SOFT = tuple(name for name in BETAS if name != SFT)
READ_BY = MappingProxyType(
    {"beta": (JSD,), "temperature": SOFT, "hard_weight": SOFT, "on_policy": SOFT}
)
"""The losses that read a key of ``train``."""


@dataclass(frozen=True)
class Loss:
    """The keys of ``train`` that make the loss, with their defaults.

    Args:
        name: A key of `BETAS`.
        beta: Of the generalised Jensen-Shannon divergence, from 0 to 1.
        temperature: Divides the logits of both models in the divergence.
        hard_weight: Share of the cross-entropy on the row's own tokens; the rest is the
            divergence.
        on_policy: Share of the steps on completions that the student itself samples.
    """

    name: str = SFT
    beta: float = 0.5
    temperature: float = 1.0
    hard_weight: float = 0.0
    on_policy: float = 0.0

    @staticmethod
    def of(train: Mapping[str, Any]) -> Loss:
        """From ``train`` with what a run states of it."""
        held = {key: train[key] for key in READ_BY if key in train}
        beta = BETAS[train["loss"]]
        return Loss(train["loss"], **held if beta is None else {**held, "beta": beta})

    @property
    def soft(self) -> bool:
        """Whether a teacher's probabilities are needed."""
        return self.name != SFT


def check_losses(document: Document) -> Iterator[Problem]:
    """E510: losses of a ``params.yaml`` of the right shape that cannot be had, each place once."""
    shared, teacher = document.data["train"], document.data["teacher"]
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    used = set[str]()
    for name, stated in document.data["runs"].items():
        run = settings(stated)
        if run.get("train_on") == NOTHING:
            continue
        own, path = run.get("train", {}), ("runs", name, "train")
        loss = Loss.of({**shared, **own})
        used.add(loss.name)
        if loss.soft:
            for key, told in _impossible(loss, run, name, teacher):
                found.setdefault((*path, key) if key in own else ("train", key), told)
        found |= _unread(own, path, {loss.name})
    found |= _unread(shared, ("train",), used)
    for place, told in found.items():
        yield document.problem(place, "E510", *told, key=place[-1] != "loss")


def _unread(
    stated: Mapping[str, Any], path: tuple[str, ...], used: set[str]
) -> dict[tuple[str, ...], tuple[str, str]]:
    """Keys that no loss reads, of those `used`."""
    return {
        (*path, key): (
            f"`{key}` is read by loss: {' or '.join(losses)} alone",
            "take it out, or change the loss",
        )
        for key, losses in READ_BY.items()
        if key in stated and not used & set(losses)
    }


def _impossible(
    loss: Loss, run: Mapping[str, Any], name: str, teacher: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """The key at fault, with message and hint."""
    if teacher["engine"] == "local":
        return
    recorded = teacher["engine"] == "recorded"
    if recorded or not teacher.get("top_logprobs"):
        cure = "" if recorded else "add teacher.top_logprobs, such as 20, or "
        yield "loss", (
            f"loss: {loss.name} needs the teacher's probabilities, and the {teacher['engine']} "
            f"teacher {'has none' if recorded else 'is not asked for them'}",
            f"{cure}write teacher.engine: local, or loss: sft",
        )  # fmt: skip
        return
    if run.get("train_on") == ANSWERS:
        yield "loss", (
            f"the run {name!r} trains on answers, of which nobody recorded probabilities",
            "train on a strategy, write loss: sft for this run, or take a local teacher",
        )  # fmt: skip
    if loss.temperature != 1:
        yield "temperature", (
            "recorded probabilities cannot be tempered, as only the first few are known",
            "take `temperature` out, or take a local teacher",
        )  # fmt: skip
    if loss.on_policy:
        yield "on_policy", (
            "only a local teacher can score what the student writes",
            "take `on_policy` out, or take a local teacher",
        )  # fmt: skip
