"""Overrides against what DVC makes of them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.spec.load import load
from stages.sweeping.overrides import overrides, shown

WORDS = ["null", "true", "false", "nan", "inf"]
# a name that YAML or Hydra reads as a number or a truth value is not written bare by any of them
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda key: key not in WORDS)
# YAML 1.1 and 1.2 differ over these words, and DVC writes 1.2
PLAIN = re.compile(r"[-+0-9_.:eE ,]*|y|n|yes|no|on|off", re.IGNORECASE)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).filter(
    lambda text: "${" not in text and not PLAIN.fullmatch(text)
)
ODD = [
    "null",
    "a,b",
    "it's",
    '"q"',
    "a\\",
    '\\"',
    " x ",
    "true",
    "Org/M-1.5",
    "http://x:80/v1",
    "{",
]
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), TEXT, st.sampled_from(ODD),
    st.sampled_from([0.5, 1.0, 5e-4, 1e-05, 2.5e-3, -0.25, 2e16]),
)  # fmt: skip
TREE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
PARAMS = st.dictionaries(KEYS, TREE, max_size=4)


def near(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-15)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(near, one, other))
    return type(one) is type(other) and bool(one == other)


def applied(folder: Path, then: dict[str, Any], changes: list[str]) -> Any:
    """What this project reads of a file once DVC has applied the changes to it."""
    from dvc.utils.hydra import apply_overrides

    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(then), encoding="utf-8")
    apply_overrides(str(path), changes)
    document = load(path, folder)
    assert document.problems == []
    return document.data


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(then=PARAMS, now=PARAMS)
def test_dvc_makes_the_one_of_the_other(
    tmp_path: Path, then: dict[str, Any], now: dict[str, Any]
) -> None:
    assert near(applied(tmp_path, then, list(overrides(then, now))), now)


@pytest.mark.parametrize("word", WORDS)
def test_a_key_that_hydra_reads_as_a_value_stays_text(tmp_path: Path, word: str) -> None:
    now = {"a": {word: [1], "b": {word: {}}}}
    for then in ({}, {"a": 1}, {"a": {word: 2}}):
        assert applied(tmp_path, then, list(overrides(then, now))) == now


def test_what_is_alike_needs_no_word() -> None:
    same = {"a": {"b": [1, {"c": None}]}, "d": 1}
    assert list(overrides(same, same)) == []
    assert list(overrides({"a": 1}, {"a": 1.0})) == ["a=1.0"]
    assert list(overrides({"a": 1}, {"a": True})) == ["a=true"]


def test_each_kind_of_change() -> None:
    then = {"runs": {"a": {"train_on": "answers"}, "b": None}, "x": [1], "y": 2}
    now = {"runs": {"c": {"train_on": "steps", "tasks": ["t"]}}, "x": {"k": 1}, "y": "a b"}
    assert list(overrides(then, now)) == [
        "~runs.a",
        "runs.b=0",
        "~runs.b",
        "+runs.c={train_on:steps,tasks:[t]}",
        "~x",
        "+x={k:1}",
        'y="a b"',
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("gpt-4.1-mini", "gpt-4.1-mini"),
        ("HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M"),
        ("0123456789abcdef", '"0123456789abcdef"'),
        ("https://api.openai.com/v1", '"https://api.openai.com/v1"'),
        ("True", '"True"'),
        ("", '""'),
        (None, "null"),
        (0.0005, "0.0005"),
        (5e-05, "5.000000000000001e-05"),
    ],
)
def test_values_in_hydras_grammar(value: Any, text: str) -> None:
    assert shown(value) == text
