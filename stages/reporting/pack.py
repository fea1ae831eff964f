"""Cases as the page's browser reads them: columns, what repeats stored once, gzip in base64."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from stages.reporting.cases import Case
from stages.reporting.marks import Span

MOST_ROWS = 30_000
MOST_BYTES = 64 * 2**20
"""Of texts, before they are packed; with more a browser is no longer fluent."""
_SURROGATE = re.compile("[\ud800-\udfff]")
NAMES = ("writer", "task", "strategy", "verdict", "fate", "kind")
"""Columns of few values, by which the page filters."""


def share(rows: int, size: int) -> float:
    """The part of the cases that a page holds.

    Args:
        rows: All of them.
        size: Bytes of their files.
    """
    return min(1.0, MOST_ROWS / max(rows, 1), MOST_BYTES / max(size, 1))


def drawn(case: Case, part: float) -> bool:
    """Whether it is in a share; what is in a share is in every larger one."""
    if part >= 1:
        return True
    name = "\n".join((case.writer, case.row, case.strategy, case.sample))
    found = blake2b(name.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(found, "big") < part * 2**64


class Table:
    """Each value once, by its number."""

    def __init__(self) -> None:
        self.values: dict[Any, int] = {}

    def __getitem__(self, value: Any) -> int:
        return self.values.setdefault(value, len(self.values))


class Pack:
    """Gathers cases; `columns` is then what JavaScript reads."""

    def __init__(self) -> None:
        self.names = {name: Table() for name in NAMES}
        self.questions, self.options, self.texts = Table(), Table(), Table()
        self._rows: dict[str, list[Any]] = {}
        self._prompts: dict[tuple[Any, ...], int] = {}
        self._asked: list[tuple[tuple[Any, ...], list[str], str]] = []

    def __len__(self) -> int:
        return len(self._rows.get("row", ()))

    def add(self, case: Case) -> None:
        """One row more."""
        put: dict[str, Any] = {
            name: table[getattr(case, name)] for name, table in self.names.items()
        }
        put |= {
            "row": case.row, "sample": case.sample, "question": self.questions[case.question],
            "options": self.options[tuple(case.options)], "gold": case.gold, "text": case.text,
            "mark": _units(case.text, case.span), "answer": case.answer, "note": case.note,
            "tokens": case.tokens, "prompt": self._prompt(case),
        }  # fmt: skip
        for name, value in put.items():
            self._rows.setdefault(name, []).append(value)

    def _prompt(self, case: Case) -> int:
        """The number of a prompt, and 0 for none; samples of a row share one."""
        if not case.messages:
            return 0
        roles = tuple(message["role"] for message in case.messages)
        group = (case.writer, case.task, case.strategy, roles)
        contents = [message["content"] for message in case.messages]
        key = (group, case.row)
        if key not in self._prompts:
            self._asked.append((group, contents, case.question))
            self._prompts[key] = len(self._asked)
        return self._prompts[key]

    def columns(self) -> dict[str, Any]:
        """All of it as plain data."""
        groups: dict[tuple[Any, ...], list[list[str]]] = {}
        for group, contents, _ in self._asked:
            groups.setdefault(group, []).append(contents)
        frames = {group: _frames(contents) for group, contents in groups.items()}
        number = {group: at for at, group in enumerate(frames)}
        asked = [
            [number[group], *self._middles(frames[group], contents, question)]
            for group, contents, question in self._asked
        ]
        return {
            "names": {name: list(table.values) for name, table in self.names.items()},
            "questions": list(self.questions.values),
            "options": [list(value) for value in self.options.values],
            "frames": [
                [[role, *ends] for role, ends in zip(group[3], each, strict=True)]
                for group, each in frames.items()
            ],
            "asked": asked,
            "texts": list(self.texts.values),
            "rows": self._rows,
        }

    def _middles(
        self, frame: Sequence[tuple[str, str]], contents: Sequence[str], question: str
    ) -> list[int]:
        """What stands between a frame's ends: 0 for the question itself, else a text's number."""
        made = []
        for (before, after), content in zip(frame, contents, strict=True):
            middle = content[len(before) : len(content) - len(after)]
            made.append(0 if middle == question else 1 + self.texts[middle])
        return made


def _frames(contents: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """What all prompts of a group begin and end with, by message."""
    made = []
    for column in zip(*contents, strict=True):
        low, high = min(column), max(column)
        before = _common(low, high)
        ends = [text[len(before) :][::-1] for text in column]
        after = _common(min(ends), max(ends))[::-1]
        made.append((before, after))
    return made


def _common(one: str, other: str) -> str:
    """What both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))]


def _units(text: str, span: Span | None) -> Sequence[int] | int:
    """A span in the units of JavaScript, which are of UTF-16; 0 for none."""
    if span is None:
        return 0
    return [len(text[:at].encode("utf-16-le", "surrogatepass")) // 2 for at in span]


def packed(columns: Mapping[str, Any]) -> str:
    """Base64 of the gzip of the JSON; lone surrogates, which UTF-8 has not, as their escapes."""
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
