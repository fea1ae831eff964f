from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.core.jsonl import (
    atomic,
    canonical,
    digest,
    read_json,
    read_rows,
    write_json,
    write_rows,
)


def test_one_text_for_one_value() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert canonical("\ud800") == '"\\ud800"'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(math.nan)


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    rows = [{"a": "x\u2028y\x85z\r\n"}, ["\ud800"], None]
    path = tmp_path / "deep/rows.jsonl"
    assert write_rows(path, rows) == 3
    assert list(read_rows(path)) == rows
    write_json(path, rows)
    assert read_json(path) == rows


def _failing() -> Iterator[int]:
    yield 1
    raise RuntimeError("in the middle")


def test_a_failure_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, ["old"])
    with pytest.raises(RuntimeError, match="in the middle"):
        write_rows(path, _failing())
    with pytest.raises(KeyboardInterrupt), atomic(path) as file:
        file.write("half")
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, [math.inf])
    assert list(read_rows(path)) == ["old"]
    assert [item.name for item in tmp_path.iterdir()] == ["rows.jsonl"]


def test_nothing_stands_under_the_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with atomic(path) as file:
        file.write("1\n")
        assert not path.exists()
    assert path.read_text() == "1\n"


def test_what_an_earlier_stage_has_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for read in (read_json, lambda path: next(read_rows(path))):
        with pytest.raises(UserError) as caught:
            read(tmp_path / "build/selected/symbolic.json")
        assert str(caught.value) == (
            "build/selected/symbolic.json: E514 this does not exist yet\n"
            "    hint: run `dvc repro`, which makes it"
        )
