"""The recorded teacher: rationales that rows carry themselves, or that files of replies hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import UserError, user_error
from stages.core.jsonl import digest, read_rows

Record = dict[str, Any]
FILE = "recorded.jsonl"
"""In ``build/teacher``: the recordings that ``params.yaml`` names, one a line."""


def same_text(question: str) -> str:
    """Files differ in the blanks around and inside a question."""
    return " ".join(question.split())


class Recorded:
    """Rationales by question, by messages or by request key, in the order of the files.

    Args:
        folder: ``build/teacher``.
    """

    def __init__(self, folder: Path) -> None:
        self._found: dict[str, list[Record]] = {}
        file = folder / FILE
        for item in read_rows(file) if file.is_file() else ():
            name = item["key"] or digest(item["messages"] or same_text(item["question"]))
            self._found.setdefault(name, []).append(item)
            if item["key"] and item["messages"]:
                self._found.setdefault(digest(item["messages"]), []).append(item)

    def rationales(
        self,
        rows: Iterable[Mapping[str, Any]],
        strategies: Mapping[str, Sequence[str]],
        samples: int,
    ) -> Iterator[Record]:
        """The rationales of rows under each strategy, as `Asking.chain` makes them.

        Args:
            rows: Of ``train.jsonl``.
            strategies: By task.
            samples: D, at most; a row may have fewer on record.

        Raises:
            UserError: E603, after the last row, for each task and strategy with nothing on record.
        """
        held: dict[tuple[str, str], bool] = {}
        for row in rows:
            for strategy in strategies[row["task"]]:
                made = list(self._of(row, strategy))[:samples]
                key = row["task"], strategy
                held[key] = held.get(key, False) or bool(made)
                if not made:
                    made = [_record("", "error", 0, "the recorded teacher has no answer")]
                for sample, record in enumerate(made):
                    place = {"id": row["id"], "task": row["task"], "strategy": strategy}
                    yield {**place, "sample": sample, **record}
        bare = [f"{task} under {strategy}" for (task, strategy), there in held.items() if not there]
        if bare:
            raise UserError(
                user_error(
                    "params.yaml", "E603", f"the recorded teacher has no answer for {name}",
                    "record answers, or train only on strategies that were recorded",
                ).problems[0]
                for name in bare
            )  # fmt: skip

    def _of(self, row: Mapping[str, Any], strategy: str) -> Iterator[Record]:
        if strategy in row["worked"]:
            for text in (row["worked"][strategy], *row.get("more_worked", {}).get(strategy, ())):
                yield _record(text, "stop", 0, "")
        marker = row["variables"]["answer_marker"]
        pairs = [[m["role"], m["content"]] for m in row["prompts"][strategy]["messages"]]
        for name in (digest(same_text(row["question"])), digest(pairs)):
            for item in self._found.get(name, ()):
                if item["strategy"] in (None, strategy):
                    text = item["rationale"]
                    if item["answer"]:
                        text = f"{text.strip()}\n{marker} {item['answer'].strip()}"
                    yield _record(
                        text, item["finish_reason"], item["completion_tokens"], item["error"]
                    )


def _record(text: str, finish: str, tokens: int, error: str) -> Record:
    return {
        "completion": text,
        "finish_reason": finish,
        "completion_tokens": tokens,
        "error": error,
        "calls": [],
    }
