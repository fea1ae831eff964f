"""Answers that leave a store and come into one: files of them, and other stores.

A shard is canonical JSON Lines, gzipped where its name ends in ``.gz``: a header, a line for each
answer by key and limits, a line for each entry of money that no answer came of. `verify` in a line
is the start of the SHA-256 of the rest of it.

What comes in is added, and nothing that is held is replaced. An answer that was bought here and
elsewhere is held once; what the other one cost is booked as lost.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO, cast
from urllib.parse import quote

from stages.core.errors import Problem, UserError, user_error
from stages.core.jsonl import atomic, canonical, digest
from stages.engines.store import Store
from stages.engines.tables import SCHEMA, rebuild

MANY = 200
"""Rows that are read or stored in one go; with log-probabilities, one can be a megabyte."""
SHOWN = 20
"""Problems of a file that are told one by one; the others are counted."""
TWICE = "bought twice"
AGAIN = "copy or export the file again; nothing was imported"
LEFT = "it was left out and is asked again when it is wanted; all that is sound was taken over"
MEND = (
    "move the store aside without deleting it, then `make store MERGE=…` takes over what is sound "
    "of it; the rest is asked again when it is wanted"
)

Fields = dict[str, Any]
Counts = Counter[str]
"""Answers that were `added`, that were `held` before, and how many of these were bought `twice`."""

# what a field holds, in the words of the problem with one that does not
_WORD, _TEXT, _OBJECT = "a text that UTF-8 can write", "a text", "an object"
_COUNT, _AMOUNT = "a whole number of 64 bits", "a number from 0"
_ANSWER = {
    "key": _WORD, "max_tokens": _COUNT, "top_logprobs": _COUNT, "finish_reason": _WORD,
    "prompt_tokens": _COUNT, "completion_tokens": _COUNT, "seconds": _AMOUNT, "usd": _AMOUNT,
    "created": _WORD, "about": _WORD, "row": _WORD, "error": _TEXT, "text": _TEXT,
    "reasoning": _TEXT, "logprobs": _TEXT, "request": _OBJECT,
}  # fmt: skip
_LOST = {
    "id": _WORD, "created": _WORD, "endpoint": _WORD, "model": _WORD, "usd": _AMOUNT,
    "reason": _WORD,
}  # fmt: skip
_JSON = ("error", "text", "reasoning", "logprobs", "request")
_DERIVED = ("endpoint", "model", "prompt", "system")
_BOUGHT = ("key", "max_tokens", "top_logprobs", "created", "text")
_TABLES = {
    "completions": f"SELECT {', '.join((*_ANSWER, *_DERIVED))} FROM completions",
    "lost": f"SELECT {', '.join(_LOST)} FROM lost",
}
_ORDER = {"completions": "key, max_tokens, top_logprobs", "lost": "id"}
_BESIDE = ("", "-wal", "-shm", "-journal", ".buying")
_HALF = re.compile("[\ud800-\udfff]")


class _BadError(Exception):
    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


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
            counts.append(next(_fetched(store, query, values))["n"])
        header = {"tutelage": "responses", "version": 1, "count": counts[0], "lost": counts[1]}
        yield canonical(header)
        for row in chain.from_iterable(
            _fetched(store, f"{_TABLES[table]} {where} ORDER BY {_ORDER[table]}", values)
            for table, where in conditions.items()
        ):
            try:
                body = canonical(_sound(row)[0])
            except _BadError as bad:
                raise UserError([_damaged(store.path, row, bad, MEND)]) from None
            yield f'{body[:-1]},"verify":"{_sum(body)}"}}'

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


def load(store: Store, paths: Sequence[Path]) -> Counts:
    """Add what shards hold; nothing is added before all of them are known to be sound.

    Raises:
        UserError: E615, with a problem for each bad line.
    """
    problems = list[Problem]()
    for path in paths:
        problems += _first(item for item in _read(path) if isinstance(item, Problem))
    if problems:
        raise UserError(problems)

    def rows() -> Iterator[Fields]:
        for item in chain.from_iterable(map(_read, paths)):
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
        for row in _all(other):
            try:
                yield _sound(row)[1]
            except _BadError as bad:
                left["left"] += 1
                if len(problems) < SHOWN:
                    problems.append(_damaged(path, row, bad, LEFT))

    with _copied(path, store.path.parent) as other:
        return _add(store, rows(other)) + left, problems


def check(store: Store) -> int:
    """Look at the file and at every row in it; returns how many answers there are.

    Raises:
        UserError: E616, with what is not as it was stored.
    """
    count = 0

    def problems() -> Iterator[Problem]:
        nonlocal count
        try:
            for row in _fetched(store, f"PRAGMA integrity_check({SHOWN})"):
                told = " ".join(str(row["integrity_check"]).split())
                if told != "ok":
                    yield Problem(str(store.path), 0, 0, "E616", f"SQLite finds: {told}", MEND)
            for row in _all(store):
                count += "key" in row
                try:
                    _sound(row)
                except _BadError as bad:
                    yield _damaged(store.path, row, bad, MEND)
        except UserError as error:
            yield from (replace(told, code="E616", hint=MEND) for told in error.problems)

    store.db.text_factory = _lenient
    if found := _first(problems()):
        raise UserError(found)
    return count


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


def _sound(row: Fields) -> tuple[Fields, Fields]:
    """The fields of a row as a shard has them, and the row as it has to be."""
    if "key" not in row:
        return row, _checked(row)
    fields = {name: row[name] for name in _ANSWER}
    for name in _JSON:
        try:
            fields[name] = json.loads(row[name].encode())
        except (AttributeError, RecursionError, ValueError):
            raise _BadError(f"{name!r} is not JSON") from None
    made = _checked(fields)
    for name in _DERIVED:
        if row[name] != made[name]:
            raise _BadError(f"{name!r} is not that of the request")
    return fields, made


def _checked(fields: Fields) -> Fields:
    """The row that the fields of a line stand for."""
    kinds = _ANSWER if "key" in fields else _LOST
    for name, kind in kinds.items():
        if name not in fields:
            raise _BadError(f"there is no {name!r}")
        if not _holds(kind, fields[name]):
            raise _BadError(f"{name!r} is not {kind}")
    if len(fields) > len(kinds):
        raise _BadError("there is a field that no exported line has")
    if kinds is _LOST:
        return fields
    limits = fields["max_tokens"], fields["top_logprobs"]
    try:
        identity = canonical(fields["request"])
        asked = rebuild(identity, *limits, fields["about"], fields["row"])
        words = all(_holds(_WORD, text) for text in (asked.endpoint, asked.model, asked.api))
        texts = all(isinstance(text, str) for message in asked.messages for text in message)
        same = hashlib.sha256(identity.encode()).hexdigest() == asked.key
        if not (words and texts and same and type(asked.sample) is int):
            raise ValueError
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise _BadError("'request' is none that Tutelage asks") from None
    if asked.key != fields["key"]:
        raise _BadError("the key is not that of the request")
    held = {name: canonical(fields[name]) for name in _JSON}
    return {**fields, **held, **{name: getattr(asked, name) for name in _DERIVED}}


def _holds(kind: str, value: Any) -> bool:
    if kind == _OBJECT:
        return isinstance(value, dict)
    if kind == _COUNT:
        return type(value) is int and -(2**63) <= value < 2**63
    if kind == _AMOUNT:
        return type(value) in (int, float) and 0 <= value < 2**63
    return isinstance(value, str) and (kind == _TEXT or not _HALF.search(value))


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _read(path: Path) -> Iterator[Fields | Problem]:
    """The rows of a shard, and what is wrong with it."""
    name, number, wanted = path.as_posix(), 0, 0
    if not path.is_file():
        yield Problem(name, 0, 0, "E615", "there is no such file", "correct its path")
        return
    try:
        for number, raw in enumerate(_raw(path), start=1):
            try:
                if number == 1:
                    wanted = _header(raw)
                else:
                    yield _opened(raw)
            except _BadError as bad:
                yield Problem(name, number, bad.column, "E615", str(bad), AGAIN)
                if number == 1:
                    return
    except (EOFError, OSError, zlib.error) as error:
        message = f"the file cannot be read on: {getattr(error, 'strerror', None) or error}"
        yield Problem(name, number + 1, 1, "E615", message, AGAIN)
        return
    if not number:
        yield Problem(name, 0, 0, "E615", "the file is empty", AGAIN)
    elif number != wanted + 1:
        message = f"the header promises {wanted} lines, and {number - 1} follow"
        yield Problem(name, 1, 1, "E615", message, AGAIN)


def _raw(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield from gzip.GzipFile(fileobj=file) if zipped else file


def _header(raw: bytes) -> int:
    """How many lines follow."""
    if raw.startswith(b"SQLite format 3\0"):
        raise _BadError("this is a whole store, which `make store MERGE=…` takes over")
    header = _object(raw)
    if header.get("tutelage") != "responses":
        raise _BadError("this is no file that `make store EXPORT=…` writes")
    if header.get("version") != 1:
        raise _BadError("this version of Tutelage knows version 1 of such files, and no other")
    counts = header.get("count"), header.get("lost")
    if not all(_holds(_COUNT, count) for count in counts):
        raise _BadError("the header does not say how many lines follow")
    return sum(count or 0 for count in counts)


def _opened(raw: bytes) -> Fields:
    fields = _object(raw)
    stated = fields.pop("verify", None)
    row = _checked(fields)
    if stated != _sum(canonical(fields)):
        raise _BadError("the line is not as it was exported")
    return row


def _object(raw: bytes) -> Fields:
    try:
        value = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise _BadError("this is not UTF-8", error.start + 1) from None
    except json.JSONDecodeError as error:
        raise _BadError(f"this is not JSON: {error.msg}", error.colno) from None
    except RecursionError:
        raise _BadError("this is nested too deep") from None
    except ValueError:
        raise _BadError("a number has too many digits") from None
    if not isinstance(value, dict):
        raise _BadError("this is not a JSON object")
    return value


def _all(store: Store) -> Iterator[Fields]:
    for query in _TABLES.values():
        yield from _fetched(store, query)


def _fetched(store: Store, query: str, values: Mapping[str, Any] | None = None) -> Iterator[Fields]:
    with store.explained():
        cursor = store.db.execute(query, values or {})
    names = [column[0] for column in cursor.description]
    while True:
        with store.explained():
            rows = cursor.fetchmany(MANY)
        if not rows:
            return
        yield from (dict(zip(names, row, strict=True)) for row in rows)


def _lenient(data: bytes) -> str:
    # SQLite's text with a damaged byte would end the reading of all rows behind it
    return data.decode(errors="surrogateescape")


def _first(problems: Iterable[Problem]) -> list[Problem]:
    """The first problems, and one that counts the others."""
    source = iter(problems)
    kept = list(islice(source, SHOWN))
    for problem in islice(source, 1):
        more = 1 + sum(1 for _ in source)
        kept.append(replace(problem, message=f"… and {more} more from here on"))
    return kept


def _damaged(path: Path, row: Fields, bad: _BadError, hint: str) -> Problem:
    if "key" in row:
        name = f"answer {row['key']!s:.12}… ({row['about']} {row['row']})"
    else:
        name = f"lost money {row['id']!r:.40}"
    return Problem(str(path), 0, 0, "E616", f"{name}: {bad}", hint)


def _spare(store: Path, path: Path) -> None:
    """Raises `UserError` E513 when a file is there already that is no older shard."""
    real = store.resolve()
    if path.resolve() in {real.with_name(real.name + end) for end in _BESIDE}:
        raise _unwritable(path, "it is a file of the store itself")
    if path.exists() and (not path.is_file() or path.stat().st_size):
        try:
            _header(next(_raw(path)))
        except (_BadError, EOFError, OSError, zlib.error):
            raise _unwritable(path, "it is there already, and holds no exported answers") from None


def _unwritable(path: Path, why: str) -> UserError:
    message = f"{path.as_posix()!r} cannot be written: {why}"
    return user_error("command line", "E513", message, "name another file")


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
            other.path, other.db.text_factory = path, _lenient
            yield other


def _state(path: Path) -> tuple[bool, int, int]:
    """Whether a store is in use, or was when its process was killed; its size and its time."""
    file = path.resolve()
    stat = file.stat()
    return file.with_name(f"{file.name}-wal").exists(), stat.st_size, stat.st_mtime_ns
