"""docs/specs.md is what the schemas say."""

from __future__ import annotations

import json

from stages.schema_docs import FILES, page
from tests.projects import REPOSITORY


def test_the_page_is_up_to_date() -> None:
    text = (REPOSITORY / "docs/specs.md").read_text(encoding="utf-8")
    assert text == page(REPOSITORY), "run `make schema-docs`"


def test_every_key_of_every_schema_is_on_the_page() -> None:
    text = page(REPOSITORY)

    def keys(schema: object) -> set[str]:
        found: set[str] = set()
        if isinstance(schema, dict):
            found |= set(schema.get("properties", {}))
            for value in schema.values():
                found |= keys(value)
        elif isinstance(schema, list):
            for value in schema:
                found |= keys(value)
        return found

    for name in FILES:
        schema = json.loads((REPOSITORY / f"specs/schema/{name}.schema.json").read_text())
        for key in keys(schema):
            assert f"`{key}`" in text or f".{key}`" in text, key


def test_every_key_is_described() -> None:
    def silent(schema: object, path: str = "") -> list[str]:
        found: list[str] = []
        if isinstance(schema, dict):
            for key, inner in schema.get("properties", {}).items():
                if "$ref" in inner:  # described once for all that refer to it
                    inner = {**whole["$defs"][inner["$ref"].rpartition("/")[2]], **inner}
                if not inner.get("description", "").endswith("."):
                    found.append(path + key)
            for key, value in schema.items():
                found += silent(value, f"{path}{key}/")
        elif isinstance(schema, list):
            for value in schema:
                found += silent(value, path)
        return found

    for name in FILES:
        whole = json.loads((REPOSITORY / f"specs/schema/{name}.schema.json").read_text())
        assert silent(whole) == []
