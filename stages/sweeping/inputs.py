"""What decides an experiment's result besides its parameters: the files that stages depend on."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from stages.core.errors import UserError, user_error
from stages.core.jsonl import canonical
from stages.spec.load import load
from stages.spec.project import Project
from stages.sweeping.design import FOLDER, RUNTIME

OWN = (f"{FOLDER}/", "templates/report/sweep.html.j2", "specs/schema/sweep.schema.json")
"""In folders that stages depend on, but no part of what an experiment runs."""


class Inputs:
    """The sources that ``dvc.yaml`` names, as the workspace holds them.

    Raises:
        UserError: E543 for files that Git does not track: DVC runs experiments in a checkout; E544
            where there is no commit that they could start from.
    """

    def __init__(self, top: Path) -> None:
        document = load(top / "dvc.yaml", top)
        if document.problems:
            raise UserError(document.problems)
        self._top = top
        if not _git(top, "rev-parse", "--verify", "--quiet", "HEAD"):
            raise user_error(
                "command line", "E544", "this folder is no Git repository with a commit in it",
                "`git init`, `git add .` and `git commit` first",
            )  # fmt: skip
        deps = sorted({dep for dep in _deps(document.data) if not dep.startswith("build/")})
        if unknown := _listed(top, ["-o", "--exclude-standard"], deps):
            raise user_error(
                unknown[0], "E543", "Git does not track this file, so that experiments lack it"
                + (f" ({len(unknown)} such files in all)" if len(unknown) > 1 else ""),
                f"`git add {unknown[0]}`, or remove it",
            )  # fmt: skip
        found = hashlib.sha256()
        for name in ["dvc.yaml", *_listed(top, ["-c"], deps)]:
            if (top / name).is_file():
                found.update(name.encode() + b"\0" + (top / name).read_bytes() + b"\0")
        self._digest = found.digest()

    def digest(self, params: Mapping[str, Any]) -> str:
        """What tells an experiment of these sources and parameters from any other, 8 hex digits."""
        decisive = {key: value for key, value in params.items() if key != RUNTIME}
        return hashlib.sha256(self._digest + canonical(decisive).encode()).hexdigest()[:8]

    def copied(self, project: Project) -> list[str]:
        """Data files that specs name and Git does not track, or their folders; DVC copies them."""
        named = {
            str(task.source["file"]) for task in project.tasks.values() if "file" in task.source
        }
        named |= {item["file"] for item in project.params.teacher.get("recordings", ())}
        wanted = sorted(os.path.normpath(name) for name in named)
        absent = set(wanted) - set(_listed(self._top, ["-c"], wanted)) if wanted else set()
        folders = {str(PurePosixPath(name).parent) for name in absent}
        # a folder is made whole; beside tracked files it is there already
        fresh = {name for name in folders if not _listed(self._top, ["-c"], [name])}
        outer = {
            name
            for name in fresh
            if not any(str(above) in fresh for above in PurePosixPath(name).parents)
        }
        below = tuple(f"{name}/" for name in outer)
        return sorted(outer | {name for name in absent if not name.startswith(below or "\0")})


def _deps(declared: Any) -> Iterator[str]:
    for stage in declared["stages"].values():
        for dep in stage.get("do", stage).get("deps", ()):
            if "$" not in dep:
                yield dep


def _listed(top: Path, options: list[str], names: Iterable[str]) -> list[str]:
    """Files by `git ls-files`, those aside that only sweeps read."""
    found = os.fsdecode(_git(top, "ls-files", "-z", *options, "--", *names)).split("\0")
    return sorted(name for name in found if name and not name.startswith(OWN))


def _git(top: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=top, capture_output=True, check=False)
    return done.stdout
