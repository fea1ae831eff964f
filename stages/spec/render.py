"""Jinja in a sandbox: specs and templates may come from strangers.

Immutable sandboxed environment (Jinja documentation, "Sandbox"), strict undefined variables,
no globals that reach a clock, randomness or files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import (
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    meta,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stages.core.errors import Problem, nearest

MAX_OUTPUT = 2_000_000


class Templates:
    """The templates folder; each source is read once and compiled once.

    Args:
        folder: The folder that template names are relative to.
        root: Repository root, for the file names in problems.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self._environment = environment(FileSystemLoader(folder, encoding="utf-8-sig"))

    def source(self, name: str) -> str:
        """The template's text."""
        return (self.folder / name).read_text(encoding="utf-8-sig")

    def file(self, name: str) -> str:
        """The template's path as printed in problems."""
        return (self.folder / name).relative_to(self.root).as_posix()

    def check(
        self, name: str, allowed: frozenset[str], offered: frozenset[str], used_by: str
    ) -> list[Problem]:
        """Syntax, and every variable against `allowed`; `offered` are those one could declare."""
        file = self.file(name)
        try:
            text = self.source(name)
        except UnicodeDecodeError:
            return [Problem(file, 0, 0, "E102", "this file is not UTF-8 text", "save it as UTF-8")]
        lines = text.split("\n")
        try:
            tree = self._environment.parse(text)
            unknown = meta.find_undeclared_variables(tree) - allowed
        except TemplateSyntaxError as error:
            line = min(error.lineno, len(lines))
            message = f"template syntax: {(error.message or '').rstrip('.')}"
            return [Problem(file, line, 1, "E302", message, "", lines[line - 1])]
        problems = []
        for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            source = lines[node.lineno - 1]
            message = "a template cannot read another one"
            hint = "write its text here, so that one file is the whole prompt"
            problems.append(Problem(file, node.lineno, 1, "E306", message, hint, source))
        for variable in sorted(unknown):
            line, column = _find(tree, lines, variable)
            hint = nearest(variable, allowed)
            if variable in offered:
                hint = f"add {variable} to `uses` of the strategy"
            message = f"the variable {variable!r} is not known here (used by {used_by})"
            problems.append(Problem(file, line, column, "E303", message, hint, lines[line - 1]))
        return problems

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Render a template by name. Raises `jinja2.TemplateError`."""
        return _rendered(self._environment.get_template(name), values)


def environment(loader: FileSystemLoader | None = None) -> ImmutableSandboxedEnvironment:
    """The one way Tutelage makes a Jinja environment for prompts."""
    made = ImmutableSandboxedEnvironment(
        loader=loader, undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
    )
    for name in list(made.globals):
        if name not in ("namespace", "dict"):
            del made.globals[name]
    del made.filters["random"]
    return made


def render_text(source: str, values: Mapping[str, Any]) -> str:
    """Render a template given as text. Raises `jinja2.TemplateError`."""
    return _rendered(_compile(source), values)


def unknown_variables(source: str, allowed: frozenset[str]) -> set[str]:
    """The variables of a template text that are not allowed. Raises `TemplateSyntaxError`."""
    return meta.find_undeclared_variables(environment().parse(source)) - allowed


_compiled: dict[str, Template] = {}


def _compile(source: str) -> Template:
    if source not in _compiled:
        _compiled[source] = environment().from_string(source)
    return _compiled[source]


def _rendered(template: Template, values: Mapping[str, Any]) -> str:
    try:
        text = template.render(values)
    except TemplateError:
        raise
    # An expression can fail in any way that Python can, 1 / 0 for one.
    except Exception as error:
        raise TemplateError(f"{type(error).__name__}: {error}") from None
    if len(text) > MAX_OUTPUT:
        raise TemplateError(f"renders {len(text)} characters, more than {MAX_OUTPUT}")
    return text


def _find(tree: nodes.Template, lines: list[str], variable: str) -> tuple[int, int]:
    line = min(
        (node.lineno for node in tree.find_all(nodes.Name) if node.name == variable), default=1
    )
    text = lines[line - 1]
    # The word may stand in the text before the expression, too.
    opened = re.search(r"\{[{%]", text)
    found = re.compile(rf"\b{re.escape(variable)}\b").search(text, opened.start() if opened else 0)
    return line, found.start() + 1 if found else 1
