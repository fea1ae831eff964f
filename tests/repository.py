"""A project copy in a Git and DVC repository of its own, with DVC run in the test's process."""

from __future__ import annotations

import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.projects import Copy, copy_project


class Repository(Copy):
    """As `Copy`; commands that it starts and DVC in this process share no state with the user's."""

    def start(self, patch: pytest.MonkeyPatch, pipeline: dict[str, Any]) -> None:
        """Commit everything, with this ``dvc.yaml``; the working folder becomes this one."""
        for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG"):
            patch.setenv(f"DVC_{name}_DIR", str(self.root.parent / name))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.delenv("DVC_ROOT", raising=False)
        patch.chdir(self.root)
        self.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))
        self.write(
            ".gitignore", "/.cache/\n/build/*\n!/build/metrics.json\n!/build/manifest.json\n"
        )
        self.git("init", "--quiet")
        self.dvc("init", "--quiet")
        self.commit("start")

    def dvc(self, *arguments: str) -> int:
        from dvc.cli import main

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what DVC's own libraries warn of
            return int(main(list(arguments)) or 0)

    def repro(self) -> None:
        assert self.dvc("repro", "--quiet") == 0

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything; returns the short hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "--short", "HEAD")


def repository(folder: Path) -> Repository:
    folder.mkdir()
    return Repository(copy_project(folder).root)
