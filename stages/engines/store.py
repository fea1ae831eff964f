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
from typing import Any

from stages.core.errors import UserError, user_error
from stages.core.jsonl import canonical
from stages.engines.request import Answers, Completion, Request
from stages.engines.tables import BARE, GET, PUT, SCHEMA, create, migrate

WAIT = 60.0  # seconds that one process waits for another's commit
_CHUNK = 500  # old SQLite builds allow 999 variables in a statement
_TIGHT = 1 << 20  # bytes free below which an I/O error is taken for a full disk


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
        with self.explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
        try:
            with self.explained():
                self._prepare()
        except BaseException:
            self.db.close()
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
        self.db.close()

    def get_many(self, requests: Sequence[Request]) -> list[Completion | None]:
        """Held completions in the order of `requests`; None for a request without one.

        Of several that answer, the one asked under the very same limit is taken, else the one
        asked under the lowest.
        """
        found: list[Completion | None] = [None] * len(requests)
        for start in range(0, len(requests), _CHUNK):
            exact: set[int] = set()
            for places, limit, alternatives, row in self._rows(GET, requests, start):
                reason, spent, error, prompt, seconds, *texts = row
                text, reasoning, logprobs = map(_text, texts)
                held = Completion(
                    text, reason, prompt, spent, _text(error), reasoning, logprobs, seconds
                )
                for place in places:
                    request = requests[place]
                    if alternatives < request.top_logprobs and not held.error:
                        continue
                    same = limit == request.max_tokens and place not in exact
                    if same:
                        exact.add(place)
                    if same or (found[place] is None and serves(limit, held, request)):
                        found[place] = held
        return found

    def holds(self, requests: Sequence[Request]) -> list[bool]:
        """Whether each is held, without reading texts; for a plan over a million requests."""
        found = [False] * len(requests)
        for start in range(0, len(requests), _CHUNK):
            for places, limit, alternatives, row in self._rows(BARE, requests, start):
                reason, spent, error = row
                for place in places:
                    request = requests[place]
                    enough = alternatives >= request.top_logprobs or error != '""'
                    if enough and limit == request.max_tokens:
                        found[place] = True
                    elif enough and not found[place]:
                        held = Completion("", reason, 0, spent, _text(error))
                        found[place] = serves(limit, held, request)
        return found

    def _rows(
        self, query: str, requests: Sequence[Request], start: int
    ) -> Iterator[tuple[list[int], int, int, list[Any]]]:
        """(places in `requests`, limit, alternatives, the other columns) for a chunk's keys."""
        places: dict[str, list[int]] = {}
        for place in range(start, min(start + _CHUNK, len(requests))):
            places.setdefault(requests[place].key, []).append(place)
        with self.explained():
            marks = ", ".join("?" * len(places))
            rows = self.db.execute(query.format(marks), list(places)).fetchall()
        for key, limit, alternatives, *row in rows:
            yield places[key], limit, alternatives, row

    def put_many(self, pairs: Answers) -> None:
        """Make all the answers durable, or none; one that is already held is left as it is."""
        now = _now()
        rows = [
            (
                request.key, request.max_tokens, request.top_logprobs, completion.finish_reason,
                completion.prompt_tokens, completion.completion_tokens, completion.seconds,
                completion.usd, now, request.endpoint, request.model, request.about, request.row,
                request.prompt, request.system, canonical(completion.error),
                canonical(completion.text), canonical(completion.reasoning),
                canonical(completion.logprobs), canonical(request.identity()),
            )
            for request, completion in pairs
        ]  # fmt: skip
        with self.explained(), self.transaction():
            self.db.executemany(PUT, rows)

    def lose(self, name: str, endpoint: str, model: str, usd: float, reason: str) -> None:
        """Book money that no answer came of under a name of its own; booked again, it is replaced.

        Args:
            usd: 0 takes the entry out.
        """
        with self.explained(), self.transaction():
            self.db.execute("DELETE FROM lost WHERE id = ?", (name,))
            if usd:
                row = (name, _now(), endpoint, model, usd, reason)
                self.db.execute("INSERT INTO lost VALUES (?, ?, ?, ?, ?, ?)", row)

    def spent(self) -> float:
        """USD that were paid for what the store holds and for what was lost, in all."""
        with self.explained():
            queries = [f"SELECT TOTAL(usd) FROM {table}" for table in ("completions", "lost")]
            return float(sum(self.db.execute(query).fetchone()[0] for query in queries))

    def count(self) -> dict[tuple[str, str], int]:
        """Held completions by (endpoint, model)."""
        query = "SELECT endpoint, model, COUNT(*) FROM completions GROUP BY endpoint, model"
        with self.explained():
            return {(endpoint, model): n for endpoint, model, n in self.db.execute(query)}

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
        self.db.execute("PRAGMA synchronous = FULL")
        if version < SCHEMA:
            with self.transaction():
                # another process may have done it meanwhile
                version = self._version()
                if version == 0:
                    create(self.db)
                elif version == 1:
                    migrate(self.db)
                self.db.execute(f"PRAGMA user_version = {SCHEMA}")

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def _journal(self) -> None:
        # SQLite does not wait for a second process that makes the same switch, so this does
        for attempt in range(100):
            try:
                self.db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or attempt == 99:
                    raise
                time.sleep(0.02)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the statements inside, or none."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            # a full disk makes SQLite roll back by itself
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """SQLite's and the disk's failures as errors for the user."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise _explain(self.path, error) from None


def _text(stored: str) -> str:
    return str(json.loads(stored)) if stored != '""' else ""


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


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
