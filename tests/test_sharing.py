"""Two clones and an S3 remote: what is shared is not paid for twice, nor after a merge.

The tests run in the order of this file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import Copy, Repro, Teacher, edited
from tests.s3 import CREDENTIALS, s3_bucket
from tests.test_promises import ROWS, SUITE, TASK, Sums, kind, reply

pytestmark = pytest.mark.pipeline

MORE = f"specs/tasks/{SUITE}/more.yaml"
RUN = "steps"
RESULTS = ("dvc.lock", "build/manifest.json", "build/metrics.json")


class Pair(Sums):
    """Two tasks in one suite, one run."""

    def _shrink(self, student: Path) -> None:
        super()._shrink(student)
        shutil.copy(self.root / TASK, self.root / MORE)
        for name, words in ((TASK, "Sum: "), (MORE, "More: ")):
            with edited(self.root / name) as task:
                task["id"] = Path(name).stem
                task["strategies"] = ["step_by_step"]
                task["row"]["question"] = {"render": words + "{{ row.question }}"}
        with edited(self.root / "params.yaml") as params:
            params["probe"]["strategies"] = ["step_by_step"]
            params["runs"] = {RUN: {"train_on": "step_by_step"}}
            params["teach"]["samples"] = 1
            params["train"].update(epochs=1, batch_size=4, max_length=2048, evaluations=1)
            params["evaluate"]["max_tokens"] = 8

    def commit(self, words: str) -> None:
        self.git("add", "--all")
        self.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", words)

    def clone(self, folder: Path, branch: str) -> Pair:
        """Elsewhere: without a store, a key, or anything that is ignored."""
        made = object.__new__(Pair)
        made.__dict__.update(self.__dict__)
        made.root, made.said = folder, ""
        made.environment = self.environment | {"DVC_SITE_CACHE_DIR": str(folder) + "-site"}
        subprocess.run(
            ["git", "clone", "--quiet", "--branch", branch, self.root, folder], check=True
        )
        return made

    def stage(self, name: str, *arguments: str) -> str:
        return self.run(sys.executable, "-m", f"stages.{name}", *arguments).stdout


@pytest.fixture(scope="module")
def teacher() -> Iterator[Teacher]:
    made = Teacher()
    made.reply = reply
    yield made
    made.stop()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, tiny: Path, teacher: Teacher) -> Iterator[Pair]:
    """A project that ran, and pushed."""
    with s3_bucket("results") as (url, _):
        made = Pair(tmp_path_factory.mktemp("sharing") / "first", tiny, teacher.url)
        made.environment |= CREDENTIALS
        made.dvc("remote", "add", "--default", "team", "s3://results/tutelage")
        made.dvc("remote", "modify", "team", "endpointurl", url)
        made.git("checkout", "--quiet", "-b", "main")
        made.repro()
        made.commit("results")
        made.dvc("push", "--quiet")
        yield made


@pytest.fixture(scope="module")
def second(first: Pair) -> Pair:
    return first.clone(first.root.parent / "second", "main")


def asked(teacher: Teacher, before: int) -> list[tuple[str, int]]:
    """Task and row of what was asked since."""
    return sorted(
        (body["messages"][-1]["content"].split(":")[0], kind(body)["row"])
        for body in teacher.bodies[before:]
    )


def repro(project: Copy, *arguments: str) -> Repro:
    return project.repro(*arguments)


def test_a_clone_pulls_and_runs_nothing(first: Pair, second: Pair, teacher: Teacher) -> None:
    assert len(teacher.bodies) == 2 * ROWS
    assert second.stage("pull").startswith("pull: ")
    assert repro(second).stages == []
    assert not (second.root / ".cache/responses").exists()
    assert len(teacher.bodies) == 2 * ROWS


def test_it_pays_for_the_task_that_it_edits_and_sees_what_changed(
    second: Pair, teacher: Teacher
) -> None:
    before = len(teacher.bodies)
    second.git("checkout", "--quiet", "-b", "more")
    with edited(second.root / MORE) as task:
        task["row"]["question"] = {"render": "Yet more: {{ row.question }}"}
        task["data"]["splits"]["test"]["take"] = 1
    done = repro(second)
    assert f"evaluate@{RUN}" in done.stages
    assert asked(teacher, before) == [("Yet more", number) for number in range(1, ROWS + 1)]
    lines = second.dvc("metrics", "diff", "--md").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert ["build/metrics.json", f"{RUN}.more.n", "2", "1", "-1"] in cells
    second.commit("More of it")
    second.dvc("push", "--quiet")


def test_a_merge_of_two_branches_pays_for_nothing(
    first: Pair, second: Pair, teacher: Teacher
) -> None:
    """docs/share.md, "Two branches that both changed specs", word by word."""
    first.git("checkout", "--quiet", "-b", "sums")
    with edited(first.root / TASK) as task:
        task["row"]["question"] = {"render": "In sum: {{ row.question }}"}
        task["data"]["splits"]["test"]["take"] = 1
    before = len(teacher.bodies)
    repro(first)
    assert asked(teacher, before) == [("In sum", number) for number in range(1, ROWS + 1)]
    first.commit("In sum")
    first.dvc("push", "--quiet")

    third = first.clone(first.root.parent / "third", "sums")
    third.git("fetch", "--quiet", str(second.root), "more:more")
    before = len(teacher.bodies)
    merge = ["-c", "user.name=t", "-c", "user.email=t@t", "merge", "more"]
    merged = third.run("git", *merge, check=False)
    assert merged.returncode == 1
    conflicts = set(third.git("diff", "--name-only", "--diff-filter=U").splitlines())
    assert "dvc.lock" in conflicts <= set(RESULTS)
    for side in ("--theirs", "--ours"):
        third.git("checkout", "--quiet", side, *RESULTS)
        third.stage("pull")
        third.stage("store", "refill")
    done = repro(third)
    assert {f"teach@{SUITE}", f"train@{RUN}", "report"} <= set(done.stages)
    assert asked(teacher, before) == []
    third.commit("Merged")
    assert repro(third).stages == []
    whole = {line["task"]: line for line in rows(third, f"rationales/{SUITE}.jsonl")}
    assert whole.keys() == {"sums", "more"}


def rows(project: Copy, name: str) -> list[Any]:
    from stages.core.jsonl import read_rows

    return list(read_rows(project.root / "build" / name))
