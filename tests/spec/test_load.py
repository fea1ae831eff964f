from __future__ import annotations

from pathlib import Path

import pytest

from stages.spec.document import Document
from stages.spec.load import load


def _load(folder: Path, text: str | bytes) -> Document:
    path = folder / "a.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, folder)


def _problems(folder: Path, text: str | bytes) -> str:
    return "\n".join(map(str, _load(folder, text).problems))


def test_values_keep_their_types_and_places(tmp_path: Path) -> None:
    document = _load(tmp_path, "a: 1\nb:\n  - x\n  - {c: 2.5, d: null, e: 'no', f: 2024-01-02}\n")
    assert document.problems == []
    assert document.data == {
        "a": 1,
        "b": ["x", {"c": 2.5, "d": None, "e": "no", "f": "2024-01-02"}],
    }
    assert document.place(("b", 1, "d"))[1:] == (4, 17)
    assert document.place(("b", 1, "d"), key=True)[1:] == (4, 14)
    assert str(document.problem(("b", 1, "d"), "E000", "here")) == (
        "a.yaml:4:17: E000 here\n"
        "      - {c: 2.5, d: null, e: 'no', f: 2024-01-02}\n"
        "                    ^"
    )


def test_a_problem_without_a_place_of_its_own_goes_to_the_parent(tmp_path: Path) -> None:
    document = _load(tmp_path, "a:\n  b: 1\n")
    assert document.problem(("a", "c", "d"), "E000", "here").line == 2
    assert document.problem((), "E000", "here").line == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(tmp_path: Path, text: str) -> None:
    document = _load(tmp_path, text)
    assert (document.data, document.problems) == ({}, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: 1\nb: 2\na: 3\na: 4\n",
            "a.yaml:3:1: E106 the key 'a' stands twice in this mapping\n    a: 3\n    ^\n"
            "    first defined here: a.yaml:1:1\n    a: 1\n    ^\n    hint: keep one\n"
            "a.yaml:4:1: E106 the key 'a' stands twice in this mapping\n    a: 4\n    ^\n"
            "    first defined here: a.yaml:1:1\n    a: 1\n    ^\n    hint: keep one",
        ),
        ("? [a]\n: 1\n", "a.yaml:1:3: E105 a key must be a plain word\n    ? [a]\n      ^"),
        (
            "a: &x [1]\nb: *x\n",
            "a.yaml:2:4: E107 an alias (*name) is not allowed\n    b: *x\n       ^\n"
            "    hint: write the value out",
        ),
        (
            "a: !env HOME\n",
            "a.yaml:1:4: E107 the YAML tag !env is not allowed\n    a: !env HOME\n       ^\n"
            "    hint: write a plain value, in quotes where it is text",
        ),
        (
            "a: !!set {b}\n",
            "a.yaml:1:4: E107 the YAML tag !!set is not allowed\n    a: !!set {b}\n       ^\n"
            "    hint: write a plain value, in quotes where it is text",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "a.yaml:2:1: E103 this is not valid YAML: another document begins here\n"
            "    ---\n    ^\n    hint: keep one",
        ),
        (
            "a:\n\tb: 1\n",
            "a.yaml:2:1: E103 this is not valid YAML: while scanning for the next token, "
            "found character that cannot start any token\n     b: 1\n    ^\n"
            "    hint: indent with spaces",
        ),
        (
            "a: 1\nb: x\x00y\n",
            "a.yaml:2:5: E103 this is not valid YAML: it holds the character U+0000\n"
            "    b: x y\n        ^\n    hint: remove the character",
        ),
        (
            "a: .inf\n",
            "a.yaml:1:4: E103 this value cannot be read: it is not a finite number\n"
            "    a: .inf\n       ^",
        ),
        (
            "a: !!bool maybe\n",
            "a.yaml:1:4: E103 this value cannot be read: 'maybe' is no bool\n"
            "    a: !!bool maybe\n       ^",
        ),
        (
            b"a: 1\nb: caf\xe9\n",
            "a.yaml:2:7: E102 this file is not UTF-8 text\n    hint: save it as UTF-8",
        ),
        ("[" * 30 + "]" * 30, None),
        (
            "[" * 5000,
            f"a.yaml:1:26: E104 this is nested too deeply\n    {'[' * 159}…\n    {' ' * 25}^",
        ),
        (
            "a: " + "x" * (1 << 20),
            "a.yaml: E102 this file is larger than 1048576 bytes: it has 1048579",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, message: str | None) -> None:
    if message is None:
        message = f"a.yaml:1:26: E104 this is nested too deeply\n    {text!s}\n    {' ' * 25}^"
    assert _problems(tmp_path, text) == message


def test_lines_end_where_yaml_ends_them(tmp_path: Path) -> None:
    document = _load(tmp_path, "a: 1\r\nb: 'x\u2028y'\rc: 3\n")
    problem = document.problem(("c",), "E000", "here")
    assert (problem.line, problem.source) == (4, "c: 3")


def test_a_file_outside_the_root_is_named_in_full(tmp_path: Path) -> None:
    path = tmp_path / "absent.yaml"
    assert str(load(path, tmp_path / "root").problems[0]) == (
        f"{path.as_posix()}: E101 this file does not exist"
    )
