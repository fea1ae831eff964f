"""Rows on disk, so that a million of them need no more memory than a thousand."""

from __future__ import annotations

import atexit
import marshal
import os
from array import array
from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile
from typing import IO, Any, overload

BLOCK = 32
"""Rows that are written and read together; a shorter list never leaves memory."""


class Spool(Sequence[Any]):
    """A list of plain values that only grows; full blocks of it are kept in a temporary file.

    The format is Python's own and is read back by the same process alone. All lists of a process
    share one file, since a project may hold thousands of them.
    """

    def __init__(self) -> None:
        self._tail: list[Any] = []
        self._places = array("Q")
        self._read: tuple[int, list[Any]] = (-1, [])

    def append(self, value: Any) -> None:
        """Add a value made of dicts, lists, tuples, strings and numbers."""
        self._tail.append(value)
        if len(self._tail) == BLOCK:
            self._places.append(_write(marshal.dumps(self._tail)))
            self._tail = []

    def __len__(self) -> int:
        return len(self._places) * BLOCK + len(self._tail)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        block, place = divmod(range(len(self))[index], BLOCK)
        if block == len(self._places):
            return self._tail[place]
        if self._read[0] != block:
            self._read = block, _load(self._places[block])
        return self._read[1][place]

    def __iter__(self) -> Iterator[Any]:
        for place in self._places:
            yield from _load(place)
        yield from self._tail


_file: IO[bytes] | None = None


def _shared_file() -> IO[bytes]:
    global _file
    if _file is None:
        _file = TemporaryFile()  # noqa: SIM115 - lives as long as the process
        atexit.register(_file.close)
    return _file


def _write(data: bytes) -> int:
    file = _shared_file()
    place = file.seek(0, 2)
    file.write(data)
    return place


def _load(place: int) -> list[Any]:
    file = _shared_file()
    file.seek(place)
    loaded: list[Any] = marshal.load(file)
    return loaded


def _forget() -> None:
    global _file
    _file = None  # its position would be shared with the parent


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Picked(Sequence[Any]):
    """Some items of another sequence, by index, without a copy."""

    def __init__(self, rows: Sequence[Any], indices: Sequence[int]) -> None:
        self._rows, self._indices = rows, indices

    def __len__(self) -> int:
        return len(self._indices)

    def origin(self, index: int) -> int:
        """Where an item stands in the sequence that was picked from first."""
        at = self._indices[index]
        return self._rows.origin(at) if isinstance(self._rows, Picked) else at

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Picked: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Picked(self._rows, self._indices[index])
        return self._rows[self._indices[index]]
