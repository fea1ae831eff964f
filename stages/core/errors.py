"""What a user did wrong, as data: every user-facing failure is a list of problems."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake at one place.

    Args:
        file: Path relative to the repository root, or the name of the resource at fault.
        line: 1-based line; 0 when the problem belongs to the whole file.
        column: 1-based column; 0 when unknown.
        code: ``E`` and three digits; each has a paragraph in ``docs/errors.md``.
        message: One sentence, without a full stop.
        hint: What to do about it.
        source: The offending line, printed with a caret.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    source: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        lines = [f"{place}: {self.code} {self.message}"]
        if self.source:
            lines += [f"    {self.source}", "    " + " " * (self.column - 1) + "^"]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)


class UserError(Exception):
    """Carries every problem found; entries print it without a traceback and exit with 2."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def user_error(file: str, code: str, message: str, hint: str = "") -> UserError:
    """The common case: one problem that has no line."""
    return UserError([Problem(file, 0, 0, code, message, hint)])


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A hint naming the closest allowed word, or all of them."""
    options = sorted(allowed)
    close = difflib.get_close_matches(word, options, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "allowed: " + ", ".join(options) if options else ""
