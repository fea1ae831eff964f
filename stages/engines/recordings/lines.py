"""A file read line by line into `Recording`s, with the place of whatever is wrong in it."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from stages.core.errors import Problem, UserError, user_error

SHOWN = 20
"""Bad lines reported one by one; the others are counted."""

Row = dict[str, Any]
Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Recording:
    """One answer, or why there is none. Texts are as in the file and may hold lone surrogates.

    Args:
        question: As the row states it; empty when the file has only messages or keys.
        messages: (role, content) pairs that were asked, a plain prompt as one of the user; empty
            when not known.
        key: `custom_id` of a batch; empty otherwise.
        rationale: The reasoning, or the whole completion when the answer is not apart.
        answer: Reply of a second call that asked for the answer; empty when there was none.
        finish_reason: ``stop`` when the file does not say. Of two calls, the first that is not
            ``stop``: a rationale that was cut short stays so when an answer was then forced.
        prompt_tokens: 0 when unknown.
        completion_tokens: 0 when unknown.
        error: Why there is no answer; empty for an answer.
        reasoning: What a reasoning model thought before it wrote, where the file says.
    """

    question: str
    messages: Messages
    key: str
    rationale: str
    answer: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error: str
    reasoning: str = ""


class Bad(Exception):
    """A line that cannot be read, with its place in the file."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line, self.column = line, column


def sound(path: Path, items: Iterable[Recording | Bad], hint: str) -> Iterator[Recording]:
    """The recordings among the items; what is bad is raised behind the last."""
    problems: list[Problem] = []
    sound = more = 0
    for item in items:
        if isinstance(item, Recording):
            sound += 1
            yield item
        elif len(problems) <= SHOWN:
            place = path.as_posix(), item.line, item.column
            problems.append(Problem(*place, "E607", str(item), hint))
        else:
            more += 1
    if len(problems) > SHOWN:
        problems[-1] = replace(problems[-1], message=f"and {more + 1} more from here on")
    if not sound and not problems:
        problems.append(Problem(path.as_posix(), 0, 0, "E607", "the file holds nothing", hint))
    if problems:
        raise UserError(problems)


def opened(path: Path) -> IO[bytes]:
    """Raises `UserError` E607 when the file cannot be read."""
    try:
        return path.open("rb")
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise user_error(path.as_posix(), "E607", message, "correct its path") from None


def lines(path: Path, take: Callable[[Row, int], Iterator[Recording]]) -> Iterator[Recording | Bad]:
    """What `take` makes of each line's object and its offset in bytes."""
    offset = 0
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            try:
                if (text := text_of(raw)).strip():
                    yield from take(object_of(text), offset)
            except Bad as bad:
                yield Bad(str(bad), number, bad.column)
            offset += len(raw)


def text_of(raw: bytes) -> str:
    """The bytes as UTF-8. Raises `Bad`."""
    try:
        # Windows programs put a byte order mark in front; it is no part of the text
        return raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise Bad("this is not UTF-8", raw.count(b"\n", 0, error.start) + 1) from None


def object_of(text: str) -> Row:
    """The text as a JSON object. Raises `Bad`."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise Bad(f"this is not JSON: {error.msg}", error.lineno, error.colno) from None
    except RecursionError:
        raise Bad("this is nested too deep") from None
    except ValueError:
        raise Bad("a number has too many digits") from None
    if not isinstance(value, dict):
        raise Bad("this is not a JSON object")
    return value


def get(row: Row, *names: str, default: str | None = None) -> str:
    """The text under the first name that is there; null is as good as absent."""
    found = next((name for name in names if row.get(name) is not None), "")
    value = row[found] if found else default
    if value is None:
        raise Bad(f"there is no {' or '.join(map(repr, names))}")
    if not isinstance(value, str):
        raise Bad(f"{found!r} is not a text")
    return value
