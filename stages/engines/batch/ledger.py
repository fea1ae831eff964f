"""What the store knows of batches at a provider: noted before they are submitted, till they ended.

A batch goes through the states ``intended`` (nothing was submitted), ``sending`` (the call that
submits it may have arrived), ``open`` (the provider's id is known) and ``ended``. What it may cost
is booked as lost money from the start, so that every budget over this store counts it.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from stages.core.jsonl import canonical
from stages.engines.prices import Price
from stages.engines.request import Request
from stages.engines.store import Store
from stages.engines.tables import rebuild

INTENDED, SENDING, OPEN, ENDED = "intended", "sending", "open", "ended"


@dataclass(frozen=True)
class Row:
    """A batch that has not ended.

    Args:
        name: Its own id, which the provider was given as metadata.
        model: That is asked.
        state: ``intended``, ``sending`` or ``open``.
        age: Seconds since that state began.
        file: The provider's id of the uploaded file; empty while it is only intended.
        batch: The provider's id; empty until it is known.
        price: At which it was submitted.
    """

    name: str
    model: str
    state: str
    age: float
    file: str
    batch: str
    price: Price


class Ledger:
    """The batches of one endpoint in a store.

    Raises:
        UserError: From every method: E601 the disk is full, E602 the store cannot be used.
    """

    def __init__(self, store: Store, endpoint: str) -> None:
        self._store, self._endpoint = store, endpoint

    def intend(self, requests: Sequence[Request], price: Price, usd: float) -> Row:
        """Note durably that a batch is to be submitted.

        Args:
            requests: In no batch that has not ended.
            price: That holds for it.
            usd: The most that it can cost, which is booked at once.
        """
        name, model = uuid.uuid4().hex, requests[0].model
        prices = price.prompt, price.completion
        batch = (name, self._endpoint, model, INTENDED, _now(), "", "", *prices)
        rows = [
            (
                request.key, name, request.max_tokens, request.top_logprobs, request.about,
                request.row, canonical(request.identity()),
            )
            for request in requests
        ]  # fmt: skip
        with self._changed() as db:
            db.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", batch)
            db.executemany("INSERT INTO batch_requests VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._book(db, name, model, usd, "a batch that has not ended")
        return Row(name, model, INTENDED, 0.0, "", "", price)

    def sending(self, name: str, file: str) -> None:
        """Note the uploaded file's id; the call that submits the batch is about to be made."""
        with self._changed() as db:
            values = (SENDING, _now(), file, name)
            db.execute("UPDATE batches SET state = ?, since = ?, file = ? WHERE id = ?", values)

    def opened(self, name: str, batch: str) -> None:
        """Note the provider's id of a batch."""
        with self._changed() as db:
            values = (OPEN, _now(), batch, name)
            db.execute("UPDATE batches SET state = ?, since = ?, batch = ? WHERE id = ?", values)

    def end(self, row: Row, usd: float = 0.0) -> None:
        """Let go of a batch and of its requests, whose answers are in the store by now.

        Args:
            row: The batch.
            usd: What was paid, or may have been, for requests that no answer came of.
        """
        with self._changed() as db:
            now = (ENDED, _now(), row.name)
            db.execute("UPDATE batches SET state = ?, since = ? WHERE id = ?", now)
            db.execute("DELETE FROM batch_requests WHERE id = ?", (row.name,))
            self._book(db, row.name, row.model, usd, "requests of a batch that failed")

    def rows(self) -> list[Row]:
        """Every batch that has not ended, oldest first."""
        columns = "id, model, state, since, file, batch, prompt_price, completion_price"
        query = f"SELECT {columns} FROM batches WHERE endpoint = ? AND state != ? ORDER BY rowid"
        with self._store.explained():
            found = self._store.db.execute(query, (self._endpoint, ENDED)).fetchall()
        now = datetime.now(timezone.utc)
        rows = []
        for name, model, state, since, file, batch, prompt, completion in found:
            age = (now - datetime.fromisoformat(since)).total_seconds()
            price = Price(prompt, completion, "the batch")
            rows.append(Row(name, model, state, age, file, batch, price))
        return rows

    def requests(self, name: str) -> list[Request]:
        """The requests of a batch that has not ended."""
        query = (
            "SELECT request, max_tokens, top_logprobs, about, row FROM batch_requests "
            "WHERE id = ? ORDER BY rowid"
        )
        with self._store.explained():
            return [rebuild(*row) for row in self._store.db.execute(query, (name,))]

    def holder(self, key: str) -> str:
        """Own id of the batch that holds a request and has not ended; empty when there is none."""
        query = "SELECT id FROM batch_requests WHERE key = ?"
        with self._store.explained():
            found = self._store.db.execute(query, (key,)).fetchone()
        return str(found[0]) if found else ""

    def stale(self) -> bool:
        """Whether a batch is open though each of its requests has an answer in the store."""
        query = (
            "SELECT 1 FROM batches WHERE endpoint = ? AND state = ? AND NOT EXISTS (SELECT 1 "
            "FROM batch_requests LEFT JOIN completions USING (key) "
            "WHERE batch_requests.id = batches.id AND completions.key IS NULL)"
        )
        with self._store.explained():
            return bool(self._store.db.execute(query, (self._endpoint, OPEN)).fetchone())

    def count(self) -> tuple[int, int]:
        """Requests that are with the provider, or may be, and the batches that they are in."""
        query = (
            "SELECT COUNT(*), COUNT(DISTINCT id) FROM batch_requests JOIN batches USING (id) "
            "WHERE endpoint = ? AND state != ?"
        )
        with self._store.explained():
            requests, batches = self._store.db.execute(query, (self._endpoint, INTENDED)).fetchone()
        return requests, batches

    def _book(self, db: sqlite3.Connection, name: str, model: str, usd: float, reason: str) -> None:
        # as `Store.lose`, but inside a transaction with the rest
        db.execute("DELETE FROM lost WHERE id = ?", (name,))
        if usd:
            row = (name, _now(), self._endpoint, model, usd, reason)
            db.execute("INSERT INTO lost VALUES (?, ?, ?, ?, ?, ?)", row)

    @contextmanager
    def _changed(self) -> Iterator[sqlite3.Connection]:
        with self._store.explained(), self._store.transaction():
            yield self._store.db


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
