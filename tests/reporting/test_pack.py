"""What the page holds of each text: all of it, once, and the same bytes each time."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

from stages.core.errors import UserError
from stages.core.jsonl import read_rows, write_rows
from stages.curation.settings import WRONG as DROPPED_AS_WRONG
from stages.reporting import cases
from stages.reporting.cases import Case, examined, learners, taught
from stages.reporting.pack import Pack, drawn, packed, share
from tests.reports import HOSTILE, RUN, STRATEGY, SUITE, TASK, build


def read(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def all_cases(top: Path) -> list[Case]:
    return [*taught(top, SUITE, learners(top, [RUN])), *examined(top, RUN)]


def test_every_text_comes_back_as_it_was_written(tmp_path: Path) -> None:
    count = build(tmp_path, 50)
    made = Pack()
    for case in all_cases(tmp_path):
        made.add(case)
    assert len(made) == count
    held = read(packed(made.columns()))
    written = [row["completion"] for row in read_rows(tmp_path / f"build/rationales/{SUITE}.jsonl")]
    assert held["rows"]["text"][: len(written)] == written
    assert set(HOSTILE.values()) <= set(written)
    rows = read_rows(tmp_path / f"build/compiled/suites/{SUITE}/train.jsonl")
    for at, row in enumerate(rows):
        frame, *middles = held["asked"][held["rows"]["prompt"][at] - 1]
        question = held["questions"][held["rows"]["question"][at]]
        assert question == row["question"]
        texts = [question if not middle else held["texts"][middle - 1] for middle in middles]
        sent = [
            {"role": role, "content": before + text + after}
            for (role, before, after), text in zip(held["frames"][frame], texts, strict=True)
        ]
        assert sent == row["prompts"][STRATEGY]["messages"]
    # what all prompts share is there once
    assert json.dumps(held["frames"]).count("Reason step by step.") == 1


def test_the_same_build_gives_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        build(tmp_path / name, 20)
        pack = Pack()
        for case in all_cases(tmp_path / name):
            pack.add(case)
        made.append(packed(pack.columns()))
    assert made[0] == made[1]


def test_fate_verdict_and_kind(tmp_path: Path) -> None:
    build(tmp_path, 200)
    found = all_cases(tmp_path)
    header = next(read_rows(tmp_path / f"build/yield/{SUITE}.jsonl"))["counts"][TASK][STRATEGY]
    fates = [case.fate for case in found if case.writer == cases.TEACHER]
    assert fates.count(cases.KEPT) == header["kept"]
    for reason, count in header.items():
        if reason != "kept":
            assert fates.count(f"dropped: {reason}") == count, reason
    for case in found:
        assert (case.kind == "") == (case.verdict == cases.RIGHT), case
        if case.fate == cases.KEPT:
            assert (case.verdict, case.note) == (cases.RIGHT, f"by {RUN}")
            assert case.span
            assert case.text[slice(*case.span)] == case.gold
    kinds = {case.fate: case.kind for case in found}
    assert kinds[f"dropped: {DROPPED_AS_WRONG}"] == "wrong arithmetic"
    assert kinds["dropped: cut short"] == "repeated loop"
    assert kinds["dropped: no answer found"] == "no answer"
    assert [case.verdict for case in found if case.writer == RUN][:2] == ["right", "wrong"]


def test_marks_are_in_the_units_of_javascript() -> None:
    case = Case("teacher", "t", "s", "r", "0", "q", (), "1", (), "👍 so 1", (5, 6), "1", "right")
    made = Pack()
    made.add(case)
    assert made.columns()["rows"]["mark"] == [[6, 7]]


def test_a_share_is_drawn_by_name() -> None:
    found = [
        Case("teacher", "t", "s", str(at), "0", "q", (), "1", (), "x", None, None, "wrong")
        for at in range(4000)
    ]
    half = {case.row for case in found if drawn(case, 0.5)}
    tenth = {case.row for case in found if drawn(case, 0.1)}
    assert tenth < half
    assert 1900 < len(half) < 2100
    assert (share(20_000, 2**20), share(60_000, 2**20), share(10, 2**27)) == (1.0, 0.5, 0.5)


def test_a_rationale_without_its_row_is_told(tmp_path: Path) -> None:
    build(tmp_path, 2)
    write_rows(tmp_path / f"build/compiled/suites/{SUITE}/train.jsonl", [])
    try:
        list(taught(tmp_path, SUITE, {}))
    except UserError as error:
        assert str(error) == (
            f"build/rationales/{SUITE}.jsonl: E515 there is no compiled row "
            f"'{TASK}/train/script', or it is out of order\n"
            "    hint: run `dvc repro`, which writes it anew for the rows of today"
        )
    else:
        raise AssertionError
