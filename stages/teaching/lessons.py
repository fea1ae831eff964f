"""What the probe lets the student learn: a few rationales of right answers under each candidate.

They are asked for exactly as ``teach`` asks, so that ``teach`` finds them held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from stages.core.jsonl import read_rows
from stages.scoring.judge import judge
from stages.spec.model import Params
from stages.spec.render import render_text
from stages.teaching.chain import Record
from stages.teaching.rationales import verified
from stages.teaching.teacher import Rows, Teacher

LEAST = 0.25
"""A candidate with right rationales for a smaller share of the best-served one's rows is set aside,
since all would have to be trained on as few."""
SHARED = 0.5
"""The rows that all candidates have in common are taken when they are at least this share of those
of the worst-served one."""


@dataclass(frozen=True)
class Taught:
    """What the student learns of one task.

    Args:
        rows: Rows that each candidate is learned from.
        same_rows: Whether they are the same ones under each.
        right: Rows with a rationale of a right answer, by candidate.
        set_aside: Candidates that are not tried, for want of such rows.
        lessons: By candidate that is tried: rows as in ``build/mix``.
    """

    rows: int
    same_rows: bool
    right: Mapping[str, int]
    set_aside: Sequence[str]
    lessons: Mapping[str, Sequence[Record]]

    def told(self) -> dict[str, Any]:
        """All but the lessons, for the evidence."""
        return {key: value for key, value in asdict(self).items() if key != "lessons"}


@dataclass
class Lessons:
    """Rationales sorted out as they come in.

    Args:
        suite: ``lessons.json`` of the suite: `tasks` with `answer` and `candidates`, `targets`.
        most: Rows that a candidate is learned from, at most.
    """

    suite: Mapping[str, Any]
    most: int
    _right: dict[tuple[str, str], dict[str, Record]] = field(default_factory=dict)
    _shared: Counter[str] = field(default_factory=Counter)

    def candidates(self) -> dict[str, list[str]]:
        """By task, the strategies that are tried."""
        return {name: task["candidates"] for name, task in self.suite["tasks"].items()}

    def lacks(self, task: str) -> bool:
        """Whether some candidates of the task have too few rows in common."""
        return self._shared[task] < self.most

    def add(self, row: Mapping[str, Any], record: Record) -> None:
        """Keep a row's rationale when its answer is right, as the student is to write it."""
        name, strategy = record["task"], record["strategy"]
        task = self.suite["tasks"][name]
        if not verified(record, row, task):
            return
        said = judge(record["completion"], row, task).rationale
        values = {**row["variables"], "rationale": said, "answer": row["answer"]}
        self._right.setdefault((name, strategy), {})[row["id"]] = {
            "id": row["id"],
            "messages": row["student"].get(strategy, row["student"]["answers"]),
            "completion": render_text(self.suite["targets"][strategy], values),
        }
        if row["id"] in self._common(name, task["candidates"], [row["id"]]):
            self._shared[name] += 1

    def of(self, task: str) -> Taught:
        """The same number of rows for each candidate, and the same rows where that is possible."""
        candidates = self.suite["tasks"][task]["candidates"]
        right = {name: self._right.get((task, name), {}) for name in candidates}
        counts = {name: min(len(held), self.most) for name, held in right.items()}
        least = max(1.0, LEAST * max(counts.values(), default=0))
        tried = [name for name in candidates if counts[name] >= least]
        common = self._common(task, tried, right[tried[0]])[: self.most] if tried else []
        fewest = min((counts[name] for name in tried), default=0)
        same = len(common) >= SHARED * fewest
        return Taught(
            rows=len(common) if same else fewest,
            same_rows=same,
            right={name: len(held) for name, held in right.items()},
            set_aside=[name for name in candidates if name not in tried],
            lessons={
                name: [right[name][row] for row in (common if same else list(right[name])[:fewest])]
                for name in tried
            },
        )

    def _common(self, task: str, candidates: Sequence[str], rows: Iterable[str]) -> list[str]:
        held = [self._right.get((task, name), {}) for name in candidates]
        return [row for row in rows if all(row in other for other in held)]


def asked(rows: Iterable[Mapping[str, Any]], tasks: Iterable[str], most: int) -> Iterator[Any]:
    """The rows that a teacher who is asked answers for the probe: the first ones of each task."""
    left = dict.fromkeys(tasks, most)
    for row in rows:
        if left.get(row["task"], 0):
            left[row["task"]] -= 1
            yield row


def learn(top: Path, params: Params, suite: str, lessons: Lessons) -> list[Record]:
    """Fill the lessons; returns every rationale, as ``build/rationales`` holds them.

    Raises:
        UserError: E603 for a candidate without any answer on record, and what engines raise.
    """
    train = top / f"build/compiled/suites/{suite}/train.jsonl"
    candidates = lessons.candidates()
    if not candidates:  # and then no teacher is needed
        return []
    seen: dict[str, Mapping[str, Any]] = {}
    made: list[Record] = []

    def needed() -> Iterator[Mapping[str, Any]]:
        # recorded rationales are pulled one by one, so `lessons` knows of all rows before this one
        for row in read_rows(train):
            if row["task"] in candidates and lessons.lacks(row["task"]):
                seen[row["id"]] = row
                yield row

    with Teacher.of(top, params, suite, lessons.suite["tasks"]) as teacher:
        rows: Rows = needed
        if teacher.recorded is None:
            seen |= {row["id"]: row for row in asked(read_rows(train), candidates, lessons.most)}
            rows = partial(iter, list(seen.values()))
        for record in teacher.rationales(rows, candidates, {"samples": 1}):
            lessons.add(seen[record["id"]], record)
            made.append(record)
    return made
