"""Fetch what a remote holds of this commit, every object verified: ``make pull``.

``dvc pull`` takes a damaged object for a good one unless its remote is set to ``verify``, names a
missing one by its hash alone, and removes an output of which it has only a part. Here an output
is put in place once all of it is at hand. Without a remote there is nothing to do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages.core.console import entry, root, say
from stages.core.errors import Problem, UserError, user_error

HINT = (
    "`dvc push` where it was made mends the remote; `dvc repro` makes it anew, which may cost money"
)
REASON = 200
"""Characters of DVC's own words that are shown."""


def main() -> None:
    """Pull, or end with every object that could not be had."""
    top = root()
    from dvc.config import Config

    if remotes := Config.from_cwd()["remote"]:
        pull(top, {name: {"verify": True} for name in remotes})


def pull(top: Path, remotes: dict[str, dict[str, bool]]) -> None:
    """Fetch, then check out.

    Raises:
        UserError: E523 for each object that the remote lacks or holds damaged, E524 when the
            remote cannot be reached.
    """
    from dvc.exceptions import DownloadError, DvcException
    from dvc.repo import Repo

    logging.disable(logging.ERROR)  # DVC tells objects by their hash alone
    with Repo(str(top), config={"remote": remotes}) as repo:
        try:
            fetched = repo.fetch()
        except (DownloadError, FileNotFoundError):
            fetched = 0  # what it lacks is told below
        except (DvcException, OSError) as error:
            raise user_error(
                "remote", "E524", f"the remote cannot be read: {_words(error)}",
                "see docs/share.md; `dvc repro` works without it",
            ) from None  # fmt: skip
        lacking = [
            Problem(
                path, 0, 0, "E523",
                f"the remote lacks the object {md5}, or holds it damaged; no output was touched",
                HINT,
            )
            for path, md5 in _lacking(repo)
        ]  # fmt: skip
        if lacking:
            raise UserError(lacking)
        try:
            done = repo.checkout(allow_missing=True)
        except DvcException as error:
            # what a killed stage left, for one, which the next `dvc repro` clears away
            say(f"pull: {fetched} files fetched; nothing put in place: {_words(error)}")
            return
    outputs = sum(len(done.get(kind, ())) for kind in ("added", "modified", "deleted"))
    say(f"pull: {fetched} files fetched, {outputs} outputs put in place")


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:REASON]


def _lacking(repo: Any) -> Iterator[tuple[str, str]]:
    """Path and hash of each object of this commit's outputs that is not in DVC's cache."""
    from dvc.exceptions import DvcException
    from dvc_data.hashfile import load
    from dvc_objects.errors import ObjectFormatError

    cache = repo.cache.local
    for out in repo.index.outs:
        if not out.use_cache or not out.hash_info:
            continue
        name, md5 = str(out), out.hash_info.value
        if not md5.endswith(".dir"):
            if not cache.exists(md5):
                yield name, md5
            continue
        # DVC keeps no listing of a folder that it did not get whole
        here = cache.exists(md5)
        lost = []
        with suppress(OSError, ValueError, DvcException, ObjectFormatError):
            listing: Any = load(
                cache if here else repo.cloud.get_remote_odb(out.remote), out.hash_info
            )
            lost = [
                ("/".join((name, *key)), held.value)
                for key, _, held in listing
                if not cache.exists(held.value)
            ]
        yield from lost if here or lost else [(name, md5)]


if __name__ == "__main__":
    entry(main)
