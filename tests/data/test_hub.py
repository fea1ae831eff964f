"""The hub, by way of data sets saved locally: the library reads a directory as it reads a repo."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.data.hub import load

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HINT = "check the name, config, revision and split; offline, save the rows and use `file:`"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test saves its data set, with a cold cache."""
    import datasets  # type: ignore[import-untyped]

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "repo"
    path.mkdir()
    return path


def _message(repo: str, split: str = "test", revision: str = COMMIT) -> str:
    with pytest.raises(UserError) as caught:
        load(repo, None, revision, split)
    return str(caught.value)


def test_rows_of_each_split_and_config(folder: Path) -> None:
    (folder / "train.jsonl").write_text(
        '{"question": "1 + 1", "answer": "2"}\n{"question": "1 + 2", "answer": "3"}\n'
    )
    (folder / "test.jsonl").write_text('{"question": "2 + 2", "answer": "4"}\n')
    (folder / "README.md").write_text(
        "---\n"
        "configs:\n"
        "- config_name: main\n"
        "  data_files:\n"
        "  - {split: train, path: train.jsonl}\n"
        "  - {split: test, path: test.jsonl}\n"
        "- config_name: small\n"
        "  data_files:\n"
        "  - {split: train, path: test.jsonl}\n"
        "---\n"
    )
    four = [{"question": "2 + 2", "answer": "4"}]
    assert list(load(str(folder), "main", COMMIT, "train")) == [
        {"question": "1 + 1", "answer": "2"},
        {"question": "1 + 2", "answer": "3"},
    ]
    assert list(load(str(folder), "main", COMMIT, "test")) == four
    assert list(load(str(folder), "small", COMMIT, "train")) == four


def test_parquet_rows_become_plain_values(folder: Path) -> None:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    table = pyarrow.table({"question": ["9"], "choices": [["a", "b"]], "day": [date(2024, 2, 29)]})
    parquet.write_table(table, folder / "test.parquet")
    assert list(load(str(folder), None, COMMIT, "test")) == [
        {"question": "9", "choices": ["a", "b"], "day": "2024-02-29"}
    ]


def test_unknown_split(folder: Path) -> None:
    (folder / "train.jsonl").write_text('{"a": 1}\n')
    assert _message(str(folder), "valid") == (
        f"{folder}: E406 split 'valid' of the data set cannot be loaded: "
        f"Unknown split \"valid\". Should be one of ['train']\n    hint: {HINT}"
    )


def test_broken_data_file(folder: Path) -> None:
    (folder / "train.jsonl").write_text('{"a": \n')
    message = _message(str(folder), "train")
    assert message.startswith(
        f"{folder}: E406 split 'train' of the data set cannot be loaded: "
        "An error occurred while generating the dataset: JSON parse error: "
    )
    assert message.count("\n") == 1


def test_absent_repo(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    message = _message(absent)
    assert message.startswith(f"{absent}: E406 split 'test' of the data set cannot be loaded: ")
    assert message.endswith(f"\n    hint: {HINT}")
    assert message.count("\n") == 1


def test_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **options: object) -> None:
        assert args == ("openai/gsm8k", None)
        assert options == {"revision": COMMIT, "split": "test"}
        raise ConnectionError("Couldn't reach\n'openai/gsm8k' on the Hub" + " (and so on)" * 99)

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    reason = ("Couldn't reach 'openai/gsm8k' on the Hub" + " (and so on)" * 99)[:200]
    assert _message("openai/gsm8k") == (
        "openai/gsm8k: E406 split 'test' of the data set cannot be loaded: "
        f"{reason}\n    hint: {HINT}"
    )


@pytest.mark.parametrize("revision", ["main", COMMIT[:12], COMMIT.upper(), COMMIT + "\n"])
def test_revision_that_is_no_commit(revision: str) -> None:
    assert _message("openai/gsm8k", revision=revision) == (
        f"openai/gsm8k: E405 revision {revision!r} is not a full commit\n"
        "    hint: give the 40 hexadecimal digits of the commit"
    )


def test_library_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert _message("openai/gsm8k") == (
        "openai/gsm8k: E409 the package 'datasets' is not installed\n"
        "    hint: install it, or save the rows and use `file:`"
    )
