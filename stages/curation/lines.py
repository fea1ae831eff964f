"""Lines of ``build/curated`` and ``build/yield``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from stages.core.jsonl import canonical
from stages.curation.cases import Case
from stages.curation.decide import Outcome
from stages.curation.judged import Rationale
from stages.curation.settings import KEPT, WORKED


def kept_lines(case: Case, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What the student is trained on of a row."""
    for outcome in outcomes:
        for one in (*outcome.kept, *outcome.added):
            line = {**_place(case, one), "rationale": one.text, "answer": one.answer}
            if one.copy:
                line["copy"] = one.copy
            yield canonical(line) + "\n"


def dropped_lines(case: Case, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What it is not trained on, and why."""
    texts = {(item["strategy"], item["sample"]): item["completion"] for item in case.items}
    for outcome in outcomes:
        for one in outcome.samples:
            if one.reason == KEPT:
                continue
            text = texts.get((one.strategy, one.sample))
            line = {
                **_place(case, one),
                "reason": one.reason,
                "answer": one.found,
                "gold": case.row["gold"],
                "completion": case.row["worked"][one.strategy] if one.sample == WORKED else text,
            }
            if one.overlap:
                line["overlap"] = asdict(one.overlap)
            if one.near:
                line["near"] = one.near
            yield canonical(line) + "\n"


def _place(case: Case, one: Rationale) -> dict[str, Any]:
    return {
        "id": case.row["id"],
        "task": case.row["task"],
        "strategy": one.strategy,
        "sample": one.sample,
    }
