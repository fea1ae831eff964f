"""`make diff` on a real Git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.projects import COIN, STEPS, Copy

SYSTEM = "templates/strategies/step_by_step.system.j2"


def _git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def committed(project: Copy) -> Copy:
    _git(project.root, "init", "-q")
    _git(project.root, "add", "-A")
    _git(project.root, "commit", "-qm", "one")
    return project


RECORDED = "requests: the recorded teacher answers from the rows themselves; none\n"


def test_nothing_changed(committed: Copy) -> None:
    done = committed.run("-m", "stages.diff", "HEAD")
    assert done.stderr == ""
    assert done.stdout == "files: no change\nprompts: no change\n" + RECORDED


def test_a_comment_changes_a_file_and_no_prompt(committed: Copy) -> None:
    committed.write(COIN, committed.read(COIN) + "# hm\n")
    done = committed.run("-m", "stages.diff", "HEAD")
    assert done.stdout == f"files\n  changed  {COIN}\nprompts: no change\n" + RECORDED


def test_a_template_shows_as_text(committed: Copy) -> None:
    committed.write(SYSTEM, "Think hard.\n" + committed.read(SYSTEM))
    done = committed.run("-m", "stages.diff", "HEAD")
    assert done.stdout.startswith(
        f"files\n  changed  {SYSTEM}\n"
        "prompts of symbolic/coin_flip under step_by_step: 6 changed, 0 new, 0 gone\n"
        "  --- coin_flip/probe/0 then\n"
        "  +++ coin_flip/probe/0 now\n"
        "  @@ -1,2 +1,3 @@\n"
        "   [system]\n"
        "  +Think hard.\n"
        "   Think step by step: work through"
    )
    assert done.stdout.count("\n  --- ") == 6
    assert committed.run("-m", "stages.diff", "HEAD", "--all").stdout.count("\n  --- ") == 12
    assert done.stdout.endswith(RECORDED)


def test_more_rows_are_new_requests(committed: Copy) -> None:
    text = committed.read("params.yaml")
    text = text.replace("engine: recorded ", "engine: openai ")
    text = text.replace("  model: null ", "  model: m ").replace(
        "base_url: null ", "base_url: http://x/v1 "
    )
    committed.write("params.yaml", text)
    _git(committed.root, "commit", "-qam", "two")
    committed.edit(COIN, "train: {take: 3, after: probe}", "train: {take: 5, after: probe}")
    done = committed.run("-m", "stages.diff", "HEAD")
    assert done.stdout.splitlines() == [
        "files",
        f"  changed  {COIN}",
        "prompts of symbolic/coin_flip under direct: 0 changed, 2 new, 0 gone",
        "prompts of symbolic/coin_flip under step_by_step: 0 changed, 2 new, 0 gone",
        "prompts of symbolic/coin_flip under explain_then_answer: 0 changed, 2 new, 0 gone",
        "requests: 24 in all, 6 not asked for at that commit, of these 0 held in the store and "
        "6 to ask for",
    ]
    against_one = committed.run("-m", "stages.diff", "HEAD~1").stdout
    assert "  changed  params.yaml\n" in against_one
    assert "24 in all, 24 not asked for at that commit" in against_one


def test_an_unknown_commit(committed: Copy) -> None:
    done = committed.run("-m", "stages.diff", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "command line: E513 there is no commit 'nowhere'\n    hint: see `git log --oneline`\n"
    )


def test_a_commit_that_does_not_compile_says_what_is_wrong_there(committed: Copy) -> None:
    good = committed.read(STEPS)
    committed.write(STEPS, good.replace("spec: 1", "spec: 2"))
    _git(committed.root, "commit", "-qam", "bad")
    committed.write(STEPS, good)
    done = committed.run("-m", "stages.diff", "HEAD")
    assert done.returncode == 2
    assert done.stderr.startswith(f"HEAD:{STEPS}:2:7: E113 spec cannot be 2\n")
