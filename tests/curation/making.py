"""Rows and rationales small enough to be read, and what the filters make of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stages.curation.cases import Case
from stages.curation.decide import Decide
from stages.curation.decontaminate import Questions
from stages.curation.lines import dropped_lines, kept_lines
from stages.curation.measure import Measure
from stages.curation.settings import Settings
from stages.curation.tally import Tally

RULES = [{"after": "The answer is"}]
TASKS = {
    name: {"answer": {"type": kind, "extract": RULES}}
    for name, kind in {
        "sums": "number", "names": "letters", "spans": "f1", "lists": "list", "coins": "yes_no",
    }.items()
}  # fmt: skip
TEXTS = [
    "First we add the two jars on the shelf and then the two in the box.",
    "Counting one by one gives a total which is easy to see.",
    "Double the number of pears, since both baskets hold equally many.",
    "Nothing was sold before noon so all that arrived must still remain here.",
    "Take away what is left over and divide by how many people came.",
]


def row(number: int = 0, **values: Any) -> dict[str, Any]:
    task = values.get("task", "sums")
    return {
        "id": f"{task}/train/{number}", "task": task, "question": f"What is {number} and 4?",
        "gold": "4", "answer": values.get("gold", "4"), "options": [], "worked": {}, **values,
    }  # fmt: skip


def item(
    of: dict[str, Any], sample: int = 0, text: str = TEXTS[0], said: str = "4", **values: Any
) -> dict[str, Any]:
    return {
        "id": of["id"], "task": of["task"], "strategy": "steps", "sample": sample,
        "completion": f"{text} The answer is {said}." if said else text,
        "finish_reason": "stop", "error": "", **values,
    }  # fmt: skip


def samples(of: dict[str, Any], *texts: str, said: str = "4") -> Case:
    """A row with one right rationale for each text."""
    return Case(of, [item(of, number, text, said) for number, text in enumerate(texts)])


class Made:
    """What the filters make of some cases."""

    def __init__(
        self, cases: Sequence[Case], *, tests: Iterable[dict[str, Any]] = (),
        tokenizer: Path = Path(), sound: Any = None, **section: Any,
    ) -> None:  # fmt: skip
        settings = Settings.of({"filter": "answer", **section}, Path())
        if sound is not None:
            settings = Settings(**{**vars(settings), "sound": frozenset(sound)})
        questions = None
        if settings.ngram is not None:
            questions = Questions(tests, settings.ngram, settings.common)
        measure, decide = Measure(settings, TASKS, questions, tokenizer), Decide(settings, Path())
        self.tally = Tally(TASKS)
        self.kept: list[dict[str, Any]] = []
        self.dropped: list[dict[str, Any]] = []
        for case, rationales in zip(cases, measure(cases), strict=True):
            outcomes = decide(case, rationales)
            self.tally.add(case.row, outcomes)
            self.kept += map(json.loads, kept_lines(case, outcomes))
            self.dropped += map(json.loads, dropped_lines(case, outcomes))

    @property
    def names(self) -> list[tuple[int, Any]]:
        """Row and sample of each training row."""
        return [(int(line["id"].split("/")[-1]), line["sample"]) for line in self.kept]

    @property
    def reasons(self) -> list[tuple[int, Any, str]]:
        """Row, sample and reason of each that was dropped."""
        return [
            (int(line["id"].split("/")[-1]), line["sample"], line["reason"])
            for line in self.dropped
        ]
