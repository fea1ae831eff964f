"""Write the reference of every key from the JSON Schemas: ``python -m stages.schema_docs``.

Reads ``specs/schema/*.schema.json``; writes ``docs/specs.md``. A test keeps the two together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stages.core.console import entry, root, say
from stages.core.jsonl import atomic

FILES = {
    "task": "`specs/tasks/<suite>/<task>.yaml`",
    "strategy": "`specs/strategies/<strategy>.yaml`",
    "params": "`params.yaml`",
    "sweep": "`specs/sweeps/<sweep>.yaml`",
    "published": "`specs/published/<paper>.yaml`",
}
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "minItems": "{} or more",
    "maxItems": "{} at most",
    "maxLength": "up to {} characters",
    "pattern": "matches `{}`",
    "default": "default `{}`",
}


def main() -> None:
    """Write the page."""
    top = root()
    with atomic(top / "docs/specs.md") as file:
        file.write(page(top))
    say("schema-docs: docs/specs.md")


def page(top: Path) -> str:
    """The whole reference as Markdown."""
    parts = [
        "# Reference of specs and parameters\n\n"
        "Made from `specs/schema/` by `make schema-docs`; an editor with a YAML language server "
        "checks and completes from the same files. A key that is not listed is an error.\n"
    ]
    for name, where in FILES.items():
        text = (top / f"specs/schema/{name}.schema.json").read_text(encoding="utf-8")
        schema = json.loads(text)
        parts.append(
            f"## {schema['title']}: {where}\n\n{schema['description']}\n\n"
            "| key | value | |\n|---|---|---|\n" + "".join(_rows(schema, schema, ""))
        )
    return "\n".join(parts)


def _rows(schema: Mapping[str, Any], whole: Mapping[str, Any], path: str) -> Iterator[str]:
    required = schema.get("required") or schema.get("else", {}).get("required", ())
    for key, inner in schema.get("properties", {}).items():
        found = _resolved(inner, whole)
        name = f"{path}{key}"
        told = " ".join(
            part
            for part in (
                "" if key in required else "Optional.",
                found.get("description", ""),
            )
            if part
        )
        yield f"| `{name}` | {_kind(found, whole)} | {told.replace('|', '&#124;')} |\n"
        yield from _below(found, whole, name)


def _below(schema: Mapping[str, Any], whole: Mapping[str, Any], name: str) -> Iterator[str]:
    yield from _rows(schema, whole, f"{name}.")
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        yield from _rows(_resolved(more, whole), whole, f"{name}.<name>.")
    if "items" in schema:
        yield from _rows(_resolved(schema["items"], whole), whole, f"{name}[].")
    for form in schema.get("oneOf", ()):
        if "$ref" not in form:
            yield from _rows(form, whole, f"{name}.")


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _kind(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"`{json.dumps(schema['const']).strip(chr(34))}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in schema["enum"])
    if "oneOf" in schema:
        forms = [_resolved(form, whole) for form in schema["oneOf"]]
        return " or ".join(dict.fromkeys(_form(form, whole) for form in forms))
    kinds = schema.get("type", "any")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    told = " or ".join(_word(kind, schema, whole) for kind in kinds)
    limits = [text.format(schema[key]) for key, text in LIMITS.items() if key in schema]
    return ", ".join([told, *limits]).replace("|", "&#124;")


def _form(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    if "const" in schema or "enum" in schema:
        return _kind(schema, whole)
    keys = schema.get("required") or list(schema.get("properties", {}))
    if schema.get("type") == "object" or keys:
        return "{" + ", ".join(f"`{key}`" for key in keys) + "}" if keys else "mapping"
    return _kind(schema, whole)


def _word(kind: str, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    if kind == "array" and "items" in schema:
        return f"list of {_form(_resolved(schema['items'], whole), whole)}"
    words = {"object": "mapping", "array": "list", "string": "text", "integer": "whole number"}
    return words.get(kind, kind)


if __name__ == "__main__":
    entry(main)
