"""YAML read strictly, with the place of every key and value.

Only YAML's own scalars, lists and mappings; a duplicate key, an alias, a tag or a
non-string key is a problem with its line and column. `lm-evaluation-harness` lets a later
duplicate win in silence (its issue 4077); here it is an error. libyaml does the parsing, event by
event, so that no file can exhaust stack or memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import Problem, Related
from stages.spec.document import KEY, Document, Path_, Place, Text

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
TAG = "tag:yaml.org,2002:"
PLAIN = ("str", "int", "float", "bool", "null")
# What YAML counts as the end of a line, so that line numbers here are those of its marks.
LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# A wheel of PyYAML holds libyaml; one built without it parses the same, ten times slower.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Refused(Exception):
    """The file cannot be read on from here."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def load(path: Path, root: Path) -> Document:
    """Read one file. Never raises for what the file holds: see `Document.problems`."""
    try:
        name = path.relative_to(root).as_posix()
    except ValueError:
        name = path.as_posix()
    document = Document(Text(name))
    try:
        if (size := path.stat().st_size) <= MAX_BYTES:
            parse(document, path.read_bytes())
        else:
            message = f"this file is larger than {MAX_BYTES} bytes: it has {size}"
            document.problems.append(Problem(name, 0, 0, "E102", message))
    except FileNotFoundError:
        document.problems.append(Problem(name, 0, 0, "E101", "this file does not exist"))
    except OSError as error:
        document.problems.append(
            Problem(name, 0, 0, "E101", f"this file cannot be read: {error.strerror}")
        )
    return document


def parse(document: Document, raw: bytes) -> None:
    """Fill the document from a file's bytes."""
    name = document.file
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        place = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
        document.problems.append(
            Problem(name, *place, "E102", "this file is not UTF-8 text", "save it as UTF-8")
        )
        return
    document.text.lines[:] = LINE_END.split(text)
    odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if odd:
        lines = LINE_END.split(text[: odd.start()])
        document.problems.append(
            document.problem_at(
                len(lines), len(lines[-1]) + 1, "E103",
                f"this is not valid YAML: it holds the character U+{ord(odd.group()):04X}",
                "remove the character",
            )
        )  # fmt: skip
        return
    builder = _Builder(document)
    loader = _Parser(text)
    try:
        document.data = builder.document(loader)
    except _Refused as refused:
        document.data = None
        document.problems.append(refused.problem)
    except yaml.MarkedYAMLError as error:
        document.data = None
        what = ", ".join(part for part in (error.context, error.problem) if part)
        line, column = _at(error.problem_mark or error.context_mark)
        if line > len(document.text.lines):  # libyaml's end is a line further
            line, column = len(document.text.lines), len(document.text.lines[-1]) + 1
        hint = "indent with spaces" if "\t" in document.text.line(line) else ""
        document.problems.append(
            document.problem_at(line, column, "E103", f"this is not valid YAML: {what}", hint)
        )
    finally:
        loader.dispose()


def _at(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Builder:
    """Data and places from parser events; below a duplicate key (path None) without places."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._problems = document.problems

    def document(self, loader: Any) -> Any:
        self._next = loader.get_event
        self._next()  # the stream's start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            self._document.places[()] = Place(self._document.text, 1, 1)
            return {}
        data = self._value(self._next(), (), 0)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Refused(
                self._problem(
                    event, "E103",
                    "this is not valid YAML: another document begins here", "keep one",
                )
            )  # fmt: skip
        return {} if data is None and not self._problems else data

    def _problem(self, event: Any, code: str, message: str, hint: str = "") -> Problem:
        return self._document.problem_at(*_at(event.start_mark), code, message, hint)

    def _value(self, event: Any, path: Path_ | None, depth: int) -> Any:
        if path is not None:
            mark = event.start_mark
            place = Place(self._document.text, mark.line + 1, mark.column + 1)
            self._document.places[path] = place
        if isinstance(event, yaml.AliasEvent):
            self._problems.append(
                self._problem(
                    event, "E107", "an alias (*name) is not allowed", "write the value out"
                )
            )
            return None
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth > MAX_DEPTH:
            raise _Refused(self._problem(event, "E104", "this is nested too deeply"))
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", TAG + kind):
            self._refuse_tag(event, event.tag)
            path = None
        if kind == "map":
            return dict(self._pairs(path, depth))
        return list(self._items(path, depth))

    def _items(self, path: Path_ | None, depth: int) -> Iterator[Any]:
        index = 0
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._value(event, None if path is None else (*path, index), depth + 1)
            index += 1

    def _pairs(self, path: Path_ | None, depth: int) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._problems.append(self._problem(event, "E105", "a key must be a plain word"))
                self._value(event, None, depth + 1)
                self._value(self._next(), None, depth + 1)
                continue
            key = str(event.value)
            if key in seen:
                self._problems.append(self._twice(event, seen[key]))
                self._value(self._next(), None, depth + 1)
                continue
            seen[key] = event
            inner = None if path is None else (*path, key)
            if inner is not None:
                self._document.places[inner + (KEY,)] = Place(
                    self._document.text, *_at(event.start_mark)
                )
            yield key, self._value(self._next(), inner, depth + 1)

    def _twice(self, event: Any, first: Any) -> Problem:
        text = self._document.text
        line, column = _at(first.start_mark)
        related = (Related(text.file, line, column, "first defined here", text.line(line)),)
        there = _at(event.start_mark)
        message = f"the key {str(event.value)!r} stands twice in this mapping"
        return Problem(text.file, *there, "E106", message, "keep one", text.line(there[0]), related)

    def _scalar(self, event: Any) -> Any:
        value = event.value
        if event.tag in (None, "!"):
            if not event.implicit[0]:  # quoted, or a block
                return value
            tag = _implicit(value)
        else:
            tag = event.tag.removeprefix(TAG)
        if tag in ("str", "timestamp"):  # a date in plain YAML: people mean the text
            return value
        if tag not in PLAIN:
            return self._refuse_tag(event, event.tag or TAG + tag)
        try:
            made = _constructors[tag](yaml.ScalarNode(TAG + tag, value))
            if isinstance(made, float) and not math.isfinite(made):
                raise ValueError("it is not a finite number")
            return made
        except (yaml.YAMLError, ValueError, KeyError, OverflowError) as error:
            reason = f"{value!r} is no {tag}" if isinstance(error, KeyError) else str(error)
            self._problems.append(
                self._problem(event, "E103", f"this value cannot be read: {reason}")
            )
            return None

    def _refuse_tag(self, event: Any, tag: str) -> None:
        shown = "!!" + tag.removeprefix(TAG) if tag.startswith(TAG) else tag
        hint = "write a plain value, in quotes where it is text"
        self._problems.append(
            self._problem(event, "E107", f"the YAML tag {shown} is not allowed", hint)
        )


_safe = yaml.constructor.SafeConstructor()
_constructors: dict[str, Any] = {
    "int": _safe.construct_yaml_int,
    "float": _safe.construct_yaml_float,
    "bool": _safe.construct_yaml_bool,
    "null": _safe.construct_yaml_null,
}


def _implicit(value: str) -> str:
    """The type that YAML 1.1 sees in a plain word."""
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(value[:1], ()):
        if pattern.match(value):
            return str(tag).removeprefix(TAG)
    return "str"
