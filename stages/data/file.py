"""Rows of a local file, named with the SHA-256 of its bytes so that a spec pins its content."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from stages.core.errors import Problem, UserError, user_error

SHOWN = 5
"""Bad lines reported at once: a wrong format spoils every line, and one screen must hold them."""


def load(path: Path, sha256: str, name: str = "") -> list[dict[str, Any]]:
    """The rows of a ``.jsonl``, ``.json`` or ``.csv`` file.

    JSON holds a list of objects, or an object with that list under `examples`. CSV has a header
    row, and all its values are text.

    Args:
        path: Where the file lies.
        sha256: Hex digest that the file's bytes must have.
        name: What messages call the file; its path when empty.
    """
    name = name or str(path)
    readers: dict[str, Callable[[str, str], list[dict[str, Any]]]] = {
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
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.lower():
        raise user_error(
            name,
            "E402",
            f"the file's sha256 is {found}, the spec says {sha256}",
            "restore the file, or write its new sha256 into the spec if the change is meant",
        )
    try:
        # Spreadsheets put a byte order mark in front; it is no part of the first field.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        _refuse(name, [(line, 1, "the line is not UTF-8")], "save the file as UTF-8")
    return reader(name, text)


def _jsonl(name: str, text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    bad: list[tuple[int, int, str]] = []
    # Not splitlines: it also cuts at separators that JSON strings may hold unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = _parse(line)
        except json.JSONDecodeError as error:
            bad.append((number, error.colno, f"line {number} is not a JSON object: {error.msg}"))
        except ValueError as error:
            bad.append((number, 1, f"line {number} is not a JSON object: {error}"))
        else:
            if isinstance(row, dict):
                rows.append(row)
            else:
                bad.append((number, 1, f"line {number} is not a JSON object"))
    if bad:
        _refuse(name, bad, "write one JSON object a line")
    return rows


def _json(name: str, text: str) -> list[dict[str, Any]]:
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


def _csv(name: str, text: str) -> list[dict[str, Any]]:
    hint = "give every row as many fields as the header, quoted where they hold commas"
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[dict[str, Any]] = []
    bad: list[tuple[int, int, str]] = []
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
