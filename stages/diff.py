"""What changed since a commit, down to the prompts: ``make diff REV=HEAD~1``.

Compiles the specs as they were at the commit with the code of today, and compares. Writes nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from stages.compiler.build import asked_rows, scoring, suite_calls
from stages.compiler.check import Rows, checked
from stages.compiler.compare import changed_files, changed_prompts, sources, text_diff
from stages.core.console import entry, root, say
from stages.core.errors import Problem, UserError, user_error
from stages.core.jsonl import read_json
from stages.engines.ask import sampling, teacher_engine
from stages.engines.request import Request
from stages.engines.store import Store, default_path
from stages.spec.project import Project
from stages.teaching.chain import Asking
from stages.teaching.rationales import wanted

FOLDERS = ("params.yaml", "specs", "templates")
SHOWN = 3
"""Prompts shown for each task and strategy; the rest are counted."""


def main() -> None:
    """Print changed files, changed prompts as text, and what the teacher would be asked anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="a commit, branch or tag")
    parser.add_argument("--all", action="store_true", help="show every changed prompt")
    arguments = parser.parse_args()
    top = root()
    new = checked(top)
    with tempfile.TemporaryDirectory() as folder:
        old = _then(top, arguments.revision, Path(folder))
        lines = list(changed_files(sources(old[0]), sources(new[0])))
        say("\n".join(["files", *(f"  {line}" for line in lines)]) if lines else "files: no change")
        _prompts(old, new, None if arguments.all else SHOWN)
        _requests(top, old, new)


def _prompts(old: tuple[Project, Rows], new: tuple[Project, Rows], limit: int | None) -> None:
    found = False
    for part in changed_prompts(old, new):
        found = True
        counts = f"{len(part.changed)} changed, {len(part.added)} new, {part.removed} gone"
        say(f"prompts of {part.task} under {part.strategy}: {counts}")
        for name, then, now in part.changed[:limit]:
            say("\n".join(f"  {line}" for line in text_diff(name, then, now)))
    if not found:
        say("prompts: no change")


def _requests(top: Path, old: tuple[Project, Rows], new: tuple[Project, Rows]) -> None:
    if new[0].params.teacher["engine"] == "recorded":
        say("requests: the recorded teacher answers from the rows themselves; none")
        return
    before = {request.key for request in _asked(top, *old)}
    asked = {request.key: request for request in _asked(top, *new)}
    fresh = [request for key, request in asked.items() if key not in before]
    with Store(default_path()) as store:
        held = sum(1 for found in store.get_many(fresh) if found)
    say(
        f"requests: {len(asked)} in all, {len(fresh)} not asked for at that commit, "
        f"of these {held} held in the store and {len(fresh) - held} to ask for"
    )


def _asked(top: Path, project: Project, rows: Rows) -> list[Request]:
    if project.params.teacher["engine"] == "recorded":
        return []
    params, made = project.params, list[Request]()
    engine = teacher_engine(params.teacher, params.runtime, top / "build/teacher", None)
    for suite in params.suites:
        tasks = {task.id: scoring(project, task) for task in project.suite(suite)}
        file = top / f"build/selected/{suite}.json"
        selected = read_json(file) if file.is_file() else {}
        strategies = {
            name: [s for s in wanted(task, selected.get(name)) if s in project.strategies]
            for name, task in tasks.items()
        }
        later = suite_calls(project, suite)
        asking = Asking(engine, suite, later, sampling(params.teacher))
        train = asked_rows(project, rows, suite, "train")
        # later calls depend on replies, so that the first ones stand for them
        made += [
            request
            for row in train
            for strategy in strategies[row["task"]]
            for request in asking.first(row, strategy, params.samples)
        ]
    return made


def _then(top: Path, revision: str, folder: Path) -> tuple[Project, Rows]:
    """The project at the commit, compiled in `folder`."""
    commit = _git(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode()
    if not commit:
        raise user_error(
            "command line", "E513", f"there is no commit {revision!r}", "see `git log --oneline`"
        )
    names = _git(top, "ls-tree", "-r", "-z", "--name-only", commit.strip(), "--", *FOLDERS)
    for name in filter(None, names.decode().split("\0")):
        _put(folder / name, _git(top, "show", f"{commit.strip()}:{name}"))
    # Data files are named by their hash, and the schemas are those of today's code.
    for path in sorted((top / "specs/schema").glob("*.json")):
        _put(folder / "specs/schema" / path.name, path.read_bytes())
    for path in top.iterdir():
        if path.name not in (*FOLDERS, "build", ".git", ".dvc", ".cache"):
            (folder / path.name).symlink_to(path)
    try:
        return checked(folder)
    except UserError as error:
        raise UserError(
            Problem(f"{revision}:{p.file}", p.line, p.column, p.code, p.message, p.hint, p.source)
            for p in error.problems
        ) from None


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _git(top: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=top, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


if __name__ == "__main__":
    entry(main)
