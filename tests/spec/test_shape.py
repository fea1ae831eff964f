from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages.spec.load import load
from stages.spec.shape import check_shape
from tests.projects import REPOSITORY

OBJECT = {"type": "object"}


def _found(folder: Path, schema: dict[str, Any], text: str) -> list[str]:
    (folder / "s.json").write_text(json.dumps(schema))
    (folder / "a.yaml").write_text(text)
    document = load(folder / "a.yaml", folder)
    assert document.problems == []
    return [f"{p.line}:{p.column} {p.message} | {p.hint}" for p in
            check_shape(document, folder / "s.json")]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "text", "found"),
    [
        (
            {"additionalProperties": False, "properties": {"ab": {}}},
            "abc: 1\nzz: 2\n",
            [
                "1:1 unknown key 'abc' in the file | did you mean 'ab'?",
                "2:1 unknown key 'zz' in the file | allowed: ab",
            ],
        ),
        (
            {"properties": {"a": {"required": ["y", "x", "z"]}}},
            "a:\n  z: 1\n",
            ["2:3 a lacks the key 'x' | ", "2:3 a lacks the key 'y' | "],
        ),
        (
            {"properties": {"a": {"maxLength": 3}}},
            "a: long\n",
            ["1:4 a: is longer than 3 characters | "],
        ),
        ({"properties": {"a": {"minLength": 1}}}, "a: ''\n", ["1:4 a: must not be empty | "]),
        (
            {"properties": {"a": {"exclusiveMinimum": 0}}},
            "a: 0\n",
            ["1:4 a: 0 must be more than 0 | "],
        ),
        (
            {"properties": {"a": {"type": ["string", "null"]}}},
            "a: 5\n",
            ["1:4 a must be of type string or null, not integer | put it in quotes"],
        ),
        (
            {"properties": {"a": {"type": "integer"}}},
            "a: '5'\n",
            ["1:4 a must be of type integer, not string | write 5, without quotes"],
        ),
        (
            {"properties": {"a": {"type": "integer"}}},
            "a: '5.5'\n",
            ["1:4 a must be of type integer, not string | "],
        ),
        (
            {"propertyNames": {"pattern": "^[0-9a-f]{40}$"}},
            "a: 1\nb: 2\n",
            [
                "1:1 the key 'a' of the file does not match ^[0-9a-f]{40}$ | "
                "write the full commit, 40 hex digits in small letters",
                "2:1 the key 'b' of the file does not match ^[0-9a-f]{40}$ | "
                "write the full commit, 40 hex digits in small letters",
            ],
        ),
        (
            {"properties": {"a": {"oneOf": [{"required": ["x"]}, {"required": ["y"]}]}}},
            "a: {x: 1, y: 2}\n",
            ["1:4 a fits more than one form; keep one of its keys | "],
        ),
    ],
)
def test_every_rule_has_its_words(
    tmp_path: Path, schema: dict[str, Any], text: str, found: list[str]
) -> None:
    # A folder for each case: validators are kept by path.
    assert _found(tmp_path, schema, text) == found


@pytest.mark.parametrize("kind", ["task", "strategy", "params"])
@pytest.mark.parametrize("text", ["5\n", "[1, [2]]\n", "a word\n", "true\n"])
def test_any_value_in_place_of_the_mapping_is_one_problem(
    tmp_path: Path, kind: str, text: str
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    found = check_shape(
        load(tmp_path / "a.yaml", tmp_path), REPOSITORY / f"specs/schema/{kind}.schema.json"
    )
    assert [problem.code for problem in found] == ["E114"]


@pytest.mark.parametrize("kind", ["task", "strategy", "params"])
def test_the_schemas_are_schemas(kind: str) -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads((REPOSITORY / f"specs/schema/{kind}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
