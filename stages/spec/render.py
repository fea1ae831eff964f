"""Jinja in a sandbox: specs and templates may come from strangers.

Immutable sandboxed environment (Jinja documentation, "Sandbox"), strict undefined variables,
no globals that reach a clock, randomness or files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stages.core.errors import Problem, nearest

MAX_TEMPLATE = 200_000
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
        self._environment = environment(FileSystemLoader(folder))

    def source(self, name: str) -> str:
        """The template's text."""
        return (self.folder / name).read_text(encoding="utf-8")

    def file(self, name: str) -> str:
        """The template's path as printed in problems."""
        return (self.folder / name).relative_to(self.root).as_posix()

    def check(self, name: str, allowed: frozenset[str], used_by: str) -> list[Problem]:
        """Syntax, and every variable against `allowed`."""
        text = self.source(name)
        lines = text.splitlines()
        try:
            tree = self._environment.parse(text)
        except TemplateSyntaxError as error:
            line = min(error.lineno, len(lines))
            source = lines[line - 1] if lines else ""
            return [
                Problem(
                    self.file(name),
                    line,
                    1,
                    "E302",
                    f"template syntax: {error.message}",
                    "",
                    source,
                )
            ]
        problems = []
        for variable in sorted(meta.find_undeclared_variables(tree) - allowed):
            line, column = _find(lines, variable)
            problems.append(
                Problem(
                    self.file(name),
                    line,
                    column,
                    "E303",
                    f"the variable {variable!r} is not known here (used by {used_by})",
                    nearest(variable, allowed),
                    lines[line - 1],
                )
            )
        return problems

    def variables(self, name: str) -> set[str]:
        """Variables that the template reads."""
        return set(meta.find_undeclared_variables(self._environment.parse(self.source(name))))

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Render a template by name. Raises `jinja2.TemplateError`."""
        return _bounded(self._environment.get_template(name).render(values))


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
    return _bounded(_compile(source).render(values))


_compiled: dict[str, Any] = {}


def _compile(source: str) -> Any:
    if source not in _compiled:
        _compiled[source] = environment().from_string(source)
    return _compiled[source]


def _bounded(text: str) -> str:
    if len(text) > MAX_OUTPUT:
        raise TemplateError(f"renders {len(text)} characters, more than {MAX_OUTPUT}")
    return text


def _find(lines: list[str], word: str) -> tuple[int, int]:
    for number, line in enumerate(lines, 1):
        column = line.find(word)
        if column >= 0:
            return number, column + 1
    return 1, 1
