"""A spec file's data, with the place of every key and value for the problems found in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stages.core.errors import Problem, Related

Path_ = tuple[Any, ...]


@dataclass(frozen=True)
class Text:
    """A file as lines; `file` is its path relative to the repository root."""

    file: str
    lines: list[str] = field(default_factory=list, repr=False)

    def line(self, number: int) -> str:
        """A line by its 1-based number; empty when there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


class Place(NamedTuple):
    """A spot in a file, line and column 1-based."""

    text: Text
    line: int
    column: int


@dataclass
class Document:
    """A YAML file's data with the position of each part.

    Args:
        text: The file; its path is what problems print.
        data: Plain dicts, lists and scalars; None when the file did not parse.
        places: The place of each value by its key path; a key's own place is under its path with
            a trailing ``KEY``. Parts that an ``include`` brought lie in another file.
        included: The files that ``include`` brought in.
        reread: Reads the file again for its places, where only its data was at hand.
    """

    text: Text
    data: Any = None
    places: dict[Path_, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    included: list[str] = field(default_factory=list)
    reread: Callable[[], Document] | None = None

    @property
    def file(self) -> str:
        """Path relative to the repository root."""
        return self.text.file

    def place(self, path: Path_, *, key: bool = False) -> Place:
        """Where the value (or the key) that `path` names stands, or its nearest parent."""
        if self.reread and not self.places:
            self.places = self.reread().places
        for end in range(len(path), -1, -1):
            found = self.places.get((*path[:end], KEY)) if key else None
            found = found or self.places.get(path[:end])
            if found:
                return found
        return Place(self.text, 0, 0)

    def problem(
        self,
        path: Path_,
        code: str,
        message: str,
        hint: str = "",
        *,
        key: bool = False,
        related: tuple[Related, ...] = (),
    ) -> Problem:
        """A problem at the value (or the key) that `path` names, or at its nearest parent."""
        text, line, column = self.place(path, key=key)
        return Problem(text.file, line, column, code, message, hint, text.line(line), related)

    def problem_at(
        self, line: int, column: int, code: str, message: str, hint: str = ""
    ) -> Problem:
        """A problem at a line and column of this file, with the line as its source."""
        return Problem(self.file, line, column, code, message, hint, self.text.line(line))

    def related(self, path: Path_, message: str, *, key: bool = False) -> tuple[Related, ...]:
        """The place of another part, for a problem that two parts make together."""
        text, line, column = self.place(path, key=key)
        return (Related(text.file, line, column, message, text.line(line)),)


KEY = object()
