"""The recorded teacher: rows' own solutions, and files of earlier answers."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stages import teacher
from stages.core.errors import UserError
from stages.core.jsonl import read_rows, write_rows
from stages.teaching.recorded import FILE, Recorded
from tests.projects import Copy

SHARED = Path(__file__).parents[3] / "shared" / "data" / "reasoning-teacher"
ASKED = [{"role": "user", "content": "Q: 2 and 2?"}]


def row(number: int, question: str, **worked: str) -> dict[str, Any]:
    return {
        "id": f"t/train/{number}", "task": "t", "question": question, "worked": worked,
        "variables": {"answer_marker": "The answer is"},
        "prompts": {name: {"messages": ASKED, "max_tokens": 64} for name in ("steps", "direct")},
    }  # fmt: skip


def item(**fields: Any) -> dict[str, Any]:
    plain = {
        "question": "", "messages": [], "key": "", "rationale": "", "answer": "",
        "finish_reason": "stop", "prompt_tokens": 0, "completion_tokens": 0, "error": "",
        "strategy": None,
    }  # fmt: skip
    return {**plain, **fields}


def texts(folder: Path, rows: list[dict[str, Any]], samples: int = 1) -> list[tuple[Any, ...]]:
    made = Recorded(folder).rationales(rows, {"t": ["steps"]}, samples)
    return [(made["id"], made["sample"], made["completion"], made["error"]) for made in made]


def test_rows_own_solutions_come_first(tmp_path: Path) -> None:
    write_rows(
        tmp_path / FILE,
        [
            item(question="2  and\n2?", rationale="Four it is.\n", answer=" 4."),
            item(question="2 and 2?", rationale="Two twos."),
            item(question="3 and 3?", rationale="", error="refused", finish_reason="error"),
        ],
    )
    rows = [row(0, "2 and 2?", steps="Own."), row(1, "3 and 3?"), row(2, "5 and 5?")]
    assert texts(tmp_path, rows, samples=3) == [
        ("t/train/0", 0, "Own.", ""),
        ("t/train/0", 1, "Four it is.\nThe answer is 4.", ""),
        ("t/train/0", 2, "Two twos.", ""),
        ("t/train/1", 0, "", "refused"),
        ("t/train/2", 0, "", "the recorded teacher has no answer"),
    ]


def test_a_row_may_hold_several_solutions(tmp_path: Path) -> None:
    write_rows(tmp_path / FILE, [item(question="2 and 2?", rationale="Two twos.")])
    rows = [{**row(0, "2 and 2?", steps="One."), "more_worked": {"steps": ["Two.", "Three."]}}]
    made = [("t/train/0", at, f"{text}.", "") for at, text in enumerate(("One", "Two", "Three"))]
    assert texts(tmp_path, rows, samples=3) == made
    assert texts(tmp_path, rows, samples=2) == made[:2]
    assert texts(tmp_path, rows, samples=8) == [*made, ("t/train/0", 3, "Two twos.", "")]


def test_answers_are_found_by_what_was_asked(tmp_path: Path) -> None:
    messages = [["user", "Q: 2 and 2?"]]
    write_rows(tmp_path / FILE, [item(key="a" * 64, messages=messages, rationale="By messages.")])
    assert texts(tmp_path, [row(0, "2 and 2?")]) == [("t/train/0", 0, "By messages.", "")]


def test_answers_for_one_strategy_serve_no_other(tmp_path: Path) -> None:
    write_rows(tmp_path / FILE, [item(question="2 and 2?", rationale="4", strategy="direct")])
    with pytest.raises(UserError) as caught:
        texts(tmp_path, [row(0, "2 and 2?")])
    assert str(caught.value) == (
        "params.yaml: E603 the recorded teacher has no answer for t under steps\n"
        "    hint: record answers, or train only on strategies that were recorded"
    )


def name_file(project: Copy, text: str, digest: str | None = None) -> None:
    project.write("answers.jsonl", text)
    named = digest or sha256(text.encode()).hexdigest()
    project.edit(
        "params.yaml", "  engine: recorded",
        "  recordings:\n    - {file: answers.jsonl, format: rationales, strategy: step_by_step,\n"
        f"       sha256: {named}}}\n  engine: recorded",
    )  # fmt: skip


def test_the_stage_gathers_the_files(
    project: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    lines = [{"question": "Why?", "rationale": "Hence.", "answer_completion": "4."}] * 2
    name_file(project, "".join(json.dumps(line) + "\n" for line in lines))
    assert project.problems() == []
    teacher.main()
    assert capsys.readouterr().out == "teacher: 2 recorded answers\n"
    made = list(read_rows(project.root / "build/teacher" / FILE))
    assert [(item["question"], item["answer"], item["strategy"]) for item in made] == [
        ("Why?", "4.", "step_by_step")
    ] * 2


def test_the_file_is_the_one_that_was_named(project: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    name_file(project, '{"question": "Why?", "rationale": "Hence."}\n', "f" * 64)
    with pytest.raises(UserError, match=r"jsonl: E402 the file's sha256 is [0-9a-f]{64}, "):
        teacher.main()
    (project.root / "answers.jsonl").unlink()
    with pytest.raises(UserError) as caught:
        teacher.main()
    assert str(caught.value) == (
        "answers.jsonl: E401 there is no such file\n"
        "    hint: correct teacher.recordings; paths start at the repository root"
    )


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public data in ../shared is not here")
def test_a_real_teachers_rationales(tmp_path: Path) -> None:
    from dataclasses import asdict

    from stages.engines.recordings import recordings

    made = [
        {**asdict(one), "strategy": None}
        for one in recordings(SHARED / "coin_flip.jsonl", "rationales")
    ]
    write_rows(tmp_path / FILE, made)
    rows = [row(number, one["question"]) for number, one in enumerate(made)]
    found = texts(tmp_path, rows)
    assert len(found) == len(made) == 500
    assert all("The answer is" in text and not error for _, _, text, error in found)
