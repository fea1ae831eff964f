"""Lists of items, and how a gold written for the verifier is stated."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.extract import extract
from stages.scoring.verify import read, stated, verify

READ: list[tuple[str, list[str] | None]] = [
    ("a, b, c", ["a", "b", "c"]),
    ("a,b,c", ["a", "b", "c"]),
    ("a, b and c", ["a", "b", "c"]),
    ("a, b, and c.", ["a", "b", "c"]),
    ("a and b", ["a", "b"]),
    ("a & b", ["a", "b"]),
    ("a; b; c", ["a", "b", "c"]),
    ("New York, NY; Boston, MA", ["New York, NY", "Boston, MA"]),
    ("New York, Boston", ["New York", "Boston"]),
    ("apple banana cherry", ["apple", "banana", "cherry"]),
    ("apple", ["apple"]),
    ("[a, b]", ["a", "b"]),
    ("(a, b)", ["a", "b"]),
    ("{a, b}", ["a", "b"]),
    ("['a', 'b']", ["a", "b"]),
    ('["a", "b, c"]', ["a", "b, c"]),
    ("[1, 2.50, true]", ["1", "2.50", "true"]),
    ("[[1], 2]", ["[[1]", "2]"]),
    ("1, 2, 3", ["1", "2", "3"]),
    ("1. apple\n2. banana", ["apple", "banana"]),
    ("(1) apple\n(2) banana", ["apple", "banana"]),
    ("- apple,\n- banana", ["apple", "banana"]),
    ("\u2022 apple\n\n\u2022 banana", ["apple", "banana"]),
    ("* apple\n* banana", ["apple", "banana"]),
    ('"a", "b"', ["a", "b"]),
    ("**a**, **b**.", ["a", "b"]),
    ("Sand and Sun", ["Sand", "Sun"]),
    ("band, sandy", ["band", "sandy"]),
    ("a, , b", ["a", "b"]),
    ("", None),
    (" , ; \n", None),
    ("[]", None),
    ('[""]', None),
    ("a, " * 9000, None),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_read(text: str, expected: list[str] | None) -> None:
    found = read(text, "list")
    assert (None if found is None else json.loads(found)) == expected


SAME: list[tuple[str, str, bool]] = [
    ("a, b, c", "a b c", True),
    ("a, b and c", '["a", "b", "c"]', True),
    ("b, a", "a, b", False),
    ("a, b", "a, b, c", False),
    ("a, b, c", "a, b", False),
    ("A, b", "a, b", False),
    ("1, 2.0", "1, 2", False),
    ("a", "a", True),
    ("salt and pepper", '["salt and pepper"]', False),
    ('["salt and pepper"]', '["salt and pepper"]', True),
    ("ab", "a, b", False),
    ("", "a", False),
    ("0 = 0", "0", False),
]


@pytest.mark.parametrize(("ours", "gold", "expected"), SAME)
def test_verify(ours: str, gold: str, expected: bool) -> None:
    assert verify(ours, gold, "list") is expected


FOUND: list[tuple[str, list[str] | None]] = [
    ("The answer is a, b, c. That is all.", ["a", "b", "c"]),
    ("The answer is: [a, b]", ["a", "b"]),
    ("The answer is:\n1. a\n2. b\n\nDone.", ["a", "b"]),
    ("The answer is:\n\n* a b\n* c\n* d", ["a b", "c", "d"]),
    ("The answer is:\n- a b\n- c", ["a b", "c"]),
    ("The answer is a, b. No, b, a.", None),
    ("The answer is no, yes, no.", ["no", "yes", "no"]),
    ("The answer is", None),
    ("I do not know.", None),
]


@pytest.mark.parametrize(("completion", "expected"), FOUND)
def test_extract(completion: str, expected: list[str] | None) -> None:
    found = extract(completion, [{"after": "The answer is"}], "list").answer
    assert (None if found is None else json.loads(found)) == expected


ITEMS = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1, max_size=6)


@given(ITEMS, st.sampled_from([", ", ",", " ; ", "\n"]))
def test_the_separator_does_not_matter(items: list[str], separator: str) -> None:
    gold = json.dumps(items)
    assert verify(gold, gold, "list")
    assert verify(f"  {separator.join(items)}. ", gold, "list") or "and" in map(str.lower, items)
    assert verify(stated(gold, "list"), gold, "list") or "and" in map(str.lower, items)


def test_how_a_gold_is_stated() -> None:
    assert stated('["a", "b c"]', "list") == "a, b c"
    assert stated("5 yards\nfive yards", "f1") == "5 yards"
    assert stated("Bears | Lions", "f1") == "Bears, Lions"
    assert stated("(A)", "choice") == "(A)"
