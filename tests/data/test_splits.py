from __future__ import annotations

from random import Random
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.data.splits import take_splits

Splits = dict[str, dict[str, Any]]


class Source:
    """Streams of numbered rows, finite or made to measure, that note how they were asked."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes
        self.calls: list[tuple[str, int]] = []

    def __call__(self, name: str, count: int) -> list[dict[str, Any]]:
        self.calls.append((name, count))
        return [{"id": f"{name}{at}"} for at in range(self.sizes.get(name, count))]


def _ids(splits: Splits, source: Source) -> dict[str, list[str]]:
    return {name: [row["id"] for row in rows] for name, rows in take_splits(splits, source).items()}


def _message(splits: Splits, source: Source) -> str:
    with pytest.raises(UserError) as caught:
        take_splits(splits, source)
    return str(caught.value)


def test_splits_of_a_generated_stream_follow_each_other() -> None:
    source = Source()
    splits: Splits = {
        "test": {"take": 2, "after": "probe"},
        "train": {"take": 3},
        "probe": {"take": 1, "after": "train"},
    }
    assert _ids(splits, source) == {
        "test": ["generated4", "generated5"],
        "train": ["generated0", "generated1", "generated2"],
        "probe": ["generated3"],
    }
    assert source.calls == [("generated", 6)]


def test_each_stream_is_loaded_once_with_its_largest_need() -> None:
    source = Source(train=9, test=4)
    splits: Splits = {
        "train": {"from": "train", "take": 5},
        "probe": {"from": "train", "take": 2, "after": "train"},
        "rest": {"from": "train", "after": "probe"},
        "other": {"from": "train", "take": 3, "seed": 1},
        "test": {"from": "test"},
    }
    taken = _ids(splits, source)
    assert taken["rest"] == ["train7", "train8"]
    assert taken["test"] == ["test0", "test1", "test2", "test3"]
    assert sorted(source.calls) == [("test", 0), ("train", 7)]


def test_a_seed_shuffles_all_rows_before_cutting() -> None:
    splits: Splits = {
        "train": {"from": "train", "take": 4, "seed": 11},
        "probe": {"from": "train", "take": 3, "seed": 11, "after": "train"},
        "again": {"from": "train", "take": 3, "seed": 12},
    }
    expected = [f"train{at}" for at in range(10)]
    Random(11).shuffle(expected)
    taken = _ids(splits, Source(train=10))
    assert taken["train"] + taken["probe"] == expected[:7]
    assert taken["train"] == ["train2", "train6", "train0", "train1"]
    assert taken["again"] != taken["train"][:3]


def test_a_finite_stream_does_not_depend_on_what_is_taken() -> None:
    small = _ids({"a": {"from": "train", "take": 2, "seed": 3}}, Source(train=10))
    large = _ids({"a": {"from": "train", "take": 9, "seed": 3}}, Source(train=10))
    assert small["a"] == large["a"][:2]


def test_a_split_may_be_empty_when_it_says_so() -> None:
    assert _ids({"a": {"take": 0}}, Source()) == {"a": []}


def test_unknown_predecessor() -> None:
    splits: Splits = {"train": {"take": 1}, "probe": {"take": 1, "after": "trian"}}
    assert _message(splits, Source()) == (
        "data.splits.probe: E407 `after` names the unknown split 'trian'\n"
        "    hint: did you mean 'train'?"
    )


@pytest.mark.parametrize(
    "other", [{"from": "train", "seed": 2}, {"from": "test", "seed": 1}, {"from": "train"}]
)
def test_predecessor_in_another_stream(other: dict[str, Any]) -> None:
    splits: Splits = {
        "train": {"from": "train", "take": 1, "seed": 1},
        "probe": {**other, "take": 1, "after": "train"},
    }
    assert _message(splits, Source(train=5, test=5)) == (
        "data.splits.probe: E407 `after` names 'train', which is cut from another stream\n"
        "    hint: give both the same `from` and `seed`"
    )


def test_circle() -> None:
    splits: Splits = {
        "a": {"take": 1, "after": "b"},
        "b": {"take": 1, "after": "a"},
        "c": {"take": 1, "after": "a"},
    }
    hint = "    hint: let one of them start the stream, without `after`"
    assert _message(splits, Source()) == (
        f"data.splits.a: E407 the splits run in a circle: 'a' after 'b' after 'a'\n{hint}\n"
        f"data.splits.b: E407 the splits run in a circle: 'b' after 'a' after 'b'\n{hint}"
    )


def test_split_after_itself() -> None:
    assert _message({"a": {"take": 1, "after": "a"}}, Source()) == (
        "data.splits.a: E407 the splits run in a circle: 'a' after 'a'\n"
        "    hint: let one of them start the stream, without `after`"
    )


def test_too_few_rows_in_every_split_at_once() -> None:
    splits: Splits = {
        "train": {"from": "train", "take": 5},
        "probe": {"from": "train", "take": 3, "after": "train"},
        "test": {"from": "test", "take": 2},
        "none": {"from": "none", "take": 2},
    }
    assert _message(splits, Source(train=6, test=1, none=0)) == (
        "data.splits.none: E408 the split takes 2, but there are 0 rows in 'none'\n"
        "    hint: the source gave no rows\n"
        "data.splits.probe: E408 the split takes 3, but there is 1 row behind 'train'\n"
        "    hint: lower `take`, here or in the splits before it\n"
        "data.splits.test: E408 the split takes 2, but there is 1 row in 'test'\n"
        "    hint: lower `take` to 1"
    )


def test_nothing_left_behind_a_split_that_takes_all() -> None:
    splits: Splits = {"train": {"from": "train"}, "probe": {"from": "train", "after": "train"}}
    assert _message(splits, Source(train=6)) == (
        "data.splits.probe: E408 the split takes the rest, but there are 0 rows behind 'train'\n"
        "    hint: lower `take`, here or in the splits before it"
    )


def test_generated_split_without_take() -> None:
    assert _message({"test": {}}, Source()) == (
        "data.splits.test: E408 the split takes the rest, but there are 0 rows in 'generated'\n"
        "    hint: a generated source needs `take`; a data set needs rows"
    )


def _grouped(splits: Splits, groups: str) -> dict[str, str]:
    def load(name: str, count: int) -> list[dict[str, Any]]:
        return [{"group": group} for group in groups]

    taken = take_splits(splits, load, lambda row: row["group"])
    return {name: "".join(row["group"] for row in rows) for name, rows in taken.items()}


def test_rows_of_a_group_stay_in_one_split() -> None:
    splits: Splits = {
        "test": {"take": 2},
        "valid": {"take": 1, "after": "test"},
        "train": {"after": "valid"},
    }
    assert _grouped(splits, "abcabcabcdd") == {"test": "aa", "valid": "b", "train": "cccdd"}
    assert _grouped(splits, "aabbccddd") == {"test": "aa", "valid": "b", "train": "ccddd"}


def test_grouped_rows_are_shuffled_before_they_are_grouped() -> None:
    splits: Splits = {
        "test": {"take": 20, "seed": 3},
        "train": {"take": 20, "after": "test", "seed": 3},
    }
    taken = _grouped(splits, "abcdefghij" * 8)
    assert taken["test"][:16] != "a" * 8 + "b" * 8
    assert not set(taken["test"]) & set(taken["train"])
    assert [len(part) for part in taken.values()] == [20, 20]


def test_too_few_groups_are_too_few_rows() -> None:
    splits: Splits = {"test": {"take": 2}, "train": {"take": 2, "after": "test"}}
    with pytest.raises(UserError) as caught:
        _grouped(splits, "aaaaaaaaaa")
    assert str(caught.value) == (
        "data.splits.train: E408 the split takes 2, but there are 0 rows behind 'test'\n"
        "    hint: lower `take`, here or in the splits before it"
    )
