"""The lines of a shard: how a row of the store is written, and verified when it is read."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from stages.core.errors import Problem
from stages.core.jsonl import canonical
from stages.engines.store import Store
from stages.engines.tables import rebuild

MANY = 200
"""Rows that are read or stored in one go; with log-probabilities, one can be a megabyte."""
SHOWN = 20
"""Problems of a file that are told one by one; the others are counted."""
AGAIN = "copy or export the file again; nothing was imported"

Fields = dict[str, Any]

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
TABLES = {
    "completions": f"SELECT {', '.join((*_ANSWER, *_DERIVED))} FROM completions",
    "lost": f"SELECT {', '.join(_LOST)} FROM lost",
}
_HALF = re.compile("[\ud800-\udfff]")


class BadError(Exception):
    """What is wrong with a row or a line, and in which column."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


def sound(row: Fields) -> tuple[Fields, Fields]:
    """The fields of a row as a shard has them, and the row as it has to be."""
    if "key" not in row:
        return row, _checked(row)
    fields = {name: row[name] for name in _ANSWER}
    for name in _JSON:
        try:
            fields[name] = json.loads(row[name].encode())
        except (AttributeError, RecursionError, ValueError):
            raise BadError(f"{name!r} is not JSON") from None
    made = _checked(fields)
    for name in _DERIVED:
        if row[name] != made[name]:
            raise BadError(f"{name!r} is not that of the request")
    return fields, made


def _checked(fields: Fields) -> Fields:
    """The row that the fields of a line stand for."""
    kinds = _ANSWER if "key" in fields else _LOST
    for name, kind in kinds.items():
        if name not in fields:
            raise BadError(f"there is no {name!r}")
        if not _holds(kind, fields[name]):
            raise BadError(f"{name!r} is not {kind}")
    if len(fields) > len(kinds):
        raise BadError("there is a field that no exported line has")
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
        raise BadError("'request' is none that Tutelage asks") from None
    if asked.key != fields["key"]:
        raise BadError("the key is not that of the request")
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


def seal(body: str) -> str:
    """What `verify` says of a line."""
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def read(path: Path) -> Iterator[Fields | Problem]:
    """The rows of a shard, and what is wrong with it."""
    name, number, wanted = path.as_posix(), 0, 0
    if not path.is_file():
        yield Problem(name, 0, 0, "E615", "there is no such file", "correct its path")
        return
    try:
        for number, raw in enumerate(raw_lines(path), start=1):
            try:
                if number == 1:
                    wanted = header(raw)
                else:
                    yield _opened(raw)
            except BadError as bad:
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


def raw_lines(path: Path) -> Iterator[bytes]:
    """The lines of a shard, gzipped or not."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield from gzip.GzipFile(fileobj=file) if zipped else file


def header(raw: bytes) -> int:
    """How many lines follow."""
    if raw.startswith(b"SQLite format 3\0"):
        raise BadError("this is a whole store, which `make store MERGE=…` takes over")
    head = _object(raw)
    if head.get("tutelage") != "responses":
        raise BadError("this is no file that `make store EXPORT=…` writes")
    if head.get("version") != 1:
        raise BadError("this version of Tutelage knows version 1 of such files, and no other")
    counts = head.get("count"), head.get("lost")
    if not all(_holds(_COUNT, count) for count in counts):
        raise BadError("the header does not say how many lines follow")
    return sum(count or 0 for count in counts)


def _opened(raw: bytes) -> Fields:
    fields = _object(raw)
    stated = fields.pop("verify", None)
    row = _checked(fields)
    if stated != seal(canonical(fields)):
        raise BadError("the line is not as it was exported")
    return row


def _object(raw: bytes) -> Fields:
    try:
        value = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise BadError("this is not UTF-8", error.start + 1) from None
    except json.JSONDecodeError as error:
        raise BadError(f"this is not JSON: {error.msg}", error.colno) from None
    except RecursionError:
        raise BadError("this is nested too deep") from None
    except ValueError:
        raise BadError("a number has too many digits") from None
    if not isinstance(value, dict):
        raise BadError("this is not a JSON object")
    return value


def all_rows(store: Store) -> Iterator[Fields]:
    """Answers, then lost money, in the order of the file."""
    for query in TABLES.values():
        yield from fetched(store, query)


def fetched(store: Store, query: str, values: Mapping[str, Any] | None = None) -> Iterator[Fields]:
    """Rows by name, a few in memory at a time."""
    with store.explained():
        cursor = store.db.execute(query, values or {})
    names = [column[0] for column in cursor.description]
    while True:
        with store.explained():
            rows = cursor.fetchmany(MANY)
        if not rows:
            return
        yield from (dict(zip(names, row, strict=True)) for row in rows)


def lenient(data: bytes) -> str:
    """For `text_factory`."""
    # SQLite's text with a damaged byte would end the reading of all rows behind it
    return data.decode(errors="surrogateescape")


def first(problems: Iterable[Problem]) -> list[Problem]:
    """The first problems, and one that counts the others."""
    source = iter(problems)
    kept = list(islice(source, SHOWN))
    for problem in islice(source, 1):
        more = 1 + sum(1 for _ in source)
        kept.append(replace(problem, message=f"… and {more} more from here on"))
    return kept


def damaged(path: Path, row: Fields, bad: BadError, hint: str) -> Problem:
    """E616 about a row."""
    if "key" in row:
        name = f"answer {row['key']!s:.12}… ({row['about']} {row['row']})"
    else:
        name = f"lost money {row['id']!r:.40}"
    return Problem(str(path), 0, 0, "E616", f"{name}: {bad}", hint)
