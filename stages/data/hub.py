"""Rows of a data set on the Hugging Face hub, pinned to a full commit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stages.core.errors import user_error
from stages.data.plain import plain
from stages.data.spool import Spool

SHOWN = 200
"""Characters kept of a library's message, which can run over several screens."""


def load(repo: str, config: str | None, revision: str, split: str) -> Sequence[dict[str, Any]]:
    """All rows of one split. A local directory of data files serves as `repo` too.

    Values without a JSON form (images, sound, bytes) are replaced by the name of their type.

    Args:
        repo: ``owner/name`` on the hub.
        config: The data set's configuration, where it has several.
        revision: Full commit; a branch or tag could move under the spec.
        split: One of the data set's own splits.
    """
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise user_error(
            repo,
            "E405",
            f"revision {revision!r} is not a full commit",
            "give the 40 hexadecimal digits of the commit",
        )
    try:
        import datasets
    except ImportError as error:
        raise user_error(
            repo,
            "E409",
            "the package 'datasets' is not installed",
            "install it, or save the rows and use `file:`",
        ) from error
    try:
        table = datasets.load_dataset(repo, config, revision=revision, split=split)
        rows = Spool()
        for row in table:
            rows.append(plain(row))
        return rows
    # The library and its transports raise some twenty unrelated types.
    except Exception as error:
        raise user_error(
            repo,
            "E406",
            f"split {split!r} of the data set cannot be loaded: {_reason(error)}",
            "check the name, config, revision and split; offline, save the rows and use `file:`",
        ) from error


def _reason(error: BaseException) -> str:
    told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if error.__cause__ is not None:
        # A broken data file is reported as "an error occurred"; what is broken is in the cause.
        told += f": {_reason(error.__cause__)}"
    return told[:SHOWN]
