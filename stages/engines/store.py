"""The response store: every paid or slow completion, durable before it counts, never evicted.

One SQLite file in WAL mode, outside DVC's outputs, shared by all stages and by experiments that
run beside each other.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from stages.core.errors import UserError, user_error
from stages.core.jsonl import canonical
from stages.engines.request import Answers, Completion, Request

SCHEMA = 1
WAIT = 60.0  # seconds that one process waits for another's commit
_CHUNK = 500  # old SQLite builds allow 999 variables in a statement
_TIGHT = 1 << 20  # bytes free below which an I/O error is taken for a full disk

# `text` and `error` are JSON strings: SQLite refuses the lone surrogates that a model can emit
_TABLE = """
CREATE TABLE IF NOT EXISTS completions (
    key TEXT NOT NULL,
    max_tokens INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    error TEXT NOT NULL,
    created TEXT NOT NULL,
    PRIMARY KEY (key, max_tokens)
)
"""
_PUT = f"INSERT OR IGNORE INTO completions VALUES ({', '.join('?' * 11)})"
_GET = """
SELECT key, max_tokens, text, finish_reason, prompt_tokens, completion_tokens, error
FROM completions WHERE key IN ({}) ORDER BY max_tokens
"""


def default_path() -> Path:
    """Under ``$DVC_ROOT``, which DVC points at the main workspace, so experiments share it."""
    root = Path(os.environ.get("DVC_ROOT") or ".")
    return root / ".cache" / "responses" / "responses.sqlite3"


def serves(limit: int, completion: Completion, request: Request) -> bool:
    """Whether `completion`, asked under `limit` tokens, is what `request` would have got.

    The key says nothing of the limit, so this does. An answer that ended by itself within the
    limit stays right under any limit. One that was cut short is right for its own limit only. A
    refusal stays one under a higher limit, whereas a lower one can be the cure.
    """
    if limit == request.max_tokens:
        return True
    if completion.error:
        return limit < request.max_tokens
    return (
        completion.finish_reason != "length" and completion.completion_tokens <= request.max_tokens
    )


class Store:
    """The store at `path`, made on first use. A context manager; belongs to one thread.

    Raises:
        UserError: From every method: E601 the disk is full, E602 the store cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
        try:
            with self._explained():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was put is on disk already."""
        self._db.close()

    def get_many(self, requests: Sequence[Request]) -> dict[str, Completion]:
        """Held completions by request key; a request without one has no entry.

        Of several that answer, the one asked under the very same limit is taken, else the one
        asked under the lowest.
        """
        found: dict[str, Completion] = {}
        for start in range(0, len(requests), _CHUNK):
            chunk = {request.key: request for request in requests[start : start + _CHUNK]}
            with self._explained():
                marks = ", ".join("?" * len(chunk))
                rows = self._db.execute(_GET.format(marks), list(chunk)).fetchall()
                for key, limit, text, reason, prompt, tokens, error in rows:
                    held = Completion(json.loads(text), reason, prompt, tokens, json.loads(error))
                    request = chunk[key]
                    same = limit == request.max_tokens
                    if same or (key not in found and serves(limit, held, request)):
                        found[key] = held
        return found

    def put_many(self, pairs: Answers) -> None:
        """Make all the answers durable, or none; one that is already held is left as it is."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        rows = [
            (
                request.key,
                request.max_tokens,
                request.endpoint,
                request.model,
                canonical(request.identity()),
                canonical(completion.text),
                completion.finish_reason,
                completion.prompt_tokens,
                completion.completion_tokens,
                canonical(completion.error),
                now,
            )
            for request, completion in pairs
        ]
        with self._explained(), self._transaction():
            self._db.executemany(_PUT, rows)

    def count(self) -> dict[tuple[str, str], int]:
        """Held completions by (endpoint, model)."""
        query = "SELECT endpoint, model, COUNT(*) FROM completions GROUP BY endpoint, model"
        with self._explained():
            return {(endpoint, model): n for endpoint, model, n in self._db.execute(query)}

    def _prepare(self) -> None:
        version = self._version()
        if version > SCHEMA:
            raise user_error(
                str(self.path),
                "E602",
                f"the response store has layout {version}, and this version of Tutelage knows "
                f"layouts up to {SCHEMA}",
                "update Tutelage; the store was left as it is",
            )
        self._journal()
        self._db.execute("PRAGMA synchronous = FULL")
        if version < SCHEMA:
            with self._transaction():
                self._db.execute(_TABLE)
                self._db.execute(f"PRAGMA user_version = {SCHEMA}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _journal(self) -> None:
        # SQLite does not wait for a second process that makes the same switch, so this does
        for attempt in range(100):
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or attempt == 99:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # a full disk makes SQLite roll back by itself
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise _explain(self.path, error) from None


def _explain(path: Path, error: Exception) -> UserError:
    name, reason = str(path), str(error)
    if isinstance(error, OSError):
        reason = error.strerror or reason
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    else:
        full = "is full" in reason or ("I/O error" in reason and _free(path) < _TIGHT)
    if full:
        return user_error(
            name,
            "E601",
            "no space left on the disk that holds the response store",
            "free some space and run `dvc repro` again; everything stored before is kept",
        )
    if "locked" in reason:
        return user_error(
            name,
            "E602",
            f"another process kept the response store locked for {WAIT:.0f} s",
            "wait for it or stop it, then run `dvc repro` again",
        )
    if isinstance(error, OSError) or "readonly" in reason or "unable to open" in reason:
        return user_error(
            name,
            "E602",
            f"the response store cannot be written: {reason}",
            "make the file and its folder writable; nothing was lost",
        )
    return user_error(
        name,
        "E602",
        f"the response store cannot be read: {reason}",
        "put a good copy in its place, or move it aside without deleting it, as it may hold paid "
        "answers; a new one is made on the next run",
    )


def _free(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return _TIGHT
