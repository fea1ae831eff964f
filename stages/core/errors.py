"""What a user did wrong, as data: every user-facing failure is a list of problems."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

EXCERPT = 160
"""Characters of a source line that are shown; a longer line is cut around the caret."""


@dataclass(frozen=True, order=True)
class Related:
    """Another place that has to do with a problem: where a name was first defined, for one."""

    file: str
    line: int
    column: int
    message: str
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"    {self.message}: {place}"]
        if self.source:
            lines += _excerpt(self.source, max(self.column - 1, 0))
        return "\n".join(lines)


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
        related: Other places to look at.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    source: str = ""
    related: tuple[Related, ...] = ()

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        lines = [f"{place}: {self.code} {self.message}"]
        if self.source:
            lines += _excerpt(self.source, max(self.column - 1, 0))
        lines += map(str, self.related)
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)


def _excerpt(source: str, at: int) -> tuple[str, str]:
    # A tab would move the caret and an escape sequence the terminal; each becomes one space.
    shown = "".join(char if char.isprintable() else " " for char in source)
    start = max(0, at - EXCERPT // 2) if len(shown) > EXCERPT else 0
    part = shown[start : start + EXCERPT]
    if start:
        part = "…" + part[1:]
    if start + EXCERPT < len(shown):
        part = part[:-1] + "…"
    return f"    {part}", "    " + " " * (at - start) + "^"


class UserError(Exception):
    """Carries every problem found; entries print it without a traceback and exit with 2."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[UserError], tuple[list[Problem]]]:
        # an exception is pickled with the arguments of its base, which are not these
        return UserError, (self.problems,)


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


FORMATS = ("text", "json", "github")


def formatted(problems: Sequence[Problem], style: str) -> str:
    """Problems for a reader: people, programs (a JSON list), or GitHub's annotations.

    Source of the last: GitHub documentation, "Workflow commands for GitHub Actions".
    """
    if style == "json":
        return json.dumps([asdict(problem) for problem in problems], indent=2)
    return "\n".join(map(_annotation if style == "github" else str, problems))


def _annotation(problem: Problem) -> str:
    place = f"file={_escaped(problem.file, ':,')}"
    if problem.line:
        place += f",line={problem.line},col={problem.column}"
    text = problem.message + (f"\nhint: {problem.hint}" if problem.hint else "")
    return f"::error {place},title={problem.code}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
