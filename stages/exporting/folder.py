"""The folder of an export: made whole or not at all, and nothing of the user's is overwritten."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.errors import user_error
from stages.core.jsonl import read_json, write_json
from stages.data.file import sha256_of

MARK = "export.json"
"""Names what is exported, and the SHA-256 of each file."""


@contextmanager
def exported(out: Path, what: str) -> Iterator[Path]:
    """A folder to fill, which takes the place of `out` once the block has ended well.

    Raises:
        UserError: E551 when `out` holds anything but an earlier export as it was written.
    """
    _refuse_foreign(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    # beside it, so that it is moved and not copied
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        made, old = Path(name) / "new", Path(name) / "old"
        made.mkdir()
        yield made
        write_json(made / MARK, {"what": what, "files": _digests(made)})
        if out.exists():
            out.rename(old)
        made.rename(out)


def _refuse_foreign(out: Path) -> None:
    if not out.exists() and not out.is_symlink():
        return
    hint = "name a folder that is not there yet, or move this one away"
    if out.is_symlink() or not out.is_dir():
        raise user_error(str(out), "E551", "this is no folder, and is not overwritten", hint)
    held = _digests(out)
    if not (out / MARK).is_file():
        if held or any(out.iterdir()):
            raise user_error(
                str(out), "E551", "this folder was not made by an export, and is not overwritten",
                hint,
            )  # fmt: skip
        return
    try:
        known = dict(read_json(out / MARK)["files"])
    except (ValueError, KeyError, TypeError):
        known = {}
    changed = sorted(name for name in held if name != MARK and held[name] != known.get(name))
    if changed:
        raise user_error(
            str(out / changed[0]), "E551",
            f"the export that is there was changed: {len(changed)} of its files are not as it "
            "wrote them, and are not overwritten", hint,
        )  # fmt: skip


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) if path.is_file() else "a link"
        for path in sorted(files)
    }


def copy(source: Path, folder: Path) -> None:
    """The files of `source`, and no links, into `folder`."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
