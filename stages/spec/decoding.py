"""How a student answers a test question: once and greedily, or in several samples (family E5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stages.core.errors import Problem
from stages.spec.document import Document

GREEDY = 0.0


@dataclass(frozen=True)
class Decoding:
    """The section ``evaluate`` of ``params.yaml`` with its defaults.

    Args:
        max_tokens: Limit on each answer, in new tokens.
        samples: Answers to each question.
        temperature: `GREEDY`, or what answers are drawn at.
        top_p: Share of the probability mass that they are drawn from, in (0, 1].
        ks: For how many samples pass@k and maj@k are told; each from 1 to `samples`.
    """

    max_tokens: int
    samples: int = 1
    temperature: float = GREEDY
    top_p: float | None = None
    ks: tuple[int, ...] = (1,)

    @staticmethod
    def of(section: Mapping[str, Any]) -> Decoding:
        """From checked YAML data."""
        samples = section.get("samples", 1)
        return Decoding(
            section["max_tokens"],
            samples,
            section.get("temperature", GREEDY),
            section.get("top_p"),
            tuple(sorted(section.get("ks") or _powers(samples))),
        )

    @property
    def values(self) -> dict[str, float]:
        """What alters an answer beside its limit; nothing where it is greedy."""
        if self.temperature == GREEDY:
            return {}
        made = {"temperature": self.temperature}
        return made if self.top_p is None else {**made, "top_p": self.top_p}


def _powers(samples: int) -> list[int]:
    """1, 2, 4, … up to `samples`, and `samples` itself."""
    return [*(2**power for power in range((samples - 1).bit_length())), samples]


def check_decoding(document: Document) -> Iterator[Problem]:
    """E507: what the section ``evaluate`` of a ``params.yaml`` of the right shape gets wrong."""
    section = document.data["evaluate"]
    samples, path = section.get("samples", 1), ("evaluate",)
    if samples > 1 and section.get("temperature", GREEDY) == GREEDY:
        stated = "temperature" if "temperature" in section else "samples"
        yield document.problem(
            (*path, stated), "E507", f"at temperature 0 all {samples} samples are the same answer",
            "write a temperature above 0, such as 0.7, or samples: 1",
        )  # fmt: skip
    for index, k in enumerate(section.get("ks") or ()):
        if k > samples:
            told = "there is 1 sample" if samples == 1 else f"there are {samples} samples"
            yield document.problem(
                (*path, "ks", index), "E507", f"k is {k}, and {told} of each question",
                f"raise evaluate.samples to {k}, or leave this k out",
            )  # fmt: skip
