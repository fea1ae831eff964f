"""The section ``curate`` of params.yaml: what is wrong in it, and the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.curation.settings import Settings
from stages.spec.read import load_params
from tests.projects import REPOSITORY, Copy

HEX = "write the SHA-256, 64 hex digits in small letters"
CASES = [
    (
        "»filtre: gold\n  filter: answer",
        "E111 unknown key 'filtre' in curate",
        "did you mean 'filter'?",
    ),
    ("filter: »right", "E113 curate.filter cannot be 'right'", "allowed: answer, gold, none"),
    ("filter: »null", "E113 curate.filter cannot be null", "did you mean 'none'?"),
    ("filter: answer\n  let_through: »1.5", "E116 curate.let_through: 1.5 is more than 1", ""),
    ("filter: answer\n  seed: »-1", "E116 curate.seed: -1 is less than 0", ""),
    ("filter: answer\n  max_tokens: »0", "E116 curate.max_tokens: 0 is less than 1", ""),
    (
        "filter: answer\n  near_duplicates: »0",
        "E116 curate.near_duplicates: 0 must be more than 0",
        "",
    ),
    (
        "filter: answer\n  near_duplicates: »1.1",
        "E116 curate.near_duplicates: 1.1 is more than 1",
        "",
    ),
    (
        "filter: answer\n  keep: »shortest",
        "E114 curate.keep must be of type object or null, not string",
        "",
    ),
    ("filter: answer\n  keep: »{}", "E116 curate.keep: needs at least 1 key", ""),
    (
        "filter: answer\n  keep: »{shortest: 1, diverse: 1}",
        "E116 curate.keep: takes at most 1 key",
        "",
    ),
    (
        "filter: answer\n  keep: {»longest: 1}",
        "E111 unknown key 'longest' in curate.keep",
        "allowed: diverse, shortest",
    ),
    (
        "filter: answer\n  floor: »yes",
        "E114 curate.floor must be of type integer or null, not boolean",
        "",
    ),
    (
        "filter: answer\n  decontaminate: {ngram: »2}",
        "E116 curate.decontaminate.ngram: 2 is less than 3",
        "",
    ),
    ("filter: answer\n  sound: »{file: a}", "E112 curate.sound lacks the key 'sha256'", ""),
    (
        "filter: answer\n  sound: {file: a, sha256: »ab}",
        "E115 curate.sound.sha256 is 'ab', which does not match ^[0-9a-f]{64}$",
        HEX,
    ),
]


@pytest.mark.parametrize(("new", "message", "hint"), CASES, ids=[case[1] for case in CASES])
def test_a_mistake_and_its_whole_message(new: str, message: str, hint: str, project: Copy) -> None:
    line = next(
        line for line in project.read("params.yaml").split("\n") if "filter: answer" in line
    )
    spot = project.edit("params.yaml", line, f"  {new}")
    assert project.problems() == [spot.says(message, hint)]


def test_the_section_is_there(project: Copy) -> None:
    text = project.read("params.yaml")
    start, end = text.index("\ncurate:\n"), text.index("\nruns:")
    project.write("params.yaml", text[:start] + text[end:])
    (found,) = project.problems()
    assert "E112 the file lacks the key 'curate'" in found


def test_what_is_shipped_is_the_answer_filter_alone(project: Copy) -> None:
    params = load_params(project.root)
    assert Settings.of(params.curate, project.root) == Settings()
    for path in (REPOSITORY / "specs/recipes").glob("*.yaml"):
        project.write("params.yaml", path.read_text(encoding="utf-8"))
        assert "filter" in load_params(project.root).curate, path


def test_null_is_off_and_an_empty_mapping_is_on() -> None:
    keys = ("sound", "max_tokens", "decontaminate", "near_duplicates", "keep", "floor")
    off = {"filter": "answer", **dict.fromkeys(keys)}
    assert Settings.of(off, Path()) == Settings()
    on = {**off, "decontaminate": {}, "keep": {"diverse": 3}, "floor": 2, "max_tokens": 9}
    assert Settings.of(on, Path()) == Settings(ngram=13, diverse=3, floor=2, max_tokens=9)
    given = {**on, "decontaminate": {"ngram": 8, "common": 4}, "keep": {"shortest": 1}}
    assert Settings.of(given, Path()) == Settings(
        ngram=8, common=4, shortest=1, floor=2, max_tokens=9
    )
