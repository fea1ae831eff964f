from __future__ import annotations

import random
import tracemalloc
from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.curation import room
from stages.curation.cases import Case
from stages.curation.duplicates import CHAIN, FIRST, Kept
from stages.curation.minhash import PLACES, RECALL, bands, minima, signatures, similarity, width
from stages.curation.words import _WORD, Batch, hashed, words
from tests.curation.making import TEXTS, Made, item, row, samples


@given(st.text(st.characters(max_codepoint=127)) | st.text())
def test_words_are_the_same_by_either_way(text: str) -> None:
    assert words(text) == _WORD.findall(text.casefold())


def test_words_hold_letters_digits_and_operators() -> None:
    assert words("Mary's 3.5+4=7.5 £, x_1 ÉTÉ") == [
        "mary", "s", "3", "5", "+", "4", "=", "7", "5", "x", "1", "été",
    ]  # fmt: skip


def test_hashes_are_the_same_on_every_machine() -> None:
    assert list(hashed("a b a")) == [3405396810240292928, 8453121595177857668, 3405396810240292928]


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=5), st.integers(1, 4))
def test_ngrams_stay_inside_their_text(texts: list[list[int]], size: int) -> None:
    found, at = Batch([array("Q", text) for text in texts]).ngrams(size)
    flat = [word for text in texts for word in text]
    starts = [sum(map(len, texts[:number])) for number in range(len(texts))]
    wanted = [
        start + place
        for start, text in zip(starts, texts, strict=True)
        for place in range(len(text) - size + 1)
    ]
    assert at.tolist() == wanted
    by_gram: dict[tuple[int, ...], set[int]] = {}
    for value, place in zip(found.tolist(), wanted, strict=True):
        by_gram.setdefault(tuple(flat[place : place + size]), set()).add(value)
    assert all(len(values) == 1 for values in by_gram.values())
    assert len({min(values) for values in by_gram.values()}) == len(by_gram)


def shuffled(share: float, draw: random.Random) -> tuple[array[int], array[int], float]:
    """Two texts that have about `share` of their triples in common, and how many they have."""
    one = [draw.randrange(2**60) for _ in range(200)]
    other = [draw.randrange(2**60) if draw.random() < (1 - share) / 3 else word for word in one]
    sets = [{tuple(text[at : at + 3]) for at in range(198)} for text in (one, other)]
    exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    return array("Q", one), array("Q", other), exact


def test_the_estimate_is_close_to_the_exact_similarity() -> None:
    draw, errors = random.Random(1), []
    for number in range(200):
        one, other, exact = shuffled(number / 200, draw)
        made = signatures(minima([one, other]))
        errors.append(float(similarity(made[:1], made[1])[0]) - exact)
    assert abs(float(np.mean(errors))) < 0.01
    assert float(np.std(errors)) < 0.05


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_the_bands_find_nearly_all_pairs_at_the_threshold(threshold: float) -> None:
    size = width(threshold)
    assert 1 - (1 - threshold**size) ** (PLACES // size) >= RECALL
    draw, found, pairs = random.Random(2), 0, 0
    while pairs < 200:
        one, other, exact = shuffled(threshold + draw.random() * (1 - threshold), draw)
        if threshold <= exact < threshold + 0.1:
            shared = bands(minima([one, other]), size)
            found, pairs = found + bool((shared[0] == shared[1]).any()), pairs + 1
    assert found >= 0.96 * pairs


def test_a_text_shorter_than_a_shingle_is_like_itself_alone() -> None:
    made = signatures(minima(list(map(hashed, ["two words", "two words", "two", "words two"]))))
    assert [float(similarity(made[:1], one)[0]) > 0.9 for one in made] == [True, True, False, False]


@pytest.mark.parametrize("small", [0, room.SMALL])
def test_what_was_kept_is_found_again_after_growth(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SMALL", small)
    draw = random.Random(3)
    texts = [array("Q", [draw.randrange(2**60) for _ in range(9)]) for _ in range(3 * FIRST)]
    least = minima(texts)
    held, shared = Kept(0.8, tmp_path), bands(least, width(0.8)).tolist()
    signed = signatures(least)
    for number in range(0, len(texts), 2):
        held.add(signed[number], shared[number], f"é{number}\ud800")
    found = [held.like(*both) for both in zip(signed, shared, strict=True)]
    assert found == [None if n % 2 else f"é{n}\ud800" for n in range(len(texts))]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("small", "held_at_least"), [(0, 0), (room.SMALL, 680_000)])
def test_what_files_hold_is_not_held_in_memory(
    small: int, held_at_least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SMALL", small)
    signed = np.zeros(PLACES, dtype=np.uint8)
    tracemalloc.start()
    try:
        held = Kept(0.8, tmp_path)
        for number in range(4 * FIRST):
            held.add(signed, [number], str(number))
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_at_least <= now < held_at_least + 50_000


def test_one_bands_hash_holds_so_many_and_no_more(tmp_path: Path) -> None:
    held = Kept(0.5, tmp_path)
    signed = np.arange(3 * CHAIN * PLACES).reshape(-1, PLACES).astype(np.uint32)
    signed = signatures(signed * np.uint32(2_654_435_761))
    for number in range(3 * CHAIN):
        held.add(signed[number], [7], str(number))
    assert held.like(signed[CHAIN - 1], [7]) == str(CHAIN - 1)
    assert held.like(signed[CHAIN], [7]) is None


def test_a_near_duplicate_of_a_kept_rationale_goes() -> None:
    long = " ".join(TEXTS)
    close = long.replace("noon", "dusk")
    cases = [samples(row(0), long, TEXTS[0], close), samples(row(1), close, TEXTS[1], TEXTS[0])]
    made = Made(cases, near_duplicates=0.8)
    assert made.names == [(0, 0), (0, 1), (1, 1)]
    assert [
        (line["id"], line["sample"], line["reason"], line["near"]) for line in made.dropped
    ] == [
        ("sums/train/0", 2, "near-duplicate", "sums/train/0/steps/0"),
        ("sums/train/1", 0, "near-duplicate", "sums/train/0/steps/0"),
        ("sums/train/1", 2, "near-duplicate", "sums/train/0/steps/1"),
    ]


def test_what_was_dropped_stands_in_nobodys_way() -> None:
    wrong = samples(row(0), TEXTS[0], said="5")
    assert Made([wrong, samples(row(1), TEXTS[0])], near_duplicates=0.8).names == [(1, 0)]
    first = samples(row(0), TEXTS[1], TEXTS[0])
    made = Made([first, samples(row(1), TEXTS[0])], near_duplicates=0.8, keep={"diverse": 1})
    assert made.names == [(0, 0), (1, 0)]


def test_tasks_and_strategies_are_compared_apart() -> None:
    one, other = row(0), row(0, task="coins", gold="yes")
    cases = [
        Case(one, [item(one), item(one, strategy="other")]),
        Case(other, [item(other, said="yes")]),
    ]
    assert len(Made(cases, near_duplicates=0.5).kept) == 3


def test_rationales_without_words_are_no_duplicates() -> None:
    assert Made([samples(row(0), "", ""), samples(row(1), "")], near_duplicates=0.5).names == [
        (0, 0), (0, 1), (1, 0),
    ]  # fmt: skip
