from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.data import coin_flip, hub, reasoning_gym, shuffled_objects
from stages.data.sources import GENERATORS, load_source
from stages.data.splits import take_splits

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _message(source: dict[str, Any], root: Path = Path()) -> str:
    with pytest.raises(UserError) as caught:
        load_source(source, root)
    return str(caught.value)


def _file(root: Path, text: str, name: str = "rows.jsonl") -> dict[str, str]:
    (root / name).write_text(text)
    return {"file": name, "sha256": hashlib.sha256(text.encode()).hexdigest()}


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_is_reachable(name: str) -> None:
    load = load_source({"generator": name, "seed": 3}, Path())
    assert load("generated", 4) == GENERATORS[name](3, 4)


def test_generator_options() -> None:
    load = load_source({"generator": "coin_flip", "seed": 3, "people": 2}, Path())
    assert load("generated", 4) == coin_flip.generate(3, 4, people=2)


def test_generated_splits_share_no_question() -> None:
    splits: dict[str, dict[str, Any]] = {
        "train": {"take": 40},
        "test": {"take": 20, "after": "train"},
    }
    taken = take_splits(splits, load_source({"generator": "coin_flip", "seed": 3}, Path()))
    assert [*taken["train"], *taken["test"]] == coin_flip.generate(3, 60)


def test_reasoning_gym_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def generate(seed: int, count: int, **options: Any) -> list[dict[str, Any]]:
        return [{"seed": seed, "count": count, **options}]

    monkeypatch.setattr(reasoning_gym, "generate", generate)
    source = {"reasoning_gym": "chain_sum", "seed": 3, "config": {"min_terms": 2}}
    assert load_source(source, Path())("generated", 4) == [
        {"seed": 3, "count": 4, "family": "chain_sum", "config": {"min_terms": 2}}
    ]


def test_hub_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*asked: Any) -> list[dict[str, Any]]:
        return [{"asked": asked}]

    monkeypatch.setattr(hub, "load", load)
    source = {"hub": "openai/gsm8k", "config": "main", "revision": COMMIT}
    assert load_source(source, Path())("train", 7) == [
        {"asked": ("openai/gsm8k", "main", COMMIT, "train")}
    ]


def test_generated_rows_have_one_stream() -> None:
    load = load_source({"generator": "coin_flip", "seed": 3}, Path())
    with pytest.raises(UserError) as caught:
        load("train", 4)
    assert str(caught.value) == (
        "data.source: E408 generated rows have no split 'train'\n"
        "    hint: leave `from` out and part the splits with `take` and `after`"
    )


def test_file_splits(tmp_path: Path) -> None:
    rows = '{"a":1,"split":"train"}\n{"a":2,"split":"test"}\n{"a":3,"split":"train"}\n{"a":4}\n'
    load = load_source(_file(tmp_path, rows), tmp_path)
    assert [row["a"] for row in load("generated", 0)] == [1, 2, 3, 4]
    assert [row["a"] for row in load("train", 0)] == [1, 3]
    assert [row["a"] for row in load("test", 0)] == [2]


def test_unknown_file_split(tmp_path: Path) -> None:
    load = load_source(_file(tmp_path, '{"split": "train"}\n{"split": "test"}\n'), tmp_path)
    with pytest.raises(UserError) as caught:
        load("tset", 0)
    assert str(caught.value) == (
        "rows.jsonl: E408 no row has the split 'tset'\n    hint: did you mean 'test'?"
    )


def test_file_without_splits(tmp_path: Path) -> None:
    load = load_source(_file(tmp_path, "{}\n"), tmp_path)
    with pytest.raises(UserError) as caught:
        load("train", 0)
    assert str(caught.value) == (
        "rows.jsonl: E408 no row has the split 'train'\n"
        "    hint: leave `from` out: the rows have no field `split`"
    )


def test_file_may_be_a_link_out_of_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    source = _file(tmp_path, '{"a": 1}\n')
    (root / "rows.jsonl").symlink_to(tmp_path / "rows.jsonl")
    assert list(load_source(source, root)("generated", 0)) == [{"a": 1}]
    roundabout = {**source, "file": "x/../rows.jsonl"}
    assert list(load_source(roundabout, root)("generated", 0)) == [{"a": 1}]


@pytest.mark.parametrize("name", ["/etc/rows.jsonl", "../rows.jsonl", "a/../../rows.jsonl", ".."])
def test_file_outside_the_repository(name: str) -> None:
    assert _message({"file": name, "sha256": "0" * 64}) == (
        f"data.source: E401 the file {name!r} lies outside the repository\n"
        "    hint: copy it into the repository and give its path from the root"
    )


def test_missing_file_is_named_as_the_spec_names_it(tmp_path: Path) -> None:
    load = load_source({"file": "data/rows.jsonl", "sha256": "0" * 64}, tmp_path)
    with pytest.raises(UserError) as caught:
        load("generated", 0)
    assert str(caught.value) == (
        "data/rows.jsonl: E401 there is no such file\n    hint: paths start at the repository root"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"seed": 1},
            "data.source: E404 the source names no kind\n"
            "    hint: name one of: hub, file, reasoning_gym, generator",
        ),
        (
            {"hub": "a/b", "generator": "coin_flip"},
            "data.source: E404 the source names 'hub' and 'generator'\n"
            "    hint: name one of: hub, file, reasoning_gym, generator",
        ),
        (
            {"generator": "coinflip", "seed": 1},
            "data.source: E404 unknown generator 'coinflip'\n    hint: did you mean 'coin_flip'?",
        ),
        (
            {"generator": "coin_flip", "seed": 1, "peple": 2},
            "data.source: E404 generator 'coin_flip' has no option 'peple'\n"
            "    hint: did you mean 'people'?",
        ),
        (
            {"generator": "shuffled_objects", "seed": 1, "words": 2, "people": 2},
            "data.source: E404 generator 'shuffled_objects' has no options 'people', 'words'\n"
            "    hint: allowed: generator, seed",
        ),
        (
            {"generator": "coin_flip"},
            "data.source: E404 generator 'coin_flip' lacks option 'seed'\n"
            "    hint: required: generator, seed",
        ),
        (
            {"generator": "coin_flip", "seed": True, "people": "4"},
            "data.source: E404 generator 'coin_flip' has the wrong kind of value in options "
            "'people', 'seed'\n    hint: people: whole number, seed: whole number",
        ),
        (
            {"generator": "coin_flip", "seed": 1, "people": 0},
            "coin_flip: E404 option 'people' is 0, outside 1 to 1000\n"
            "    hint: choose 'people' from 1 to 1000",
        ),
        (
            {"reasoning_gym": "chain_sum", "seed": 1, "config": [1]},
            "data.source: E404 reasoning_gym 'chain_sum' has the wrong kind of value in option "
            "'config'\n    hint: config: mapping",
        ),
        (
            {"hub": "a/b"},
            "data.source: E404 hub 'a/b' lacks option 'revision'\n"
            "    hint: required: hub, revision",
        ),
        (
            {"file": "a.csv", "sha256": 3},
            "data.source: E404 file 'a.csv' has the wrong kind of value in option 'sha256'\n"
            "    hint: sha256: text",
        ),
    ],
)
def test_bad_source(source: dict[str, Any], message: str) -> None:
    assert _message(source) == message


def test_shuffled_objects_has_no_options() -> None:
    load = load_source({"generator": "shuffled_objects", "seed": 8}, Path())
    assert load("generated", 3) == shuffled_objects.generate(8, 3)


def test_heavy_libraries_wait_until_rows_are_read() -> None:
    code = (
        "import sys, stages.data.sources; "
        "print([name for name in ('datasets', 'reasoning_gym', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
