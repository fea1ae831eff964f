"""Where the parts of a chain lie: build files by line, hashes of ``dvc.lock``, commits of Git."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stages.core.jsonl import absent, read_json
from stages.spec.load import load

Row = dict[str, Any]


@dataclass(frozen=True)
class Commit:
    """A short hash, its day and its subject; `dirty` where the file was edited since."""

    commit: str
    day: str
    subject: str
    dirty: bool = False


@dataclass(frozen=True)
class Held:
    """The repository at `top`, as it lies there; nothing is made or fetched."""

    top: Path

    def json(self, name: str) -> Any:
        """A file under ``build/``, or E514."""
        return read_json(self.top / "build" / name)

    def maybe(self, name: str) -> Any:
        """The same; empty where it is not there."""
        return self.json(name) if (self.top / "build" / name).is_file() else {}

    def rows(self, name: str, wanted: Callable[[Row], bool]) -> Iterator[tuple[str, Row]]:
        """The rows of a JSON Lines file under ``build/`` that are wanted, with ``file:line``.

        Raises:
            UserError: E514 when the file is not there.
        """
        path = self.top / "build" / name
        if not path.is_file():
            raise absent(path)
        with path.open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if wanted(row):
                    yield f"build/{name}:{number}", row

    def of(self, name: str, row: str) -> Iterator[tuple[str, Row]]:
        """Those of one row id; none where the file is not there."""
        if (self.top / "build" / name).is_file():
            yield from self.rows(name, lambda held: held.get("id") == row)

    @cached_property
    def locked(self) -> Mapping[str, str]:
        """By path of an output, its hash in ``dvc.lock``."""
        if not (self.top / "dvc.lock").is_file():
            return {}
        document = load(self.top / "dvc.lock", self.top)
        stages = document.data.get("stages", {}) if isinstance(document.data, dict) else {}
        outs = (out for stage in stages.values() for out in stage.get("outs", ()))
        return {out["path"]: out["md5"] for out in outs if "md5" in out}

    def output(self, path: str) -> Row:
        """An output with its hash, and the commit of ``dvc.lock`` that brought it."""
        md5 = self.locked.get(path)
        found: Row = {"file": path, "md5": md5}
        if md5:
            found["commit"] = self._first("-S", md5, "--", "dvc.lock")
        return found

    def commit(self, *files: str) -> Commit | None:
        """The last one that touched the files; None outside Git or where none has."""
        return self._first("--", *files)

    def _first(self, *arguments: str) -> Commit | None:
        told = self._git("log", "-1", "--date=short", "--format=%h%x09%cd%x09%s", *arguments)
        if not told:
            return None
        files = arguments[arguments.index("--") + 1 :]
        dirty = bool(self._git("status", "--porcelain", "--", *files))
        commit, day, subject = told.split("\t", 2)
        return Commit(commit, day, subject, dirty)

    def _git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=self.top, capture_output=True, text=True, errors="replace", check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""
