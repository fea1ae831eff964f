"""Answers that come into a store, out of files and out of other stores.

They are added, and nothing that is held is replaced. An answer that was bought here and elsewhere
is held once; what the other one cost is booked as lost.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from stages.core.errors import Problem, UserError, user_error
from stages.core.jsonl import digest
from stages.engines.shard_lines import (
    MANY,
    SHOWN,
    BadError,
    Fields,
    all_rows,
    damaged,
    first,
    lenient,
    read,
    sound,
)
from stages.engines.store import Store
from stages.engines.tables import SCHEMA

TWICE = "bought twice"
LEFT = "it was left out and is asked again when it is wanted; all that is sound was taken over"

Counts = Counter[str]
"""Answers that were `added`, that were `held` before, and how many of these were bought `twice`."""

_BOUGHT = ("key", "max_tokens", "top_logprobs", "created", "text")


def load(store: Store, paths: Sequence[Path]) -> Counts:
    """Add what shards hold; nothing is added before all of them are known to be sound.

    Raises:
        UserError: E615, with a problem for each bad line.
    """
    problems = list[Problem]()
    for path in paths:
        problems += first(item for item in read(path) if isinstance(item, Problem))
    if problems:
        raise UserError(problems)

    def rows() -> Iterator[Fields]:
        for item in chain.from_iterable(map(read, paths)):
            if isinstance(item, Problem):  # the file was changed after the first reading
                raise UserError([item])
            yield item

    return _add(store, rows())


def merge(store: Store, path: Path) -> tuple[Counts, list[Problem]]:
    """Add what is sound in another store; that store is left as it is.

    Returns:
        What came in, with the rows that did not as `left`, and E616 for the first of those.

    Raises:
        UserError: E602 when `path` is no store, or cannot be read to its end; what was read
            before that stays added.
    """
    left, problems = Counts(), list[Problem]()

    def rows(other: Store) -> Iterator[Fields]:
        for row in all_rows(other):
            try:
                yield sound(row)[1]
            except BadError as bad:
                left["left"] += 1
                if len(problems) < SHOWN:
                    problems.append(damaged(path, row, bad, LEFT))

    with _copied(path, store.path.parent) as other:
        return _add(store, rows(other)) + left, problems


def _add(store: Store, rows: Iterable[Fields]) -> Counts:
    """A few at a time, so that no process that buys meanwhile has to wait for all."""
    counts, source = Counts(), iter(rows)
    while batch := list(islice(source, MANY)):
        with store.explained(), store.transaction():
            for row in batch:
                if "key" in row:
                    counts[_add_answer(store.db, row)] += 1
                elif not _is_held(store.db, row["id"]):
                    _put(store.db, "lost", row)
    counts["held"] += counts["twice"]
    return counts


def _add_answer(db: sqlite3.Connection, row: Fields) -> str:
    name = _purchase(*(row[part] for part in _BOUGHT))
    if _put(db, "completions", row):
        # another store, which held another answer, had booked this one as lost
        db.execute("DELETE FROM lost WHERE id = ?", (name,))
        return "added"
    if not row["usd"] or name in _purchases(db, row["key"]):
        return "held"
    money = {part: row[part] for part in ("created", "endpoint", "model", "usd")}
    return "twice" if _put(db, "lost", {"id": name, **money, "reason": TWICE}) else "held"


def _put(db: sqlite3.Connection, table: str, row: Fields) -> bool:
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    return db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row).rowcount > 0


def _purchase(key: str, *bought: Any) -> str:
    """Names one purchase; copies of an answer share the name."""
    return f"{TWICE} {key} {digest(bought)[:16]}"


def _purchases(db: sqlite3.Connection, key: str) -> set[str]:
    query = f"SELECT {', '.join(_BOUGHT)} FROM completions WHERE key = ?"
    return {_purchase(*row) for row in db.execute(query, (key,))}


def _is_held(db: sqlite3.Connection, name: str) -> bool:
    """Whether what another store booked as bought twice is the answer that this one holds."""
    return name.startswith(TWICE) and name in _purchases(db, name.split(" ")[-2])


class _Original(Store):
    """A store where it lies, only to be read."""

    def __init__(self, path: Path, mode: str) -> None:
        self.path = path
        with self.explained():
            uri = f"file:{quote(str(path.resolve()))}?{mode}"
            self.db = sqlite3.connect(uri, uri=True, isolation_level=None)

    def copy(self, path: Path) -> None:
        """Copy it, if it is a store of a known layout."""
        with self.explained(), closing(sqlite3.connect(path)) as copy:
            version = self._version()
            if not 1 <= version <= SCHEMA:
                message = "this is no response store"
                hint = "give the path of another clone's .cache/responses/responses.sqlite3"
                if version:
                    message = (
                        f"the response store has layout {version}, and this version of Tutelage "
                        f"knows layouts up to {SCHEMA}"
                    )
                    hint = "update Tutelage; the store was left as it is"
                raise user_error(str(self.path), "E602", message, hint)
            self.db.backup(copy)


@contextmanager
def _copied(path: Path, folder: Path) -> Iterator[Store]:
    """A copy of another store in the present layout, made below `folder`.

    To be read, an unused store would have to be locked, and SQLite would leave two files beside
    it. So it is read without a lock, and what was read counts only if nobody came meanwhile.
    """
    if not path.is_file():
        raise user_error(str(path), "E602", "there is no such file", "correct its path")
    before = _state(path)
    with TemporaryDirectory(prefix=".merge-", dir=folder) as made:
        copy = Path(made) / "copy.sqlite3"
        mode = "mode=ro" if before[0] else "immutable=1"
        with closing(_Original(path, mode)) as original:
            original.copy(copy)
        if not before[0] and _state(path) != before:
            message = "another process began to use this store while it was read"
            raise user_error(str(path), "E602", message, "run the same again")
        with Store(copy) as other:
            other.path, other.db.text_factory = path, lenient
            yield other


def _state(path: Path) -> tuple[bool, int, int]:
    """Whether a store is in use, or was when its process was killed; its size and its time."""
    file = path.resolve()
    stat = file.stat()
    return file.with_name(f"{file.name}-wal").exists(), stat.st_size, stat.st_mtime_ns
