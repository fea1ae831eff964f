"""A copy of the shipped project that a test may spoil."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stages.compiler.check import problems_of
from tests.warm import programs

REPOSITORY = Path(__file__).parents[1]
COIN = "specs/tasks/symbolic/coin_flip.yaml"
LETTER = "specs/tasks/symbolic/last_letter.yaml"
DIRECT = "specs/strategies/direct.yaml"
STEPS = "specs/strategies/step_by_step.yaml"


@dataclass(frozen=True)
class Spot:
    """A place in a file; line 0 stands for the whole file."""

    file: str
    line: int = 0
    column: int = 0
    source: str = ""

    def says(self, message: str, hint: str = "") -> str:
        """The whole text of a problem here."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{place}: {message}"]
        if self.source:
            lines += [f"    {self.source}", f"    {' ' * (self.column - 1)}^"]
        return "\n".join([*lines, f"    hint: {hint}"] if hint else lines)


@dataclass(frozen=True)
class Copy:
    """params.yaml, specs/ and templates/ in a folder of their own, with three rows a split."""

    root: Path

    def read(self, file: str) -> str:
        return (self.root / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    def edit(self, file: str, old: str | None, new: str) -> Spot:
        """Replace what stands once, or the whole file; » marks where the problem is expected."""
        text = new
        if old is not None:
            text = self.read(file)
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
            text = text.replace(old, new)
        before, mark, after = text.partition("»")
        self.write(file, before + after)
        if not mark:
            return Spot(file)
        start = before.rpartition("\n")[2]
        line = start + after.partition("\n")[0]
        return Spot(file, before.count("\n") + 1, len(start) + 1, line)

    def run(
        self, *arguments: str, folder: str = ".", warm: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Python with these arguments, in the copy, with the stages of the repository."""
        return subprocess.run(
            [programs() / "python" if warm else sys.executable, *arguments],
            cwd=self.root / folder, env=self._environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The same in a session of its own, without waiting for its end; it says nothing."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.root, env=self._environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}

    def problems(self) -> list[str]:
        return [str(problem) for problem in problems_of(self.root)]


EMBEDDED = ("arithmetic", "symbolic")
"""The suites whose rows are generated; the others need files or a hub."""


def _others(folder: str, names: list[str]) -> list[str]:
    return [n for n in names if n not in EMBEDDED] if Path(folder).name == "tasks" else []


def copy_project(root: Path) -> Copy:
    shutil.copytree(REPOSITORY / "templates", root / "templates")
    shutil.copytree(REPOSITORY / "specs", root / "specs", ignore=_others)
    shutil.copy(REPOSITORY / "params.yaml", root)
    for path in root.glob("specs/tasks/*/*.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"take: \d+", "take: 3", text), encoding="utf-8")
    return Copy(root)
