"""What would run and why, in a real DVC repository; each test leaves it up to date."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dvc.repo import Repo

from stages import why
from stages.changes.folders import Files
from stages.changes.pending import Cause, Pending, pending
from stages.core.errors import UserError
from tests.changes_pipeline import PIPELINE
from tests.pipeline import edited
from tests.repository import Repository, repository

# of pygtrie, which DVC uses
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with pytest.MonkeyPatch.context() as patch:
        made = repository(tmp_path_factory.mktemp("changes") / "made")
        made.write("notes/a", "one\n")
        made.write("notes/b", "two\n")
        made.start(patch, PIPELINE)
        made.repro()
        made.commit("results")
        yield made


@pytest.fixture(autouse=True)
def as_it_was(made: Repository) -> Iterator[None]:
    yield
    made.git("checkout", "--quiet", ".")
    made.git("clean", "--quiet", "-d", "--force")
    made.dvc("checkout", "--quiet", "--force")


def by_stage(made: Repository) -> dict[str, Pending]:
    return {item.stage: item for item in pending(made.root)}


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.argv", ["why"])
    capsys.readouterr()
    why.main()
    return capsys.readouterr().out


def test_nothing_would_run_and_nothing_is_written(
    made: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.root.rglob("*")
              if path.is_file() and ".dvc/tmp" not in path.as_posix()
              and ".git/" not in path.as_posix()}  # fmt: skip
    assert said(capsys, monkeypatch) == "why: every stage is up to date; nothing would run\n"
    assert made.git("status", "--porcelain") == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_parameter_with_both_values_and_what_may_follow(
    made: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with edited(made.root / "params.yaml") as params:
        before = params["train"]["epochs"]
        params["train"]["epochs"] = before + 1
        seed = params["train"].pop("seed")
    found = by_stage(made)
    assert found.keys() == {"train@direct", "train@selected", "report"}
    assert found["train@direct"].causes == [
        Cause("parameter", "train.epochs", "modified", before, before + 1),
        Cause("parameter", "train.seed", "deleted", seed, "absent"),
    ]
    assert found["report"] == Pending("report", after=["train@direct", "train@selected"])
    with edited(made.root / "params.yaml") as params:
        params["train"]["seed"] = seed
    assert said(capsys, monkeypatch).splitlines() == [
        "train@direct",
        f"  parameter train.epochs: {before} → {before + 1}",
        "train@selected",
        f"  parameter train.epochs: {before} → {before + 1}",
        "behind them, each only if what it reads comes out other than before",
        "  report",
        "costs, at most",
        "  teacher: nothing to ask",
        "  training direct: no figure yet, as build/mix has no rows for it",
        "  training selected: no figure yet, as build/mix has no rows for it",
        "why: 2 stages would run, 1 may follow",
    ]


def test_a_folder_of_sources_names_its_files_by_git(made: Repository) -> None:
    made.write("notes/a", "another\n")
    made.write("notes/new", "new\n")
    commit = made.git("log", "-1", "--format=%h", "--", "dvc.lock")
    assert by_stage(made)["student"].causes == [
        Cause("dependency", "notes", "modified", files=Files(("a", "new"), commit))
    ]


def test_an_output_that_was_edited_names_its_files_by_the_cache(made: Repository) -> None:
    path = made.root / "build/student/b"
    path.unlink()  # DVC may have linked it to its cache
    path.write_text("edited\n")
    found = by_stage(made)
    assert found["student"].causes == [Cause("output", "build/student", "modified")]
    assert found["train@direct"].causes == [
        Cause("dependency", "build/student", "modified", files=Files(("b",)))
    ]


def test_a_command_and_a_stage_that_never_ran(made: Repository) -> None:
    text = made.read("dvc.yaml").replace("cat build/checkpoints/*", "cat  build/checkpoints/*")
    made.write("dvc.yaml", text.replace("- selected", "- selected\n    - third"))
    found = by_stage(made)
    then = PIPELINE["stages"]["report"]["cmd"]
    assert found["report"].causes == [
        Cause("command", "report", "modified", then, then.replace("cat ", "cat  "))
    ]
    (cause,) = found["train@third"].causes
    assert (cause.kind, cause.change) == ("never ran", "new")
    assert cause.name.endswith("build/checkpoints/third")


def test_an_earlier_run_of_the_same_is_known_to_cost_nothing(made: Repository) -> None:
    with edited(made.root / "params.yaml") as params:
        params["train"]["epochs"] += 1
    assert not by_stage(made)["train@direct"].held
    made.repro()
    made.git("checkout", "--quiet", "params.yaml")
    assert {name: item.held for name, item in by_stage(made).items() if item.causes} == {
        "train@direct": True, "train@selected": True,
    }  # fmt: skip


def test_while_dvc_runs(made: Repository) -> None:
    with Repo().lock, pytest.raises(UserError) as caught:
        pending(made.root)
    assert str(caught.value) == (
        "DVC: E553 another DVC command is running here\n    hint: wait until it has ended"
    )


def test_a_pipeline_that_dvc_cannot_read(made: Repository) -> None:
    made.write("dvc.yaml", "stages: 3\n")
    with pytest.raises(UserError, match=r"^DVC: E553 DVC cannot read this project: '\./dvc\.yaml'"):
        pending(made.root)
