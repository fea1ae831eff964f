"""Answers that leave a store in a file, and a look at whether all of them are sound.

A shard is canonical JSON Lines, gzipped where its name ends in ``.gz``: a header, a line for each
answer by key and limits, a line for each entry of money that no answer came of. `verify` in a line
is the start of the SHA-256 of the rest of it.
"""

from __future__ import annotations

import errno
import gzip
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TextIO, cast

from stages.core.errors import Problem, UserError, user_error
from stages.core.jsonl import atomic, canonical
from stages.engines.shard_lines import (
    SHOWN,
    TABLES,
    BadError,
    all_rows,
    damaged,
    fetched,
    first,
    header,
    lenient,
    raw_lines,
    seal,
    sound,
)
from stages.engines.store import Store

MEND = (
    "move the store aside without deleting it, then `make store MERGE=…` takes over what is sound "
    "of it; the rest is asked again when it is wanted"
)

_ORDER = {"completions": "key, max_tokens, top_logprobs", "lost": "id"}
_BESIDE = ("", "-wal", "-shm", "-journal", ".buying")


def export(store: Store, path: Path, model: str | None, about: str) -> tuple[int, int]:
    """Write a shard; the same answers give the same bytes.

    Args:
        store: One state of it is written, whatever other processes add meanwhile.
        path: Appears once it is whole; ``.gz`` compresses.
        model: The only one wanted, of answers and of lost money; None for all.
        about: How `about` of the answers begins. Lost money is of no task, so all of it stays.

    Returns:
        How many answers, and how many entries of lost money.

    Raises:
        UserError: E513 the file cannot be written, E616 a row is damaged.
    """
    values = {"model": model, "about": about}
    one = "(:model IS NULL OR model = :model)"
    conditions = {
        "completions": f"WHERE {one} AND substr(about, 1, length(:about)) = :about",
        "lost": f"WHERE {one}",
    }

    def lines() -> Iterator[str]:
        for table, where in conditions.items():
            query = f"SELECT COUNT(*) AS n FROM {table} {where}"
            counts.append(next(fetched(store, query, values))["n"])
        head = {"tutelage": "responses", "version": 1, "count": counts[0], "lost": counts[1]}
        yield canonical(head)
        for row in chain.from_iterable(
            fetched(store, f"{TABLES[table]} {where} ORDER BY {_ORDER[table]}", values)
            for table, where in conditions.items()
        ):
            try:
                body = canonical(sound(row)[0])
            except BadError as bad:
                raise UserError([damaged(store.path, row, bad, MEND)]) from None
            yield f'{body[:-1]},"verify":"{seal(body)}"}}'

    counts = list[int]()
    with store.explained():
        store.db.execute("BEGIN")
    try:
        _spare(store.path, path)
        with atomic(path) as text:
            file = cast(TextIO, text).buffer
            # with no name and no time in it, equal content gives equal bytes
            zipped = gzip.GzipFile("", "wb", 6, file, 0) if path.suffix == ".gz" else None
            with zipped or nullcontext(file) as out:
                for line in lines():
                    out.write(line.encode() + b"\n")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise _unwritable(path, error.strerror or str(error)) from None
    finally:
        if store.db.in_transaction:
            store.db.execute("ROLLBACK")
    return counts[0], counts[1]


def check(store: Store) -> int:
    """Look at the file and at every row in it; returns how many answers there are.

    Raises:
        UserError: E616, with what is not as it was stored.
    """
    count = 0

    def problems() -> Iterator[Problem]:
        nonlocal count
        try:
            for row in fetched(store, f"PRAGMA integrity_check({SHOWN})"):
                told = " ".join(str(row["integrity_check"]).split())
                if told != "ok":
                    yield Problem(str(store.path), 0, 0, "E616", f"SQLite finds: {told}", MEND)
            for row in all_rows(store):
                count += "key" in row
                try:
                    sound(row)
                except BadError as bad:
                    yield damaged(store.path, row, bad, MEND)
        except UserError as error:
            yield from (replace(told, code="E616", hint=MEND) for told in error.problems)

    store.db.text_factory = lenient
    if found := first(problems()):
        raise UserError(found)
    return count


def _spare(store: Path, path: Path) -> None:
    """Raises `UserError` E513 when a file is there already that is no older shard."""
    real = store.resolve()
    if path.resolve() in {real.with_name(real.name + end) for end in _BESIDE}:
        raise _unwritable(path, "it is a file of the store itself")
    if path.exists() and (not path.is_file() or path.stat().st_size):
        try:
            header(next(raw_lines(path)))
        except (BadError, EOFError, OSError, zlib.error):
            raise _unwritable(path, "it is there already, and holds no exported answers") from None


def _unwritable(path: Path, why: str) -> UserError:
    message = f"{path.as_posix()!r} cannot be written: {why}"
    return user_error("command line", "E513", message, "name another file")
