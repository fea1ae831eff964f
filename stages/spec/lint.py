"""What a template's syntax tree tells before any row is rendered (family E3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError, meta, nodes

from stages.core.errors import Problem, nearest
from stages.spec.sandbox import FILTERS, METHODS, TESTS, Sandbox, refused

# What Jinja counts as the end of a line, so that line numbers here are those of its nodes.
LINE_END = re.compile(r"\r\n|\r|\n")
_sandbox = Sandbox()


@dataclass(frozen=True)
class Scope:
    """What a template may read.

    Args:
        known: Its variables with their types; ``object`` where a type is not known beforehand.
        offered: Variables that the strategy could declare under ``uses``.
        secret: Variables that hold a gold answer or a worked solution; no prompt may read them.
        used_by: Who renders the template, for messages.
    """

    known: Mapping[str, type]
    offered: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    used_by: str = ""


def check_source(source: str, file: str, scope: Scope) -> list[Problem]:
    """Syntax, constructs, variables, attributes, filters and tests of one template."""
    lines = LINE_END.split(source)
    by = f" (used by {scope.used_by})" if scope.used_by else ""
    try:
        tree = _sandbox.parse(source)
    except TemplateSyntaxError as error:
        line = min(error.lineno, len(lines))
        told = (error.message or "").rstrip(".")
        place = _opening(lines[line - 1])
        message = f"template syntax: {told}{by}"
        return [Problem(file, line, place, "E302", message, "", lines[line - 1])]
    except RecursionError:
        return [Problem(file, 0, 0, "E302", f"template syntax: expressions nest too deeply{by}")]
    try:
        found = list(dict.fromkeys(_found(tree, scope)))
    # Jinja computes constant expressions to find variables, and they can fail like any other.
    except Exception as error:
        message = f"template syntax: {' '.join(str(error).split())}{by}"
        return [Problem(file, 0, 0, "E302", message)]
    return [
        Problem(file, *_find(lines, line, word), code, message + by, hint, lines[line - 1])
        for line, word, code, message, hint in found
    ]


Found = tuple[int, str, str, str, str]


def _found(tree: nodes.Template, scope: Scope) -> Iterator[Found]:
    """Line, word to point at, code, message, hint."""
    for node, does in refused(tree):
        hint = "write its text here, so that one file is the whole prompt"
        yield node.lineno, "", "E306", f"a template cannot {does}", hint
    for kind, what, allowed in ((nodes.Filter, "filter", FILTERS), (nodes.Test, "test", TESTS)):
        for part in tree.find_all(kind):
            if part.name not in allowed:
                hint = nearest(part.name, allowed)
                yield part.lineno, part.name, "E307", f"there is no {what} {part.name!r}", hint
                part.name = "string"  # so that Jinja can go on to the variables
    yield from _variables(tree, scope)
    for access in tree.find_all(nodes.Getattr):
        if isinstance(access.node, nodes.Name) and access.node.name in scope.known:
            methods = METHODS.get(scope.known[access.node.name])
            if methods is not None and access.attr not in methods:
                yield (
                    access.lineno, access.attr, "E308",
                    f"{access.node.name} has no attribute {access.attr!r}",
                    nearest(access.attr, methods),
                )  # fmt: skip


def _variables(tree: nodes.Template, scope: Scope) -> Iterator[Found]:
    for name in sorted(meta.find_undeclared_variables(tree) - set(scope.known)):
        line = min((n.lineno for n in tree.find_all(nodes.Name) if n.name == name), default=1)
        if name in scope.secret:
            yield (
                line, name, "E311",
                f"the variable {name!r} would show the answer in a prompt",
                "a prompt may read: " + ", ".join(sorted({*scope.known, *scope.offered})),
            )  # fmt: skip
            continue
        hint = nearest(name, scope.known)
        if name in scope.offered:
            hint = f"add {name} to `uses` of the strategy"
        yield line, name, "E303", f"the variable {name!r} is not known here", hint


def tree(source: str) -> nodes.Template:
    """The syntax tree. Raises `jinja2.TemplateSyntaxError`."""
    return _sandbox.parse(source)


def variables(source: str) -> set[str]:
    """The variables that a template reads; none when its syntax is wrong."""
    try:
        return meta.find_undeclared_variables(_sandbox.parse(source))
    except Exception:  # reported by `check_source`
        return set()


def constant_text(source: str) -> str:
    """The words that a template writes whatever the row."""
    try:
        tree = _sandbox.parse(source)
    except (TemplateSyntaxError, RecursionError):
        return ""
    return " ".join(data.data for data in tree.find_all(nodes.TemplateData))


def _opening(line: str) -> int:
    opened = re.search(r"\{[{%#]", line)
    return opened.start() + 1 if opened else 1


def _find(lines: list[str], line: int, word: str) -> tuple[int, int]:
    """Line and column of a word in code; an expression over several lines starts before it."""
    if not word:
        return line, _opening(lines[line - 1])
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    # The word may stand in the text before the expression, too.
    found = pattern.search(lines[line - 1], _opening(lines[line - 1]) - 1)
    return line, found.start() + 1 if found else _opening(lines[line - 1])
