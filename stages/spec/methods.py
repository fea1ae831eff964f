"""The methods of both papers by name, and the texts that a student can be trained on.

A method is a name for settings of a run in ``params.yaml``; a run that states one of them itself
has it its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

NOTHING, ANSWERS, SELECTED, TEACHER_BEST = "nothing", "answers", "selected", "teacher_best"
KINDS = (NOTHING, ANSWERS, SELECTED, TEACHER_BEST)
"""What a run trains on, where that is no strategy's id."""
ERASED, KEPT = "erased", "kept"
"""How a student is prompted, where that is no strategy's id."""

METHODS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "zero_shot": {"train_on": NOTHING},
        "zero_shot_cot": {"train_on": NOTHING, "prompt": "zero_shot_cot"},
        "few_shot_cot": {"train_on": NOTHING, "prompt": "few_shot_cot"},
        "fine_tune": {"train_on": ANSWERS},
        "fine_tune_cot": {"train_on": "zero_shot_cot"},
        "orca2": {"train_on": SELECTED},
        "orca2_unerased": {"train_on": SELECTED, "prompt": KEPT},
        "teacher_best": {"train_on": TEACHER_BEST},
    }
)
"""Fine-tune-CoT: Ho et al. 2022 (arXiv 2212.10071), section 3 and its baselines. Orca 2: Mitra et
al. 2023 (arXiv 2311.11045), section 4; the last two change one thing in it each."""


@dataclass(frozen=True)
class Format:
    """Templates of what the student reads and writes, in place of its chat template's turns.

    Args:
        user: The prompt.
        rationale: What follows it where the student learns rationales.
        answer: What follows it where the student learns answers alone.
        marker: The words behind which the answer stands after a rationale.
        stop: The words that end it.
    """

    user: str
    rationale: str
    answer: str
    marker: str
    stop: str

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template the format names."""
        return (self.user, self.rationale, self.answer)

    def extract(self, train_on: str, rules: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Extraction rules for a student that writes in this format: its own before the task's."""
        if train_on == NOTHING:
            return rules
        return [{"whole": True} if train_on == ANSWERS else {"after": self.marker}, *rules]


FORMATS: Mapping[str, Format | None] = MappingProxyType(
    {
        "chat": None,
        "text": Format(
            "student/text.user.j2",
            "student/text.rationale.j2",
            "student/text.answer.j2",
            "-->",
            " END",
        ),
    }
)
"""``text`` is the format of the published code of Fine-tune-CoT; it needs no chat template."""


def settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run of ``params.yaml`` with what its method stands for filled in."""
    return {**METHODS.get(run.get("method", ""), {}), **run}
