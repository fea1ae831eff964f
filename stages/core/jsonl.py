"""Canonical JSON and JSON Lines, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from stages.core.errors import UserError, user_error

# json.dumps would make an encoder anew for each value
_encode = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode
_escape = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Any) -> str:
    """One text per value: sorted keys, no spaces, UTF-8 kept, NaN refused (RFC 8785 in spirit).

    Lone surrogates, which a model can emit, are escaped so that the text always encodes.
    """
    text = _encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = _escape(value)
    return text


def encodable(text: str) -> str:
    """`text` with each lone surrogate as the six characters of its JSON escape.

    For files and tokenizers, which take UTF-8 and nothing else.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def digest(value: Any) -> str:
    """Hex SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@contextmanager
def atomic(path: Path) -> Iterator[IO[str]]:
    """A text file that appears under `path` only once complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_rows(path: Path, rows: Iterable[Any]) -> int:
    """Write one canonical JSON value a line; returns how many."""
    count = 0
    with atomic(path) as file:
        for row in rows:
            file.write(canonical(row) + "\n")
            count += 1
    return count


def read_rows(path: Path) -> Iterator[Any]:
    """Read what `write_rows` wrote, a row at a time. Only a line feed ends a line.

    Raises:
        UserError: E514 when the file is not there.
    """
    try:
        file = path.open(encoding="utf-8", newline="\n")
    except FileNotFoundError:
        raise absent(path) from None
    with file:
        for line in file:
            yield json.loads(line)


def count_rows(path: Path) -> int:
    """How many lines a file of rows has; 0 when it is not there."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def write_json(path: Path, value: Any) -> None:
    """Indented for human eyes and for diffs; sorted, so the same value gives the same bytes."""
    with atomic(path) as file:
        json.dump(value, file, sort_keys=True, ensure_ascii=True, indent=2, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read a whole JSON file.

    Raises:
        UserError: E514 when the file is not there.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise absent(path) from None


def absent(path: Path) -> UserError:
    """E514, for what an earlier stage makes."""
    here = Path.cwd()
    name = path.relative_to(here) if path.is_relative_to(here) else path
    return user_error(
        name.as_posix(), "E514", "this does not exist yet", "run `dvc repro`, which makes it"
    )
