"""Hostile specs and templates: problems or a result, never a traceback, never a hang.

A few seconds each by default; ``make fuzz`` gives them ``FUZZ_SECONDS``.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from jinja2 import TemplateError

from stages.compiler.check import problems_of
from stages.core.errors import formatted
from stages.spec.document import Document, Text
from stages.spec.lint import Scope, check_source
from stages.spec.load import parse
from stages.spec.render import render_text
from tests.projects import COIN, REPOSITORY, STEPS, Copy, copy_project

SECONDS = float(os.environ.get("FUZZ_SECONDS", "12")) / 4
SLOW = 20.0
"""Seconds after which one input counts as a hang."""
EXAMPLES = 100

FILES = [
    "params.yaml", COIN, STEPS, "templates/strategies/step_by_step.system.j2",
    "templates/student/answer.j2", "templates/student/question.user.j2",
]  # fmt: skip
CUTS = [
    ":", "\n", "  ", "\t", "{", "}", "[", "]", "{{", "}}", "{%", "%}", "&a ", "*a", "!!python/x ",
    "- ", "'", '"', "|", ">", "null", "0", "1e999", "-1", "\x00", "\ufeff", "é", "\u2028", "%", "#",
    "include: _x.yaml\n", "<<: ", "? ", "row.", "question", "answer", "~", "*", "999999999999",
]  # fmt: skip


def for_seconds(run: Callable[[], None], limit: float) -> int:
    """Call a hypothesis test with ever new seeds until time is up."""
    start, rounds = time.monotonic(), 0
    while rounds == 0 or time.monotonic() - start < limit:
        seed(rounds)(run)()
        rounds += 1
    return rounds


quick = settings(
    max_examples=EXAMPLES,
    deadline=SLOW * 1000,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return copy_project(tmp_path_factory.mktemp("fuzz"))


def _mutated(text: str, draws: random.Random) -> str:
    for _ in range(draws.randint(1, 4)):
        at, end = sorted(draws.randrange(len(text) + 1) for _ in range(2))
        kind = draws.randrange(4)
        if kind == 0:
            text = text[:at] + draws.choice(CUTS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[min(end, at + 8) :]
        elif kind == 2:
            text = text[:at] + text[at : at + 30] * draws.randint(2, 3) + text[at:]
        else:
            lines = text.split("\n")
            draws.shuffle(lines)
            text = "\n".join(lines)
    return text


def test_mutated_files_give_problems(spoiled: Copy) -> None:
    kept = {file: spoiled.read(file) for file in FILES}
    names = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.rglob("*.*")}

    @quick
    @given(st.integers(0, 2**32))
    def run(number: int) -> None:
        draws = random.Random(number)
        file = draws.choice(FILES)
        spoiled.write(file, _mutated(kept[file], draws).replace("\r", ""))
        try:
            for problem in problems_of(spoiled.root):
                assert problem.code[0] == "E" and len(problem.code) == 4
                assert problem.message and problem.line >= 0
                assert problem.file in names or problem.file
                str(problem)
                formatted([problem], "github")
        finally:
            spoiled.write(file, kept[file])

    assert for_seconds(run, SECONDS) > 0
    assert problems_of(spoiled.root) == []


def test_random_bytes_are_read_or_refused() -> None:
    @quick
    @given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
    def run(raw: bytes) -> None:
        document = Document(Text("a.yaml"))
        parse(document, raw)
        for problem in document.problems:
            if problem.code != "E102":  # where there are no lines of text
                assert 1 <= problem.line <= len(document.text.lines)
        if not document.problems:
            with suppress(yaml.YAMLError, ValueError):  # values that are no dates, for one
                assert _same(document.data, yaml.load(raw.decode("utf-8-sig"), yaml.CSafeLoader))

    assert for_seconds(run, SECONDS) > 0


def _same(ours: object, theirs: object) -> bool:
    """As PyYAML reads it, but for dates and keys, which stay text here."""
    if theirs is None:
        return ours in ({}, None)
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and len(ours) >= len(theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and all(map(_same, ours, theirs))
    return ours == theirs or isinstance(ours, str)


def _words(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


OPERATORS = _words("+ - * / // % ** ~ == < in and or")
NAMES = _words("question options row x loop namespace dict range cycler self true none __class__")
WORDS = _words(
    "upper lower join replace split strip format center ljust items get __class__ mro __init__ "
    "length first last map select list sort tojson attr batch indent random pprint xmlattr"
)


def _expressions() -> st.SearchStrategy[str]:
    atom = st.one_of(
        NAMES, st.integers(-(10**9), 10**9).map(str), st.sampled_from(["''", "'ab'", "[]", "[1,2]"])
    )

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, WORDS).map(lambda t: f"{t[0]}.{t[1]}"),
            st.tuples(inner, WORDS).map(lambda t: f"({t[0]} | {t[1]})"),
            st.tuples(inner, WORDS, inner).map(lambda t: f"{t[0]}.{t[1]}({t[2]})"),
            st.tuples(inner, WORDS, inner, inner).map(lambda t: f"({t[0]}|{t[1]}({t[2]},{t[3]}))"),
            st.tuples(inner, OPERATORS, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]"),
        )

    return st.recursive(atom, grow, max_leaves=8)


def _templates() -> st.SearchStrategy[str]:
    expression = _expressions()
    text = st.one_of(expression.map(lambda e: f"{{{{ {e} }}}}"), st.text(max_size=10))

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(expression, inner).map(
                lambda t: f"{{% for x in {t[0]} %}}{t[1]}{{% endfor %}}"
            ),
            st.tuples(expression, inner).map(lambda t: f"{{% if {t[0]} %}}{t[1]}{{% endif %}}"),
            st.tuples(expression, inner).map(lambda t: f"{{% set x = {t[0]} %}}{t[1]}"),
            st.tuples(inner, inner).map("".join),
        )

    return st.recursive(text, grow, max_leaves=6)


def test_any_template_is_checked_and_rendered_within_bounds() -> None:
    values = {"question": "What is it? " * 20, "options": ["a", "b"] * 5, "row": {"x": "y" * 99}}

    @quick
    @given(_templates())
    def run(source: str) -> None:
        for problem in check_source(source, "a.j2", Scope({"question": str, "options": list})):
            assert problem.line <= source.count("\n") + 1
        with suppress(TemplateError):
            assert len(render_text(source, values)) <= 1_000_000

    assert for_seconds(run, SECONDS) > 0


def test_sources_that_compile_to_the_same_project_are_stable(spoiled: Copy, tmp_path: Path) -> None:
    """A spec written anew by a YAML library is the same spec."""
    data = yaml.safe_load(spoiled.read(COIN))

    @quick
    @given(st.permutations(sorted(data)), st.booleans(), st.integers(20, 200))
    def run(keys: list[str], flow: bool, width: int) -> None:
        text = yaml.safe_dump(
            {key: data[key] for key in keys}, sort_keys=False, width=width,
            default_flow_style=flow or None,
        )  # fmt: skip
        document = Document(Text("a.yaml"))
        parse(document, text.encode())
        assert document.problems == []
        assert document.data == data

    assert for_seconds(run, SECONDS) > 0
