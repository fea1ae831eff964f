"""Fetch what a remote holds of this commit, every object verified: ``make pull``.

``dvc pull`` takes a damaged object for a good one unless the remote is set to ``verify``, and
names a missing one by its hash alone. Here both stop, by the path of what they belong to, and
nothing that is there is overwritten. Without a remote there is nothing to do.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.console import entry, root, say
from stages.core.errors import Problem, UserError
from stages.spec.document import Document, Text
from stages.spec.load import parse

LOCK = "dvc.lock"
FAILED = re.compile(r"failed to transfer '(?P<md5>\w+)(?:\.dir)?'(?: - (?P<reason>.*))?", re.DOTALL)
HINT = (
    "`dvc push` where it was made mends the remote; `dvc repro` makes it anew, and may ask the "
    "teacher"
)


class Kept(logging.Handler):
    """What DVC logs while it fetches."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with the error behind it."""
        error = record.exc_info[1] if record.exc_info else None
        self.lines.append(record.getMessage() + (f" - {error}" if error else ""))


def main() -> None:
    """Pull, or end with every object that could not be had."""
    top = root()
    from dvc.config import Config

    remotes = Config.from_cwd()["remote"]
    if not remotes:
        return
    pull(top, list(remotes))


def pull(top: Path, remotes: list[str]) -> None:
    """Fetch and check out.

    Raises:
        UserError: E523 for each output of which the remote lacks an object or holds another.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    kept, log = Kept(), logging.getLogger("dvc")
    logs = [log, logging.getLogger("dvc_data"), logging.getLogger("dvc_objects")]
    for each in logs:
        each.addHandler(kept)
    try:
        with Repo(str(top), config={"remote": {n: {"verify": True} for n in remotes}}) as repo:
            done = repo.pull(allow_missing=True)
    except (DvcException, OSError) as error:
        raise UserError(_problems(top, error, kept.lines)) from None
    finally:
        for each in logs:
            each.removeHandler(kept)
    changed = len(done.get("added", ())) + len(done.get("modified", ()))
    say(f"pull: {done.get('fetched', 0)} files fetched, {changed} outputs put in place")


def _problems(top: Path, error: BaseException, lines: list[str]) -> list[Problem]:
    found = []
    owners = dict(_owners(top))
    for line in lines:
        if named := FAILED.search(line):
            md5, reason = named["md5"], (named["reason"] or "").strip().split("\n")[0][:200]
            path = owners.get(md5, "an output")
            told = f"the remote does not give the object {md5} of it"
            found.append(_problem(path, f"{told}: {reason}" if reason else told))
    for path in getattr(error, "target_infos", None) or ():
        found.append(_problem(path, "objects of it are missing, or damaged in the remote"))
    return found or [_problem("remote", " ".join(str(error).split())[:300])]


def _problem(path: str, message: str) -> Problem:
    return Problem(path, 0, 0, "E523", f"{message}; nothing was overwritten", HINT)


def _owners(top: Path) -> Iterator[tuple[str, str]]:
    """The path of each object that dvc.lock names, as far as folders' listings are here."""
    from dvc.repo import Repo

    document = Document(Text(LOCK))
    lock = top / LOCK
    parse(document, lock.read_bytes() if lock.is_file() else b"")
    data: Any = document.data if isinstance(document.data, dict) else {}
    cache = Path(Repo(str(top)).cache.local.path)
    for stage in data.get("stages", {}).values():
        for out in stage.get("outs", ()):
            md5 = out.get("md5", "")
            yield md5.partition(".")[0], out["path"]
            listing = cache / md5[:2] / md5[2:]
            if md5.endswith(".dir") and listing.is_file():
                for part in json.loads(listing.read_text(encoding="utf-8")):
                    yield part["md5"], f"{out['path']}/{part['relpath']}"


if __name__ == "__main__":
    entry(main)
