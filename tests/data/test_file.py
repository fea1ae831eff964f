from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.data.file import load

ROWS = [{"question": "1 + 1", "answer": "2"}, {"question": "a, b", "answer": "x\u2028y"}]
CSV_HINT = "    hint: give every row as many fields as the header, quoted where they hold commas"
JSON_HINT = "    hint: write a list of objects, or an object with the list under `examples`"


def _write(folder: Path, name: str, text: str | bytes) -> tuple[Path, str]:
    data = text.encode() if isinstance(text, str) else text
    path = folder / name
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def _message(folder: Path, name: str, text: str | bytes) -> str:
    path, sha256 = _write(folder, name, text)
    with pytest.raises(UserError) as caught:
        load(path, sha256, f"data/{name}")
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "rows.jsonl",
            '{"question":"1 + 1","answer":"2"}\n\n{"question":"a, b","answer":"x\u2028y"}\n',
        ),
        (
            "rows.JSON",
            '[{"question":"1 + 1","answer":"2"},{"question":"a, b","answer":"x\\u2028y"}]',
        ),
        (
            "rows.json",
            '{"name": "n", "examples": [{"question":"1 + 1","answer":"2"},\n'
            '{"question":"a, b","answer":"x\u2028y"}]}',
        ),
        ("rows.csv", '\ufeffquestion,answer\r\n1 + 1,2\r\n\r\n"a, b",x\u2028y\r\n'),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, text: str) -> None:
    path, sha256 = _write(tmp_path, name, text)
    assert list(load(path, sha256)) == ROWS
    assert list(load(path, sha256.upper())) == ROWS


def test_csv_fields_may_hold_line_breaks(tmp_path: Path) -> None:
    path, sha256 = _write(tmp_path, "rows.csv", 'q,a\n"one\r\ntwo",3\n')
    assert list(load(path, sha256)) == [{"q": "one\r\ntwo", "a": "3"}]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path / "rows.jsonl", "0" * 64, "data/rows.jsonl")
    assert str(caught.value) == (
        "data/rows.jsonl: E401 there is no such file\n    hint: paths start at the repository root"
    )


def test_messages_fall_back_to_the_path(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with pytest.raises(UserError) as caught:
        load(path, "0" * 64)
    assert str(caught.value).startswith(f"{path}: E401 ")


def test_changed_file(tmp_path: Path) -> None:
    path, sha256 = _write(tmp_path, "rows.jsonl", "{}\n")
    with pytest.raises(UserError) as caught:
        load(path, "0" * 64, "data/rows.jsonl")
    assert str(caught.value) == (
        f"data/rows.jsonl: E402 the file's sha256 is {sha256}, the spec says {'0' * 64}\n"
        "    hint: restore the file, or write its new sha256 into the spec if the change is meant"
    )


def test_unknown_format(tmp_path: Path) -> None:
    assert _message(tmp_path, "rows.parquet", "") == (
        "data/rows.parquet: E403 files ending in '.parquet' cannot be read\n"
        "    hint: use .jsonl, .csv or .json"
    )


def test_every_bad_json_line_is_named(tmp_path: Path) -> None:
    text = '{"a": 1}\n[1]\n{"a" 1}\n{"a": NaN}\n'
    assert _message(tmp_path, "rows.jsonl", text) == (
        "data/rows.jsonl:2:1: E403 line 2 is not a JSON object\n"
        "    hint: write one JSON object a line\n"
        "data/rows.jsonl:3:6: E403 line 3 is not a JSON object: "
        "Expecting ':' delimiter\n"
        "    hint: write one JSON object a line\n"
        "data/rows.jsonl:4:1: E403 line 4 is not a JSON object: NaN is not JSON\n"
        "    hint: write one JSON object a line"
    )


def test_bad_lines_fit_one_screen(tmp_path: Path) -> None:
    message = _message(tmp_path, "rows.jsonl", "1\n" * 1000)
    assert message.count("E403") == 5


def test_not_utf8(tmp_path: Path) -> None:
    assert _message(tmp_path, "rows.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n') == (
        "data/rows.jsonl:2:1: E403 the line is not UTF-8\n    hint: save the file as UTF-8"
    )


def test_broken_json(tmp_path: Path) -> None:
    assert _message(tmp_path, "rows.json", "[{},\n{]") == (
        "data/rows.json:2:2: E403 the file is not JSON: "
        f"Expecting property name enclosed in double quotes\n{JSON_HINT}"
    )


@pytest.mark.parametrize("text", ['{"rows": []}', '{"examples": {}}', "3"])
def test_json_without_rows(tmp_path: Path, text: str) -> None:
    assert _message(tmp_path, "rows.json", text) == (
        f"data/rows.json: E403 the file holds no list of rows\n{JSON_HINT}"
    )


def test_json_row_that_is_no_object(tmp_path: Path) -> None:
    assert _message(tmp_path, "rows.json", "[{}, 3]") == (
        f"data/rows.json: E403 row 2 is not a JSON object\n{JSON_HINT}"
    )


def test_json_constant(tmp_path: Path) -> None:
    assert _message(tmp_path, "rows.json", "[Infinity]") == (
        f"data/rows.json:1:1: E403 the file is not JSON: Infinity is not JSON\n{JSON_HINT}"
    )


def test_csv_rows_of_other_lengths(tmp_path: Path) -> None:
    assert _message(tmp_path, "rows.csv", "a,b\n1,2\n1\n1,2,3\n") == (
        f"data/rows.csv:3:1: E403 the header names 2 fields, the row has 1\n{CSV_HINT}\n"
        f"data/rows.csv:4:1: E403 the header names 2 fields, the row has 3\n{CSV_HINT}"
    )


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n"])
def test_csv_header(tmp_path: Path, text: str) -> None:
    assert _message(tmp_path, "rows.csv", text) == (
        f"data/rows.csv:1:1: E403 the header row is empty or repeats a name\n{CSV_HINT}"
    )


def test_csv_quote_left_open(tmp_path: Path) -> None:
    assert _message(tmp_path, "rows.csv", 'a,b\n1,"2\n') == (
        f"data/rows.csv:2:1: E403 the row is not CSV: unexpected end of data\n{CSV_HINT}"
    )
