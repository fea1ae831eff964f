"""JSON Schema errors as problems with a place and a hint (family E1)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from stages.core.errors import Problem, nearest
from stages.spec.document import Document

HINTS = {
    "^[0-9a-f]{40}$": "write the full commit, 40 hex digits in small letters",
    "^[0-9a-f]{64}$": "write the SHA-256, 64 hex digits in small letters",
    "^[a-z][a-z0-9_]{1,40}$": "use 2 to 41 small letters, digits and _, a letter first",
    "^[A-Za-z_][A-Za-z0-9_]*$": "write the name of an environment variable",
}


@cache
def validator(path: Path) -> Draft202012Validator:
    """The schema file as a validator; the file is part of the product, so it is not re-checked."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    return Draft202012Validator(_inlined(schema, schema.get("$defs", {})))


def _inlined(schema: Any, parts: Any) -> Any:
    """The schema with its ``$ref`` written out, which jsonschema checks several times as fast."""
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {"title": name, **_inlined(parts[name], parts)}
    return {key: _inlined(value, parts) for key, value in schema.items() if key != "$defs"}


def check_shape(document: Document, schema: Path) -> list[Problem]:
    """Every place where the document departs from its schema."""
    found: list[Problem] = []
    for error in validator(schema).iter_errors(document.data):
        found += _problems(document, error)
    return found


def _problems(document: Document, error: ValidationError) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    name = ".".join(map(str, path)) or "the file"
    value: Any = error.validator_value
    rule, schema = str(error.validator), cast(Any, error.schema)
    if rule == "additionalProperties":
        allowed = schema.get("properties", {})
        for key in cast(Any, error.instance):
            if key not in allowed:
                yield document.problem(
                    (*path, key), "E111", f"unknown key {key!r} in {name}",
                    nearest(str(key), allowed), key=True,
                )  # fmt: skip
    elif rule == "required":
        missing = sorted(key for key in value if key not in cast(Any, error.instance))
        if missing[:1] and error.message.startswith(repr(missing[0])):
            for key in missing:
                yield document.problem(path, "E112", f"{name} lacks the key {key!r}")
    elif rule in ("oneOf", "anyOf"):
        yield from _branch(document, error, path, name)
    elif rule in ("enum", "const"):
        options = [_shown(option).strip("'") for option in (value if rule == "enum" else [value])]
        yield document.problem(
            path, "E113", f"{name} cannot be {_shown(error.instance)}",
            nearest(str(error.instance), options),
        )  # fmt: skip
    elif rule == "type":
        wanted = value if isinstance(value, str) else " or ".join(value)
        kind = _kind(error.instance)
        yield document.problem(
            path, "E114", f"{name} must be of type {wanted}, not {kind}",
            _type_hint(wanted, error.instance),
        )  # fmt: skip
    elif rule == "pattern" and "propertyNames" in error.absolute_schema_path:
        yield document.problem(
            (*path, error.instance), "E115",
            f"the key {error.instance!r} of {name} does not match {value}",
            HINTS.get(value, ""), key=True,
        )  # fmt: skip
    elif rule == "pattern":
        yield document.problem(
            path, "E115", f"{name} is {error.instance!r}, which does not match {value}",
            HINTS.get(value, ""),
        )  # fmt: skip
    else:
        yield document.problem(path, "E116", f"{name}: {_limit(rule, value, error)}")


def _branch(
    document: Document, error: ValidationError, path: tuple[Any, ...], name: str
) -> Iterator[Problem]:
    """The errors of the alternative that the user most likely meant."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or []:
        branches.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
    if not branches:
        yield document.problem(
            path, "E117", f"{name} fits more than one form; keep one of its keys"
        )
        return

    def distance(index: int) -> tuple[bool, int]:
        kinds = {str(e.validator) for e in branches[index] if not e.relative_path}
        missing = bool(kinds & {"required", "type", "const"})
        return missing, len(branches[index])

    best = min(branches, key=distance)
    if distance(best)[0] and len(branches) > 1:
        titles = [
            str(s.get("title") or s.get("const") or s.get("type") or "")
            for s in cast(Any, error.validator_value)
        ]
        shown = ", ".join(t for t in titles if t) or "see the schema"
        yield document.problem(
            path, "E117", f"{name} has none of the forms allowed", f"forms: {shown}"
        )
        return
    for inner in branches[best]:
        yield from _problems(document, inner)


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _shown(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _type_hint(wanted: str, value: Any) -> str:
    if "string" in wanted and isinstance(value, (bool, int, float)):
        return "put it in quotes"
    if wanted in ("number", "integer") and isinstance(value, str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return ""
        # YAML 1.1 reads 6e-4 as text, for it lacks a point.
        if math.isfinite(number) and (wanted == "number" or number.is_integer()):
            return f"write {int(number) if number.is_integer() else number}, without quotes"
    return ""


def _limit(rule: str, value: Any, error: ValidationError) -> str:
    words = {
        "minimum": f"{error.instance} is less than {value}",
        "maximum": f"{error.instance} is more than {value}",
        "exclusiveMinimum": f"{error.instance} must be more than {value}",
        "exclusiveMaximum": f"{error.instance} must be less than {value}",
        "minItems": f"needs at least {value} item",
        "maxItems": f"takes at most {value} item",
        "minLength": "must not be empty",
        "maxLength": f"is longer than {value} characters",
        "not": "holds keys that exclude each other",
        "minProperties": f"needs at least {value} key",
        "maxProperties": f"takes at most {value} key",
        "uniqueItems": "holds the same item twice",
    }
    return words.get(rule, str(error.message))
