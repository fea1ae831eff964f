"""A task's `row` block: which fields of a source row become question, options, gold and worked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import TemplateError, nodes

from stages.core.errors import Problem
from stages.spec.document import Document
from stages.spec.lint import Scope, check_source, tree
from stages.spec.model import Task
from stages.spec.render import render_text

Where = tuple[str, ...]
ASKED = ("question", "options")
SECRET = ("gold", "worked")
WHAT = {"gold": "gold answer", "worked": "worked solution"}
TEMPLATES = ("render", "lines")
SCOPE = Scope({"row": object})


def check_blocks(task: Task, document: Document) -> Iterator[Problem]:
    """Each `render` text as a template, and a gold answer that is shown in the question."""
    wrong = False
    for path, block in blocks(task.row, ("row",)):
        form = next((form for form in TEMPLATES if form in block), None)
        if form:
            text, line, column = document.place((*path, form))
            for found in check_source(block[form], text.file, SCOPE):
                wrong = True
                hint = found.hint
                if found.code == "E303":
                    name = found.message.split("'")[1]
                    hint = f"a source row is called row: write row.{name}"
                yield Problem(
                    text.file, line, column, found.code, found.message, hint, text.line(line)
                )
    if not wrong:
        yield from _leaks(task, document)


def _leaks(task: Task, document: Document) -> Iterator[Problem]:
    """E412: the question or an option writes out a field that is the answer.

    Options may name the field from which `gold` picks; a field that only part of is written, as
    in ``row.text.split('####')[0]``, is left to the check of the rows.
    """
    secret = {
        field: path
        for path, block in blocks(task.row, ("row",))
        if path[1] in SECRET and len(fields := set(_written(block))) == 1
        for field in fields
    }
    for path, block in blocks(task.row, ("row",)):
        if path[1] in ASKED:
            for field in _written(block):
                source = next((s for hidden, s in secret.items() if _overlap(hidden, field)), None)
                if source:
                    shown, what = ".".join(("row", *field)), WHAT[source[1]]
                    verb = "is" if secret.get(field) else "holds"
                    yield document.problem(
                        path, "E412", f"{path[1]} writes out {shown}, which {verb} the {what}",
                        "name another field, or only a part of this one",
                        related=document.related(source, f"the {what} is read here"),
                    )  # fmt: skip


def _overlap(one: Where, two: Where) -> bool:
    shorter = min(len(one), len(two))
    return one[:shorter] == two[:shorter]


def _written(block: Mapping[str, str]) -> Iterator[Where]:
    """The fields that a block writes out whole, as paths into the row."""
    if "get" in block:
        yield tuple(block["get"].split("."))
        return
    source = block["render"] if "render" in block else block["lines"]
    for output in tree(source).find_all(nodes.Output):
        for part in output.nodes:
            while isinstance(part, nodes.Filter) and part.node is not None:
                part = part.node
            field = _field(part)
            if field is not None:
                yield field


def _field(node: nodes.Node) -> Where | None:
    if isinstance(node, nodes.Name):
        return () if node.name == "row" else None
    if isinstance(node, nodes.Getattr):
        outer = _field(node.node)
        return None if outer is None else (*outer, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        outer = _field(node.node)
        return None if outer is None else (*outer, str(node.arg.value))
    return None


def blocks(row: Mapping[str, Any], path: Where) -> Iterator[tuple[Where, Mapping[str, str]]]:
    """Every ``{get: …}``, ``{render: …}`` and ``{lines: …}`` with its key path."""
    for key, block in row.items():
        if key == "worked" and "get" not in block:
            yield from blocks(block, (*path, key))
        else:
            yield (*path, key), block


def value(block: Mapping[str, str], raw: Mapping[str, Any]) -> Any:
    """What a block gives for a source row. Raises `KeyError` and `jinja2.TemplateError`."""
    if "render" in block:
        return render_text(block["render"], {"row": raw})
    if "lines" in block:
        made = render_text(block["lines"], {"row": raw}).split("\n")
        return [line.strip() for line in made if line.strip()]
    found: Any = raw
    for part in block["get"].split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise KeyError(block["get"])
        found = found[part]
    if found is None:
        raise KeyError(f"{block['get']} with a value")
    return found


def worked(task: Task, raw: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Recorded completions by strategy, one or several, those that have none left out.

    Raises `KeyError` and `jinja2.TemplateError`.
    """
    block = task.row.get("worked", {})
    if "get" in block:
        found = value(block, raw)
        if not isinstance(found, Mapping):
            raise KeyError(f"{block['get']} that maps strategies to completions")
    else:
        found = {strategy: value(inner, raw) for strategy, inner in block.items()}
    made = {str(strategy): _texts(texts) for strategy, texts in found.items()}
    return {strategy: texts for strategy, texts in made.items() if texts}


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, (list, tuple)) else (str(found),)


def reason(error: KeyError | TemplateError) -> str:
    """Why a block gives nothing for a row."""
    if isinstance(error, KeyError):
        return f"there is no field {error.args[0]}"
    return f"the template fails: {error}"
