"""Digests of data files in specs."""

from __future__ import annotations

import hashlib
import json

from tests.projects import COIN, Copy

ROWS = "".join(
    json.dumps({"question": f"Is {n} even?", "answer": "no" if n % 2 else "yes"}) + "\n"
    for n in range(12)
)
SPEC = "specs/tasks/shop/even.yaml"


def prepared(project: Copy) -> str:
    """A suite whose spec names no file's digest; returns the true one."""
    old = project.read(COIN)
    source = old[old.index("  source:") : old.index("  splits:")]
    text = old.replace(source, f"  source: {{file: data/even.jsonl, sha256: {'ab' * 32}}}\n")
    worked = text[text.index("  worked:") : text.index("answer:\n")]
    project.write(SPEC, text.replace(worked, "").replace("id: coin_flip", "id: even"))
    project.write("data/even.jsonl", ROWS)
    return hashlib.sha256(ROWS.encode()).hexdigest()


def test_the_digest_is_written_once(project: Copy) -> None:
    digest = prepared(project)
    before = project.read(SPEC)
    done = project.run("-m", "stages.pin", "shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{SPEC}: data/even.jsonl has sha256 {digest}\npin: 1 of 1 specs changed\n"
    )
    assert project.read(SPEC) == before.replace("ab" * 32, digest)
    done = project.run("-m", "stages.pin", "shop")
    assert done.stdout == "pin: 0 of 1 specs changed\n"


def test_a_file_that_is_not_there_is_named(project: Copy) -> None:
    prepared(project)
    (project.root / "data/even.jsonl").unlink()
    done = project.run("-m", "stages.pin", "shop")
    assert (done.returncode, done.stdout) == (2, "pin: 0 of 1 specs changed\n")
    line = f"  source: {{file: data/even.jsonl, sha256: {'ab' * 32}}}"
    number = project.read(SPEC).splitlines().index(line) + 1
    assert done.stderr == (
        f"{SPEC}:{number}:11: E401 there is no file 'data/even.jsonl'\n    {line}\n"
        f"    {' ' * 10}^\n    hint: paths start at the repository root\n"
    )


def test_a_suite_without_files_is_said(project: Copy) -> None:
    done = project.run("-m", "stages.pin", "symbolic")
    assert done.returncode == 2
    assert done.stderr == "specs/tasks: E401 no task of symbolic reads a file\n"
