"""Counts over all cases: mistakes by kind with an example of each, lengths, tokens."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stages.reporting.cases import KEPT, TEACHER, UNUSED, Case
from stages.reporting.mistakes import KINDS

SHORT = 900
"""Characters of an example that is read at a glance."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class Lengths:
    """Of the teacher's rationales for one task under one strategy."""

    kept: array[int] = field(default_factory=lambda: array("L"))
    dropped: array[int] = field(default_factory=lambda: array("L"))
    tokens: int = 0
    prompt_tokens: int = 0

    def told(self) -> Iterator[dict[str, Any]]:
        """Quantiles of the characters, of what is kept and what is dropped."""
        for name, values in (("kept", self.kept), ("dropped", self.dropped)):
            if values:
                ordered = sorted(values)
                marks = [ordered[round(part * (len(ordered) - 1))] for part in QUANTILES]
                yield {"fate": name, "n": len(ordered), **dict(zip(NAMES, marks, strict=True))}


NAMES = ("q05", "q25", "q50", "q75", "q95")


class Study:
    """What all cases come to."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.kinds: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], Case] = {}
        self.lengths: dict[tuple[str, str], Lengths] = {}

    def add(self, case: Case) -> None:
        """Count one."""
        self.total[case.writer] += 1
        if case.kind:
            key = case.kind, case.writer
            self.kinds[key] += 1
            held = self.examples.get(key)
            if held is None or len(case.text) <= SHORT < len(held.text):
                self.examples[key] = case
        if case.writer == TEACHER:
            lengths = self.lengths.setdefault((case.task, case.strategy), Lengths())
            (lengths.kept if case.fate in (KEPT, UNUSED) else lengths.dropped).append(
                len(case.text)
            )
            lengths.tokens += case.tokens
            lengths.prompt_tokens += case.prompt_tokens

    @property
    def writers(self) -> list[str]:
        """In the order in which they came."""
        return list(self.total)

    def wrong(self, writer: str) -> int:
        """All of a writer's mistakes."""
        return sum(count for (_, who), count in self.kinds.items() if who == writer)

    def found(self) -> list[str]:
        """The kinds that there are, in their order."""
        return [kind for kind in KINDS if any(kind == name for name, _ in self.kinds)]

    def example(self, kind: str) -> Case:
        """One of a kind: a student's before the teacher's, as there are more readers for it."""
        held = {writer: case for (name, writer), case in self.examples.items() if name == kind}
        return min(held.values(), key=lambda case: (len(case.text) > SHORT, case.writer == TEACHER))
