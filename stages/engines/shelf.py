"""A model's files on the machine that has them, for nodes of a cluster that do not.

Where all nodes see one file system nothing is sent.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from stages.core.errors import user_error
from stages.engines.local import folder_digest

PIECE = 1 << 26
"""Bytes that are sent at once, 64 MiB."""


class Files(Protocol):
    """What can be read of a model that lies elsewhere."""

    def sizes(self) -> dict[str, int]:
        """Bytes of each file, by name."""
        ...

    def read(self, name: str, at: int) -> bytes:
        """Up to `PIECE` bytes of a file, from `at`."""
        ...


class Shelf:
    """Reads the files of a folder out, piece by piece.

    Args:
        folder: Of the model.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sizes(self) -> dict[str, int]:
        """Bytes of each file, by name."""
        return {path.name: path.stat().st_size for path in self._folder.iterdir() if path.is_file()}

    def read(self, name: str, at: int) -> bytes:
        """Up to `PIECE` bytes of a file, from `at`."""
        with (self._folder / name).open("rb") as file:
            file.seek(at)
            return file.read(PIECE)


def at_hand(folder: Path, digest: str, shelf: Files) -> Path:
    """A folder of this node with the files of a model.

    Its own path where the node has the very same files there, else a copy in the folder for
    temporary files, which is kept for the next time. A copy is compared by its digest as well, so
    whoever else may write there changes no answer.

    Args:
        folder: Where the model lies on the driver's node.
        digest: Its `folder_digest`.
        shelf: Of the driver's node.

    Raises:
        UserError: E709, when a copy does not arrive as it was sent.
    """
    from filelock import FileLock

    if folder.is_dir() and folder_digest(folder) == digest:
        return folder
    home = Path(tempfile.gettempdir()) / f"tutelage-models-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    copy, part = home / digest, home / f"{digest}.part"
    with FileLock(home / f"{digest}.lock"):
        if copy.is_dir() and folder_digest(copy) == digest:
            return copy
        for stale in (copy, part):
            shutil.rmtree(stale, ignore_errors=True)
        part.mkdir()
        for name, size in shelf.sizes().items():
            with (part / name).open("wb") as file:
                for at in range(0, size, PIECE):
                    file.write(shelf.read(name, at))
        if folder_digest(part) != digest:
            raise user_error(
                str(folder), "E709", "the model changed while it was sent to another node",
                "run again when nothing writes to this folder",
            )  # fmt: skip
        part.rename(copy)
    return copy
