"""What `make check` found clean before, so that an edit costs the files it touches.

One JSON file under ``.cache/``, keyed by content: a wrong or lost cache costs time, never a
verdict. Only what had no problem is kept; a file with a mistake is read anew each time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages.core.jsonl import atomic, canonical, digest
from stages.spec.document import Document

CODE = Path(__file__).parents[1]
PACKAGES = ("compiler", "core", "data", "scoring", "spec")


def code_digest(root: Path) -> str:
    """A digest of the checking code and the schemas: what they find is theirs to change."""
    found = hashlib.sha256()
    files = sorted(path for package in PACKAGES for path in (CODE / package).rglob("*.py"))
    for path in (*files, *sorted((root / "specs/schema").glob("*.json"))):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


class Cache:
    """Parsed specs by file, and tasks whose rows were checked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / ".cache/check.json"
        self._version = code_digest(root)
        held: Any = {}
        with suppress(OSError, ValueError):
            held = json.loads(self._path.read_text(encoding="utf-8"))
        if not isinstance(held, dict) or held.get("version") != self._version:
            held = {}
        self._held: Mapping[str, Any] = held
        self._specs: dict[str, Any] = {}
        self._tasks: dict[str, int] = {}
        self._hashes: dict[str, str | None] = {}

    def spec(self, path: Path) -> Any:
        """The file's data, when it and all that it includes are as they were."""
        name = path.relative_to(self._root).as_posix()
        entry = self._held.get("specs", {}).get(name)
        if not entry or any(self._hash(file) != value for file, value in entry["files"].items()):
            return None
        self._specs[name] = entry
        return entry["data"]

    def keep_spec(self, document: Document) -> None:
        """Note a file that has the right shape."""
        files = {name: self._hash(name) for name in (document.file, *document.included)}
        self._specs[document.file] = {"files": files, "data": document.data}

    def task(self, data: Any, source: Mapping[str, Any], state: str) -> tuple[str, int | None]:
        """The task's key, and how many rows it had when all were well.

        Args:
            data: The task's spec.
            source: Its `data.source`; a local file counts with its size and time of change.
            state: A digest of what else decides the verdict.
        """
        stamp = None
        if "file" in source:
            with suppress(OSError, ValueError):
                status = (self._root / source["file"]).stat()
                stamp = [status.st_size, status.st_mtime_ns]
        key = digest([state, data, stamp])
        count = self._held.get("tasks", {}).get(key)
        if count is not None:
            self._tasks[key] = count
        return key, count

    def keep_task(self, key: str, count: int) -> None:
        """Note a task without problems."""
        self._tasks[key] = count

    def save(self) -> None:
        """Write what was met in this run; a folder that cannot be written is no mistake."""
        held = {"version": self._version, "specs": self._specs, "tasks": self._tasks}
        if held == self._held:
            return
        with suppress(OSError), atomic(self._path) as file:
            file.write(canonical(held))

    def _hash(self, name: str) -> str | None:
        if name not in self._hashes:
            self._hashes[name] = None
            with suppress(OSError):
                raw = (self._root / name).read_bytes()
                self._hashes[name] = hashlib.sha256(raw).hexdigest()
        return self._hashes[name]
