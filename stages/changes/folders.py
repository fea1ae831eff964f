"""Which files within a changed dependency are other ones than when a stage last ran."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dvc.dependency import Dependency
from dvc_data.hashfile.build import build
from dvc_data.hashfile.tree import Tree


@dataclass(frozen=True)
class Files:
    """Paths within the folder, and how they are known: by DVC's cache, exactly; or by Git.

    Args:
        since: The commit that the files differ from; empty where DVC's cache holds the folder as
            it was.
    """

    names: tuple[str, ...] = ()
    since: str = ""


NOT_KNOWN = Files()


def changed_files(dep: Dependency, top: Path) -> Files:
    """The files of a folder that changed; none for a file, and where it cannot be known."""
    if not dep.exists or not dep.isdir():
        return NOT_KNOWN
    then = dep.get_obj() if dep.hash_info and dep.is_dir_checksum else None
    if isinstance(then, Tree):
        options = {"ignore": dep.dvcignore, "dry_run": True}
        *_, now = build(dep.cache, dep.fs_path, dep.fs, dep.hash_name, **options)
        assert isinstance(now, Tree)
        old, new = _listed(then), _listed(now)
        return Files(tuple(sorted(n for n in {*old, *new} if old.get(n) != new.get(n))))
    return _by_git(str(dep), top)


def _listed(tree: Tree) -> Mapping[str, str]:
    return {"/".join(key): entry.value for key, _, entry in tree}


def _by_git(folder: str, top: Path) -> Files:
    """DVC keeps only the hash of a folder of sources; Git knows it as of the last ``dvc.lock``."""
    if _git(top, "status", "--porcelain", "--", "dvc.lock") != "":
        return NOT_KNOWN
    commit = _git(top, "log", "-1", "--format=%h", "--", "dvc.lock")
    if not commit:
        return NOT_KNOWN
    names = _git(top, "diff", "--name-only", "--relative", commit, "--", folder) or ""
    fresh = _git(top, "ls-files", "--others", "--exclude-standard", "--", folder) or ""
    found = sorted({*names.splitlines(), *fresh.splitlines()})
    inside = tuple(Path(name).relative_to(folder).as_posix() for name in found)
    return Files(inside, commit) if inside else NOT_KNOWN


def _git(top: Path, *arguments: str) -> str | None:
    """What Git says; None where it fails, as outside a repository."""
    command = ["git", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(command, cwd=top, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
