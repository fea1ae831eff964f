"""Rows of a local file, named with the SHA-256 of its bytes so that a spec pins its content."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from stages.core.errors import Problem, UserError, user_error
from stages.data.spool import Spool

Rows = Sequence[dict[str, Any]]

SHOWN = 5
"""Bad lines reported at once: a wrong format spoils every line, and one screen must hold them."""


def load(path: Path, sha256: str, name: str = "") -> Rows:
    """The rows of a ``.jsonl``, ``.json`` or ``.csv`` file.

    JSON holds a list of objects, or an object with that list under `examples`. CSV has a header
    row, and all its values are text.

    Args:
        path: Where the file lies.
        sha256: Hex digest that the file's bytes must have.
        name: What messages call the file; its path when empty.
    """
    name = name or str(path)
    readers: dict[str, Callable[[str, Path], Rows]] = {
        ".jsonl": _jsonl,
        ".json": _json,
        ".csv": _csv,
    }
    if not path.is_file():
        raise user_error(
            name, "E401", "there is no such file", "paths start at the repository root"
        )
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise user_error(
            name,
            "E403",
            f"files ending in {path.suffix!r} cannot be read",
            "use .jsonl, .csv or .json",
        )
    check_digest(path, sha256, name)
    return reader(name, path)


def sha256_of(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as file:
        hashed = hashlib.sha256()  # hashlib.file_digest needs Python 3.11
        for part in iter(lambda: file.read(1 << 20), b""):
            hashed.update(part)
    return hashed.hexdigest()


def check_digest(path: Path, sha256: str, name: str) -> None:
    """Raises `UserError` E402 when the file's bytes are not those that a spec names."""
    found = sha256_of(path)
    if found != sha256.lower():
        raise user_error(
            name,
            "E402",
            f"the file's sha256 is {found}, the spec says {sha256}",
            "restore the file, or write its new sha256 into the spec if the change is meant",
        )


def _jsonl(name: str, path: Path) -> Rows:
    rows = Spool()
    bad: list[tuple[int, int, str]] = []
    with path.open("rb") as file:
        # Only a line feed ends a line: JSON strings may hold other separators unescaped.
        for number, raw in enumerate(file, start=1):
            line = _text(name, raw.rstrip(b"\n"), number) if number > 1 else _first(name, raw)
            if not line.strip():
                continue
            try:
                row = _parse(line)
            except json.JSONDecodeError as error:
                bad.append(
                    (number, error.colno, f"line {number} is not a JSON object: {error.msg}")
                )
            except ValueError as error:
                bad.append((number, 1, f"line {number} is not a JSON object: {error}"))
            else:
                if isinstance(row, dict):
                    rows.append(row)
                else:
                    bad.append((number, 1, f"line {number} is not a JSON object"))
            if len(bad) == SHOWN:
                break
    if bad:
        _refuse(name, bad, "write one JSON object a line")
    return rows


def _first(name: str, raw: bytes) -> str:
    # Spreadsheets put a byte order mark in front; it is no part of the first field.
    return _text(name, raw.rstrip(b"\n").removeprefix(codecs.BOM_UTF8), 1)


def _text(name: str, raw: bytes, number: int = 0) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = number or raw[: error.start].count(b"\n") + 1
        _refuse(name, [(line, 1, "the line is not UTF-8")], "save the file as UTF-8")


def _whole(name: str, path: Path) -> str:
    return _text(name, path.read_bytes().removeprefix(codecs.BOM_UTF8))


def _json(name: str, path: Path) -> Rows:
    text = _whole(name, path)
    hint = "write a list of objects, or an object with the list under `examples`"
    try:
        value = _parse(text)
    except json.JSONDecodeError as error:
        _refuse(name, [(error.lineno, error.colno, f"the file is not JSON: {error.msg}")], hint)
    except ValueError as error:
        _refuse(name, [(1, 1, f"the file is not JSON: {error}")], hint)
    rows = value.get("examples") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise user_error(name, "E403", "the file holds no list of rows", hint)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise user_error(name, "E403", f"row {number} is not a JSON object", hint)
    return rows


def _csv(name: str, path: Path) -> Rows:
    hint = "give every row as many fields as the header, quoted where they hold commas"
    rows = Spool()
    bad: list[tuple[int, int, str]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if not header or len(set(header)) < len(header):
                _refuse(name, [(1, 1, "the header row is empty or repeats a name")], hint)
            for fields in reader:
                if not fields:
                    continue
                if len(fields) == len(header):
                    rows.append(dict(zip(header, fields, strict=True)))
                else:
                    told = f"the header names {len(header)} fields, the row has {len(fields)}"
                    bad.append((reader.line_num, 1, told))
        except csv.Error as error:
            bad.append((reader.line_num, 1, f"the row is not CSV: {error}"))
        except UnicodeDecodeError:
            _whole(name, path)  # which names the line
            raise
    if bad:
        _refuse(name, bad, hint)
    return rows


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=_constant)


def _constant(word: str) -> NoReturn:
    # Python reads these, JSON does not have them, and writing them later would fail far from here.
    raise ValueError(f"{word} is not JSON")


def _refuse(name: str, bad: Iterable[tuple[int, int, str]], hint: str) -> NoReturn:
    raise UserError(
        Problem(name, line, column, "E403", message, hint)
        for line, column, message in list(bad)[:SHOWN]
    )
