from __future__ import annotations

import json

import pytest

from stages.compiler import check as checking
from stages.compiler.check import check
from stages.core.errors import UserError
from tests.projects import COIN, LETTER, STEPS, Copy

TASKS = {COIN: "coin_flip", LETTER: "last_letter"}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks whose rows are read, in order."""
    names: list[str] = []
    real = checking.task_rows
    monkeypatch.setattr(
        checking, "task_rows", lambda task, *rest: (names.append(task.id), real(task, *rest))[1]
    )
    return names


def test_an_edit_costs_the_task_it_touches(project: Copy, read: list[str]) -> None:
    told = check(project.root)
    assert (told, sorted(read)) == ("2 tasks, 8 strategies, 24 rows", ["coin_flip", "last_letter"])
    read.clear()
    assert (check(project.root), read) == (told, [])
    project.edit(COIN, "title: Is", "title: So is")
    assert (check(project.root), read) == (told, ["coin_flip"])
    read.clear()
    project.write(COIN, project.read(COIN) + "# a comment\n")
    assert (check(project.root), read) == (told, [])


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("params.yaml", "max_tokens: 64", "max_tokens: 65"),
        (STEPS, "max_tokens: 512", "max_tokens: 511"),
        ("templates/student/answer.j2", "{{ answer }}", "{{ answer | upper }}"),
        ("specs/schema/task.schema.json", '"maxLength": 200', '"maxLength": 201'),
    ],
)
def test_what_decides_over_every_task_checks_all_of_them(
    project: Copy, read: list[str], file: str, old: str, new: str
) -> None:
    check(project.root)
    read.clear()
    project.edit(file, old, new)
    check(project.root)
    assert sorted(read) == ["coin_flip", "last_letter"]


def test_a_mistake_is_never_remembered_as_none(project: Copy) -> None:
    check(project.root)
    text = project.read(COIN)
    spot = project.edit(COIN, "gold: {get: answer}", "gold: »{get: answr}")
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            check(project.root)
        assert list(map(str, caught.value.problems)) == [
            spot.says("E410 row coin_flip/train/0: there is no field answr (12 rows in all)")
        ]
    project.write(COIN, text)
    check(project.root)


def test_places_are_right_when_only_another_file_makes_the_mistake(project: Copy) -> None:
    check(project.root)
    project.edit(STEPS, "for: [number, choice, yes_no,", "for: [number, choice,")
    with pytest.raises(UserError) as caught:
        check(project.root)
    assert [(p.file, p.line, p.column, p.code) for p in caught.value.problems] == [
        (COIN, 20, 22, "E203")
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', "{", "\x00", '{"specs": {"a": 1}}'])
def test_a_spoiled_cache_costs_time_only(project: Copy, text: str) -> None:
    told = check(project.root)
    path = project.root / ".cache/check.json"
    whole = path.read_text()
    path.write_text(text)
    assert check(project.root) == told
    assert json.loads(path.read_text()) == json.loads(whole)


def test_a_changed_data_file_is_seen(project: Copy) -> None:
    import hashlib

    rows = "".join(f'{{"question": "{i} + {i}", "answer": "yes"}}\n' for i in range(12))
    project.write("rows.jsonl", rows)
    digest = hashlib.sha256(rows.encode()).hexdigest()
    project.edit(
        COIN,
        "{generator: coin_flip, people: 4, seed: 11}",
        f"{{file: rows.jsonl, sha256: {digest}}}",
    )
    project.edit(COIN, "  worked: {get: worked}\n", "")
    text = project.read("params.yaml").replace("{train_on: selected}", "{train_on: answers}")
    project.write("params.yaml", text)
    check(project.root)
    project.write("rows.jsonl", rows + "\n")
    with pytest.raises(UserError, match="E402"):
        check(project.root)
