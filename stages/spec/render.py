"""Templates and template texts, rendered in the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, Template, TemplateError
from jinja2.runtime import Context

from stages.spec.lint import variables
from stages.spec.sandbox import Sandbox

ENCODING = "utf-8-sig"


class Templates:
    """The templates folder; each source is read once and compiled once.

    Args:
        folder: The folder that template names are relative to.
        root: Repository root, for the file names in problems.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self._sandbox = Sandbox(FileSystemLoader(folder, encoding=ENCODING), auto_reload=False)
        self._reads: dict[str, frozenset[str]] = {}

    def source(self, name: str) -> str:
        """The template's text."""
        return (self.folder / name).read_text(encoding=ENCODING)

    def reads(self, name: str) -> frozenset[str]:
        """The variables that a template reads."""
        if name not in self._reads:
            self._reads[name] = frozenset(variables(self.source(name)))
        return self._reads[name]

    def file(self, name: str) -> str:
        """The template's path as printed in problems."""
        return (self.folder / name).relative_to(self.root).as_posix()

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Render a template by name. Raises `jinja2.TemplateError`."""
        return _rendered(self._sandbox, lambda: self._sandbox.get_template(name), values)


_texts: dict[str, Template] = {}
_sandbox = Sandbox()


def render_text(source: str, values: Mapping[str, Any]) -> str:
    """Render a template given as text. Raises `jinja2.TemplateError`."""

    def template() -> Template:
        if source not in _texts:
            _texts[source] = _sandbox.from_string(source)
        return _texts[source]

    return _rendered(_sandbox, template, values)


def _rendered(sandbox: Sandbox, load: Callable[[], Template], values: Mapping[str, Any]) -> str:
    sandbox.begin(sum(len(value) for value in values.values() if isinstance(value, str)))
    try:
        template = load()  # Jinja computes constant expressions here already
        # As Template.new_context, but for its pass over chained globals, which takes half the time.
        context = Context(sandbox, {**sandbox.globals, **values}, template.name, {})
        return sandbox.concat(template.root_render_func(context))
    except TemplateError as error:
        raise _located(error, error) from None
    # An expression can fail in any way that Python can, 1 / 0 for one.
    except Exception as error:
        raise _located(TemplateError(f"{type(error).__name__}: {error}"), error) from None


def line_of(error: TemplateError) -> int:
    """The template's line at which rendering failed, 1-based; 0 when it is not known."""
    return int(getattr(error, "line", 0))


def _located(error: TemplateError, cause: Exception) -> TemplateError:
    place, line = cause.__traceback__, 0
    while place is not None:
        template = place.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(place.tb_lineno)
        place = place.tb_next
    error.line = line  # type: ignore[attr-defined]
    return error
