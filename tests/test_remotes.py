"""Remotes that lose and damage objects: a real S3 server (moto's), real DVC repositories."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.projects import REPOSITORY
from tests.s3 import s3_bucket

BUCKET = "results"
HINT = (
    "    hint: `dvc push` where it was made mends the remote; `dvc repro` makes it anew, which may "
    "cost money\n"
)
PIPELINE = """\
stages:
  folder: {cmd: mkdir -p made && cp one.txt two.txt made, deps: [one.txt, two.txt], outs: [made]}
  file: {cmd: cp made/one.txt last.txt, deps: [made], outs: [last.txt]}
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[str, Any]]:
    with s3_bucket(BUCKET) as made:
        yield made


@pytest.fixture
def bucket(s3: tuple[str, Any]) -> Any:
    return s3[1]


class Clone:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            **os.environ,
            "DVC_SITE_CACHE_DIR": str(root.parent / f"site-{root.name}"),
            "DVC_GLOBAL_CONFIG_DIR": str(root.parent / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(root.parent / "system"),
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments).stdout

    def pull(self) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "stages.pull", check=False)

    def held(self) -> dict[str, str]:
        files = [*(self.root / "made").glob("*"), *self.root.glob("last.txt")]
        return {p.relative_to(self.root).as_posix(): p.read_text() for p in files}

    def git(self, *arguments: str) -> None:
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, s3: tuple[str, Any]) -> Clone:
    """A repository whose results were pushed."""
    root = tmp_path_factory.mktemp("remotes") / "first"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text(
        "[core]\n    analytics = false\n    remote = team\n"
        f"['remote \"team\"']\n    url = s3://{BUCKET}/tutelage\n    endpointurl = {s3[0]}\n"
    )
    (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / ".gitignore").write_text("/made\n/last.txt\n")
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "params.yaml").write_text("{}\n")
    for name in ("one", "two"):
        (root / f"{name}.txt").write_text(f"{name}\n")
    made = Clone(root)
    made.git("init", "--quiet")
    made.dvc("repro", "--quiet")
    made.dvc("push", "--quiet")
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "results")
    return made


@pytest.fixture
def clone(first: Clone, tmp_path: Path) -> Clone:
    made = Clone(tmp_path / "clone")
    first.git("clone", "--quiet", str(first.root), str(made.root))
    return made


def key(text: str) -> tuple[str, str]:
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return f"tutelage/files/md5/{md5[:2]}/{md5[2:]}", md5


WHOLE = {"made/one.txt": "one\n", "made/two.txt": "two\n", "last.txt": "one\n"}


def test_a_clone_has_everything_and_runs_nothing(clone: Clone) -> None:
    done = clone.pull()
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "pull: 3 files fetched, 2 outputs put in place\n"
    assert clone.held() == WHOLE
    assert "Data and pipelines are up to date." in clone.dvc("status")


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_an_object_that_is_not_there_as_it_was_is_named_and_nothing_is_overwritten(
    clone: Clone, bucket: Any, how: str
) -> None:
    mine = {"made/one.txt": "mine\n"}
    (clone.root / "made").mkdir()
    (clone.root / "made/one.txt").write_text("mine\n")
    name, md5 = key("two\n")
    bucket.Object(name).put(Body=b"too\n") if how == "damaged" else bucket.Object(name).delete()
    try:
        for _ in range(2):  # nor is it taken from the cache the second time
            done = clone.pull()
            assert (done.stdout, done.returncode) == ("", 2)
            assert done.stderr == (
                f"made/two.txt: E523 the remote lacks the object {md5}, or holds it damaged; no "
                f"output was touched\n{HINT}"
            )
            assert clone.held() == mine
    finally:
        bucket.Object(name).put(Body=b"two\n")
    (clone.root / "made/one.txt").unlink()
    (clone.root / "made").rmdir()
    assert clone.pull().returncode == 0
    assert clone.held() == WHOLE


def test_a_missing_listing_is_named_by_its_folder(clone: Clone, bucket: Any) -> None:
    lock = (clone.root / "dvc.lock").read_text()
    md5 = next(line.split()[-1] for line in lock.splitlines() if line.endswith(".dir"))
    name = f"tutelage/files/md5/{md5[:2]}/{md5[2:]}"
    body = bucket.Object(name).get()["Body"].read()
    assert {item["relpath"] for item in json.loads(body)} == {"one.txt", "two.txt"}
    bucket.Object(name).delete()
    try:
        done = clone.pull()
    finally:
        bucket.Object(name).put(Body=body)
    assert done.returncode == 2
    assert done.stderr == (
        f"made: E523 the remote lacks the object {md5}, or holds it damaged; no output was "
        f"touched\n{HINT}"
    )
    assert clone.held() == {}


def test_what_no_cache_holds_is_left_and_told(clone: Clone) -> None:
    (clone.root / "made").mkdir()
    (clone.root / "made/one.txt").write_text("mine\n")
    done = clone.pull()
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith("pull: 3 files fetched; nothing put in place: Can't remove")
    assert clone.held() == {"made/one.txt": "mine\n"}


def test_a_remote_that_is_not_there_is_told(clone: Clone) -> None:
    clone.dvc("remote", "modify", "--local", "team", "url", f"s3://{BUCKET}-none/x")
    done = clone.pull()
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert ": E524 " in done.stderr or ": E523 " in done.stderr


def test_without_a_remote_there_is_nothing_to_do(clone: Clone) -> None:
    (clone.root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    done = clone.pull()
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
