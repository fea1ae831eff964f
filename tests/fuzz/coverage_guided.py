"""Coverage-guided fuzzing of the spec loader and the template sandbox with atheris.

    pip install atheris
    python tests/fuzz/coverage_guided.py -max_total_time=600

An exception other than a diagnostic, or an input that takes 20 s, stops it and is saved.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["stages", "yaml", "jinja2"]):
    from jinja2 import TemplateError

    from stages.core.errors import formatted
    from stages.spec.document import Document, Text
    from stages.spec.lint import Scope, check_source
    from stages.spec.load import parse
    from stages.spec.render import render_text
    from stages.spec.shape import check_shape

SCHEMAS = Path(__file__).parents[2] / "specs/schema"
VALUES = {"question": "What is 1 + 1?", "options": ["1", "2"], "row": {"a": {"b": "c"}, "n": 1}}


def one(data: bytes) -> None:
    """The first byte chooses what the rest is taken for."""
    if not data:
        return
    kind, rest = data[0] % 3, data[1:]
    if kind == 2:
        source = rest.decode("utf-8", "replace")
        check_source(source, "a.j2", Scope({"question": str, "options": list}))
        with suppress(TemplateError):
            render_text(source, VALUES)
        return
    document = Document(Text("a.yaml"))
    parse(document, rest)
    problems = list(document.problems)
    if not problems:
        name = "task" if kind else "strategy"
        problems = check_shape(document, SCHEMAS / f"{name}.schema.json")
    formatted(problems, "text")
    formatted(problems, "github")


if __name__ == "__main__":
    atheris.Setup([*sys.argv, "-timeout=20"], one)
    atheris.Fuzz()
