"""YAML read strictly, with the place of every key and value.

Only YAML's own scalars, lists and mappings; a duplicate key, an alias, a tag or a
non-string key is a problem with its line and column. `lm-evaluation-harness` lets a later
duplicate win in silence (its issue 4077); here it is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import Problem

Path_ = tuple[Any, ...]
MAX_BYTES = 1 << 20
MAX_DEPTH = 24
TAG = "tag:yaml.org,2002:"
# What YAML counts as the end of a line, so that line numbers here are those of its marks.
LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


@dataclass
class Document:
    """A YAML file's data with the position of each part.

    Args:
        file: Path relative to the repository root, as printed in problems.
        data: Plain dicts, lists and scalars; None when the file did not parse.
        places: (line, column), 1-based, of each value by its key path; a key's own place is
            under its path with a trailing ``KEY``.
    """

    file: str
    data: Any = None
    lines: list[str] = field(default_factory=list)
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(
        self, path: Path_, code: str, message: str, hint: str = "", *, key: bool = False
    ) -> Problem:
        """A problem at the value (or the key) that `path` names, or at its nearest parent."""
        line, column = 0, 0
        for end in range(len(path), -1, -1):
            found = self.places.get((*path[:end], KEY)) if key else None
            found = found or self.places.get(path[:end])
            if found:
                line, column = found
                break
        return self.problem_at(line, column, code, message, hint)

    def problem_at(
        self, line: int, column: int, code: str, message: str, hint: str = ""
    ) -> Problem:
        """A problem at a line and column, with the line as its source."""
        source = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Problem(self.file, line, column, code, message, hint, source)


KEY = object()


class _AliasError(yaml.composer.ComposerError):
    pass


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without anchors: ten aliased lines can expand to gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            events: Any = self
            mark = events.peek_event().start_mark
            raise _AliasError(None, None, "alias", mark)
        return super().compose_node(parent, index)


def load(path: Path, root: Path) -> Document:
    """Read one file. Never raises for what the file holds: see `Document.problems`."""
    try:
        name = path.relative_to(root).as_posix()
    except ValueError:
        name = path.as_posix()
    document = Document(name)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        document.problems.append(Problem(name, 0, 0, "E101", "this file does not exist"))
        return document
    except OSError as error:
        document.problems.append(
            Problem(name, 0, 0, "E101", f"this file cannot be read: {error.strerror}")
        )
        return document
    if len(raw) > MAX_BYTES:
        document.problems.append(
            Problem(name, 0, 0, "E102", f"this file is larger than {MAX_BYTES} bytes")
        )
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        place = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
        document.problems.append(
            Problem(name, *place, "E102", "this file is not UTF-8 text", "save it as UTF-8")
        )
        return document
    document.lines = LINE_END.split(text)
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            document.data = {}
            document.places[()] = (1, 1)
        else:
            document.data = _build(document, node, (), 0)
            if document.data is None and not document.problems:
                document.data = {}
    except _AliasError as error:
        document.problems.append(
            document.problem_at(
                *_place(error.problem_mark),
                "E107", "an alias (*name) is not allowed", "write the value out",
            )
        )  # fmt: skip
    except yaml.MarkedYAMLError as error:
        what = ", ".join(part for part in (error.context, error.problem) if part)
        place = _place(error.problem_mark or error.context_mark)
        document.problems.append(
            document.problem_at(*place, "E103", f"this is not valid YAML: {what}")
        )
    except yaml.reader.ReaderError as error:
        lines = LINE_END.split(text[: error.position])
        document.problems.append(
            document.problem_at(
                len(lines), len(lines[-1]) + 1,
                "E103", f"this is not valid YAML: it holds the character U+{error.character:04X}",
                "remove the character",
            )
        )  # fmt: skip
    except RecursionError:
        document.problems.append(Problem(name, 1, 1, "E104", "this file is nested too deeply"))
    return document


def _place(mark: yaml.Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _build(document: Document, node: yaml.Node, path: Path_, depth: int) -> Any:
    place = _place(node.start_mark)
    document.places[path] = place
    if depth > MAX_DEPTH:
        document.problems.append(document.problem_at(*place, "E104", "this is nested too deeply"))
        return None
    if isinstance(node, yaml.CollectionNode) and node.tag not in (TAG + "map", TAG + "seq"):
        return _refuse_tag(document, node, place)
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(document, node, path, depth))
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(document, item, (*path, index), depth + 1)
            for index, item in enumerate(node.value)
        ]
    return _scalar(document, node, place)


def _pairs(
    document: Document, node: yaml.MappingNode, path: Path_, depth: int
) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line, column = _place(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(
                document.problem_at(line, column, "E105", "a key must be a plain word")
            )
            continue
        key = str(key_node.value)
        if key in seen:
            document.problems.append(
                document.problem_at(
                    line,
                    column,
                    "E106",
                    f"the key {key!r} stands twice in this mapping",
                    f"it is first defined on line {seen[key]}; keep one",
                )
            )
            continue
        seen[key] = line
        document.places[path + (key, KEY)] = (line, column)
        yield key, _build(document, value_node, (*path, key), depth + 1)


def _scalar(document: Document, node: yaml.Node, place: tuple[int, int]) -> Any:
    tag = node.tag.removeprefix(TAG)
    if tag == "timestamp":  # a date in plain YAML: people mean the text
        return node.value
    if tag not in ("str", "int", "float", "bool", "null"):
        return _refuse_tag(document, node, place)
    loader = _Loader("")
    try:
        value = loader.construct_object(node)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it is not a finite number")
        return value
    except (yaml.YAMLError, ValueError, KeyError) as error:
        reason = f"{node.value!r} is no {tag}" if isinstance(error, KeyError) else str(error)
        document.problems.append(
            document.problem_at(*place, "E103", f"this value cannot be read: {reason}")
        )
        return None
    finally:
        loader.dispose()


def _refuse_tag(document: Document, node: yaml.Node, place: tuple[int, int]) -> None:
    tag = "!!" + node.tag.removeprefix(TAG) if node.tag.startswith(TAG) else node.tag
    hint = "write a plain value, in quotes where it is text"
    document.problems.append(
        document.problem_at(*place, "E107", f"the YAML tag {tag} is not allowed", hint)
    )
