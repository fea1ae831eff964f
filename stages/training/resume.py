"""Where an unfinished training stands, so that one that was killed goes on from there.

DVC deletes a stage's outputs before it runs the stage, so this lies beside the response store,
``.cache/unfinished/RUN-KEY``: the key is of all that decides the training. One folder a run, gone
once the run is whole.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.jsonl import digest, read_json, write_json
from stages.training.processes import agreed, is_main

EVERY = 600.0
"""Seconds between two checkpoints, where ``runtime.checkpoint`` says nothing."""
MARK = "progress.json"


def folder(top: Path) -> Path:
    """``.cache/unfinished`` of the repository; experiments, in folders of their own, share it."""
    return Path(os.environ.get("DVC_ROOT") or top) / ".cache" / "unfinished"


def code(top: Path) -> str:
    """Digest of the code that trains and measures; other code begins anew."""
    parts = ("training", "engines", "scoring")
    files = sorted(path for part in parts for path in (top / "stages" / part).rglob("*.py"))
    return digest([[file.name, file.read_text(encoding="utf-8")] for file in files])


@dataclass
class Unfinished:
    """Checkpoints of one training: the newest whole one, and a second while it is written.

    Args:
        folder: Theirs alone.
        every: Seconds between two of them.
    """

    folder: Path
    every: float = EVERY
    _since: float = field(default_factory=time.monotonic)

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest whole checkpoint, with the progress noted in it."""
        steps = sorted((_step(path), path) for path in self.folder.glob("checkpoint-*"))
        for _, path in reversed(steps):
            if (path / MARK).is_file():
                return path, read_json(path / MARK)
        return None

    def due(self) -> bool:
        """Whether it is time for another one."""
        return time.monotonic() - self._since >= self.every

    def seal(self, checkpoint: Path, progress: dict[str, Any], keep: Path | None) -> None:
        """Declare a checkpoint whole and delete what came before it.

        Args:
            checkpoint: Written but for this.
            progress: What `newest` is to return with it.
            keep: The best student so far, to which `progress` refers.
        """
        for path in checkpoint.rglob("*"):
            if path.is_file():
                _sync(path)
        write_json(checkpoint / MARK, progress)
        for path in self.folder.iterdir():
            if path.is_dir() and path not in (checkpoint, keep):
                shutil.rmtree(path)
        self._since = time.monotonic()

    def remove(self) -> None:
        """The training is over and its outputs are whole."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def unfinished(
    top: Path, run: str, runs: Collection[str], key: str, every: float | None
) -> Iterator[Unfinished]:
    """The folder of a training, locked while the main process lives.

    Removes those of other trainings of this run, and of runs that are no more, unless a process
    is at work in them: an experiment beside this one.

    Args:
        top: The repository's root.
        run: The run that is trained.
        runs: All runs of ``params.yaml``.
        key: Digest of all that decides the training.
        every: Seconds between two checkpoints; `EVERY` when None.
    """
    from filelock import FileLock, Timeout

    if not is_main():
        yield Unfinished(agreed(Path()), EVERY if every is None else every)
        return
    home = folder(top)
    home.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:  # the same training may be under way in another experiment
        mine = home / f"{run}-{key[:16]}{f'-{number}' if number else ''}"
        lock = FileLock(mine.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            number += 1
    try:
        _sweep(home, mine, run, runs)
        yield Unfinished(agreed(mine), EVERY if every is None else every)
    finally:
        lock.release()
        mine.with_suffix(".lock").unlink(missing_ok=True)


def _sweep(home: Path, mine: Path, run: str, runs: Collection[str]) -> None:
    from filelock import FileLock, Timeout

    for other in home.iterdir():
        name = other.name.partition("-")[0]
        if not other.is_dir() or other == mine or (name in runs and name != run):
            continue
        lock = FileLock(other.with_suffix(".lock"))
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(other, ignore_errors=True)
        except Timeout:
            continue
        other.with_suffix(".lock").unlink(missing_ok=True)


def _step(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
