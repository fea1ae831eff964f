"""Problems for programs: ``--format json`` and ``--format github``."""

from __future__ import annotations

import json

from tests.projects import COIN, Copy


def test_json_is_a_list_of_problems(project: Copy) -> None:
    spot = project.edit(COIN, "title: Is", "title: Is\n»title: Is")
    done = project.run("-m", "stages.compile", "--check", "--format", "json")
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout) == [
        {
            "file": COIN,
            "line": spot.line,
            "column": 1,
            "code": "E106",
            "message": "the key 'title' stands twice in this mapping",
            "hint": "keep one",
            "source": spot.source,
            "related": [
                {
                    "file": COIN,
                    "line": spot.line - 1,
                    "column": 1,
                    "message": "first defined here",
                    "source": "title: Is",
                }
            ],
        }
    ]


def test_json_of_a_sound_project_is_an_empty_list(project: Copy) -> None:
    done = project.run("-m", "stages.compile", "--check", "--format", "json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_github_annotates_the_line(project: Copy) -> None:
    project.edit(COIN, "type: yes_no", "type: yes%no")
    done = project.run("-m", "stages.compile", "--check", "--format", "github")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == (
        f"::error file={COIN},line=18,col=9,title=E113::answer.type cannot be 'yes%25no'"
        "%0Ahint: did you mean 'yes_no'?\n"
    )
