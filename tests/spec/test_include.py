from __future__ import annotations

from pathlib import Path

import pytest

from stages.spec.include import load_included
from tests.projects import COIN, Copy

FAMILY = "specs/tasks/symbolic/_family.yaml"


def _family(project: Copy) -> None:
    """Moves what follows the title into a file that the task includes."""
    head, title, tail = project.read(COIN).partition("data:\n")
    project.write(FAMILY, title + tail)
    project.write(COIN, head + "include: _family.yaml\n")


def test_a_task_and_its_family_make_one_spec(project: Copy) -> None:
    expected = load_included(project.root / COIN, project.root).data
    _family(project)
    document = load_included(project.root / COIN, project.root)
    assert (document.data, document.included) == (expected, [FAMILY])
    assert project.problems() == []


def test_own_values_win_and_mappings_merge(project: Copy) -> None:
    _family(project)
    own = "data: {splits: {train: {take: 2, after: probe}}}\nstrategies: [direct, step_by_step]\n"
    project.write(COIN, project.read(COIN) + own)
    data = load_included(project.root / COIN, project.root).data
    assert data["strategies"] == ["direct", "step_by_step"]
    assert data["data"]["splits"]["train"]["take"] == 2
    assert data["data"]["splits"]["test"] == {"take": 3}


def test_a_mistake_in_the_family_is_reported_there(project: Copy) -> None:
    _family(project)
    spot = project.edit(FAMILY, "  type: yes_no", "  type: »yes_now")
    message = spot.says("E113 answer.type cannot be 'yes_now'", "did you mean 'yes_no'?")
    assert project.problems() == [message]


def test_yaml_that_is_broken_there_names_who_includes_it(project: Copy) -> None:
    _family(project)
    project.write(FAMILY, "data: [\n")
    line = project.read(COIN).split("\n").index("include: _family.yaml") + 1
    assert project.problems() == [
        f"{FAMILY}:2:1: E103 this is not valid YAML: while parsing a flow node, "
        "did not find expected node content\n"
        f"    included here: {COIN}:{line}:10\n    include: _family.yaml\n             ^"
    ]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("_none.yaml", "there is no file 'specs/tasks/symbolic/_none.yaml' to include",
         "the path starts at this file's folder"),
        ("../../../../x.yaml", "the included file '../../../../x.yaml' lies outside specs/",
         "copy it into specs/"),
        ("/etc/x.yaml", "the included file '/etc/x.yaml' lies outside specs/",
         "copy it into specs/"),
        ("../../../params.yaml", "the included file '../../../params.yaml' lies outside specs/",
         "copy it into specs/"),
        ("coin_flip.yaml", "including 'coin_flip.yaml' runs in a circle",
         "remove one of the includes"),
        ("[a.yaml]", "include takes the path of one .yaml file", "write include: _family.yaml"),
        ("rows.jsonl", "include takes the path of one .yaml file", "write include: _family.yaml"),
    ],
)  # fmt: skip
def test_what_cannot_be_included(project: Copy, name: str, message: str, hint: str) -> None:
    spot = project.edit(COIN, "spec: 1\n", f"spec: 1\ninclude: »{name}\n")
    assert project.problems() == [spot.says(f"E210 {message}", hint)]


def test_a_link_out_of_the_specs_is_not_followed(project: Copy, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("title: secret\n")
    (project.root / "specs/tasks/symbolic/_link.yaml").symlink_to(secret)
    spot = project.edit(COIN, "spec: 1\n", "spec: 1\ninclude: »_link.yaml\n")
    assert project.problems() == [
        spot.says("E210 the included file '_link.yaml' lies outside specs/", "copy it into specs/")
    ]


def test_a_chain_of_includes_ends(project: Copy) -> None:
    for number in range(9):
        text = f"include: _f{number + 1}.yaml\n"
        project.write(f"specs/tasks/symbolic/_f{number}.yaml", text)
    project.edit(COIN, "spec: 1\n", "spec: 1\ninclude: _f0.yaml\n")
    (found,) = project.problems()
    assert "E210 includes are chained more than 5 deep" in found
    assert found.count("included here") == 5
