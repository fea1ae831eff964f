"""`make compare` on real Git and DVC repositories."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.projects import Copy

RUNS = ("base", "tuned")
FOLDER = "build/evaluations"
Rights = dict[str, tuple[int, int]]
"""Right answers and items by task."""


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def dvc(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments, "--quiet"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def predict(root: Path, run: str, tasks: Rights, start: int = 0, seed: str = "") -> None:
    """Predictions of which the last ones of each task are right."""
    rows = [
        {"id": f"{task}/{i}", "task": task, "question": f"{seed}{task}?\u2028{i}", "gold": str(i),
         "correct": i >= n - right, "completion": f"{run}\nb"}
        for task, (right, n) in tasks.items() for i in range(start, n)
    ]  # fmt: skip
    path = root / f"source/{run}/predictions.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


def metrics(root: Path, **runs: Rights) -> None:
    scores: dict[str, Any] = {}
    for run, tasks in runs.items():
        each = {task: {"accuracy": round(r / n, 4), "n": n} for task, (r, n) in tasks.items()}
        scores[run] = {**each, "macro": {"accuracy": 0.5, "n": 1}}
    (root / "build").mkdir(exist_ok=True)
    (root / "build/metrics.json").write_text(json.dumps(scores), encoding="utf-8")


def results(root: Path, tag: str) -> None:
    """Run the stages, and commit what DVC wrote."""
    dvc(root, "repro")
    git(root, "add", "-A")
    git(root, "commit", "-qm", tag)
    git(root, "tag", tag)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tags: empty, numbers (metrics.json alone), first, second; the workspace is like second."""
    root = tmp_path_factory.mktemp("compare") / "made"
    root.mkdir()
    git(root, "init", "-q")
    dvc(root, "init")
    dvc(root, "config", "core.analytics", "false")
    (root / "params.yaml").write_text("{}\n")
    stage = {
        "cmd": f"mkdir -p {FOLDER} && cp -r source/${{item}} {FOLDER}/${{item}}",
        "deps": ["source/${item}"],
        "outs": [f"{FOLDER}/${{item}}"],
    }
    pipeline = {"stages": {"evaluate": {"foreach": list(RUNS), "do": stage}}}
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    (root / ".gitignore").write_text("/build/*\n!/build/metrics.json\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "empty")
    git(root, "tag", "empty")
    metrics(root, base={"coins": (20, 40), "sums": (10, 30)}, tuned={"coins": (20, 40)})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "numbers")
    git(root, "tag", "numbers")
    predict(root, "base", {"coins": (20, 40), "sums": (10, 30)})
    predict(root, "tuned", {"coins": (20, 40), "sums": (10, 30)})
    results(root, "first")
    predict(root, "base", {"coins": (20, 40), "sums": (9, 30)})
    predict(root, "tuned", {"coins": (38, 40), "sums": (12, 30)})
    results(root, "second")
    return root


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Copy:
    """One that a test may spoil."""
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    return Copy(tmp_path / "copy")


def compare(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return Copy(root).run("-m", "stages.compare", *arguments)


def lines(root: Path, *arguments: str) -> list[str]:
    """The cells of the table's rows, then the lines below it."""
    done = compare(root, *arguments)
    assert (done.stderr, done.returncode) == ("", 0)
    out = done.stdout.splitlines()
    assert all(len(line.rstrip()) <= 140 for line in out if line[:1] in "┏┃┡│└")
    rows = [" | ".join(map(str.strip, line[1:-1].split("│"))) for line in out if line[:1] == "│"]
    return rows + [line for line in out if line[:1].isalpha()]


PAIRED = "paired: on items that both answered, by McNemar's exact test and Newcombe's interval"
MACRO = "macro: the mean of the tasks; p by sign flips within tasks, 10,000 draws from seed 0"
FIRST_TO_SECOND = [
    "base | coins | 40 | 50.0 % | 50.0 % | +0.0 | -4.7 to +4.7 | 1 | 1 | within noise",
    "base | sums | 30 | 33.3 % | 30.0 % | -3.3 | -13.0 to +6.2 | 1 | 1 | within noise",
    "base | macro | 70 | 41.7 % | 40.0 % | -1.7 | -7.0 to +3.6 | 1 | 1 | within noise",
    "tuned | coins | 40 | 50.0 % | 95.0 % | +45.0 | +27.3 to +59.8 | 7.63e-06 | 4.58e-05 | gain",
    "tuned | sums | 30 | 33.3 % | 40.0 % | +6.7 | -4.3 to +17.4 | 0.5 | 1 | within noise",
    "tuned | macro | 70 | 41.7 % | 67.5 % | +25.8 | +15.4 to +35.0 | 0.0001 | 0.0005 | gain",
    PAIRED,
    MACRO,
    "gain, loss: p corrected for the number of rows, 6, is below 0.05",
]


def test_two_commits_item_by_item(made: Path) -> None:
    before = git(made, "status", "--porcelain", "--ignored")
    assert lines(made, "first", "second") == FIRST_TO_SECOND
    assert lines(made, "second", "first")[3] == (
        "tuned | coins | 40 | 95.0 % | 50.0 % | -45.0 | -59.8 to -27.3 | 7.63e-06 | 4.58e-05 | loss"
    )
    assert git(made, "status", "--porcelain", "--ignored") == before


def test_the_head_of_the_table(made: Path) -> None:
    head = compare(made, "second~1").stdout.splitlines()[:4]
    assert head[0].strip() == "Test accuracy: second~1 (then) and the workspace (now)"
    cells = [[cell.strip() for cell in line[1:-1].split("┃")] for line in head[2:]]
    assert [" ".join(pair).strip() for pair in zip(*cells, strict=True)] == [
        "run", "task", "n", "accuracy then", "accuracy now", "difference in points",
        "95 % interval", "p (McNemar)", "p corrected (Holm)", "verdict",
    ]  # fmt: skip


def test_the_workspace_stands_for_now(copy: Copy) -> None:
    assert lines(copy.root, "first") == FIRST_TO_SECOND
    # what stands there counts, committed or not
    predict(copy.root, "base", {"coins": (40, 40), "sums": (9, 30)})
    dvc(copy.root, "repro")
    row = (
        "base | coins | 40 | 50.0 % | 100.0 % | +50.0 | +32.8 to +64.8 | 1.91e-06 | 1.14e-05 | gain"
    )
    assert lines(copy.root, "first")[0] == row


def test_items_of_one_side_and_other_questions_are_left_out(copy: Copy) -> None:
    predict(copy.root, "base", {"coins": (20, 40), "dates": (2, 5)}, start=4)
    predict(copy.root, "tuned", {"coins": (40, 40), "sums": (10, 33)}, seed="anew ")
    dvc(copy.root, "repro")
    shutil.copytree(copy.root / FOLDER / "base", copy.root / FOLDER / "third")
    assert lines(copy.root, "first") == [
        "base | coins | 36 | 55.6 % | 55.6 % | +0.0 | -5.3 to +5.3 | 1 | 1 | within noise",
        PAIRED,
        "gain, loss: p corrected for the number of rows, 1, is below 0.05",
        "left out of base, coins: 4 only then",
        "left out of base, dates: 1 only now",
        "left out of base, sums: 30 only then",
        "left out of third, coins: 36 only now",
        "left out of third, dates: 1 only now",
        "left out of tuned, coins: 40 with another question or gold answer",
        "left out of tuned, sums: 3 only now, 30 with another question or gold answer",
    ]


def test_several_samples_of_an_item_are_paired_by_their_share(copy: Copy) -> None:
    path = copy.root / FOLDER / "base/predictions.jsonl"
    once = [json.loads(line) for line in path.read_text().split("\n") if line]
    # what was right stays so in three of four samples, what was wrong becomes right in one
    often = [
        {**row, "sample": sample, "correct": sample < (3 if row["correct"] else 1)}
        for row in once if row["task"] == "coins" for sample in range(4)
    ]  # fmt: skip
    path.unlink()
    path.write_text("".join(json.dumps(row) + "\n" for row in often))
    shutil.rmtree(copy.root / FOLDER / "tuned")
    told = lines(copy.root, "first")
    assert told == [
        "base | coins | 40 | 50.0 % | 50.0 % | +0.0 | -8.3 to +8.3 | 1 | 1 | within noise",
        "paired: on items that both answered, by each item's share of right samples, of 1 then and "
        "4 now",
        "p by sign flips of the items' changes within tasks, 10,000 draws from seed 0; Newcombe's "
        "interval from the effective number of outcomes",
        "gain, loss: p corrected for the number of rows, 1, is below 0.05",
        "left out of base, sums: 30 only then",
        "left out of tuned, coins: 40 only then",
        "left out of tuned, sums: 30 only then",
    ]
    assert "(sign flips)" in compare(copy.root, "first").stdout
    found = json.loads(compare(copy.root, "first", "--format", "json").stdout)
    assert (found["then"].get("samples"), found["now"]["samples"]) == (None, 4)


UNPAIRED = (
    "unpaired: of {} only accuracies are at hand; both sides count as independent samples: "
    "as a rule wider intervals, and no p"
)
BY_INTERVAL = "gain, loss: the row's own interval leaves out 0, whatever the number of rows"


def test_numbers_alone_are_compared_unpaired(made: Path) -> None:
    assert lines(made, "numbers", "second") == [
        "base | coins | 40 | 50.0 % | 50.0 % | +0.0 | -20.9 to +20.9 | within noise",
        "base | sums | 30 | 33.3 % | 30.0 % | -3.3 | -25.6 to +19.4 | within noise",
        "base | macro | 70 | 41.7 % | 40.0 % | -1.7 | -17.0 to +13.8 | within noise",
        "tuned | coins | 40 | 50.0 % | 95.0 % | +45.0 | +26.3 to +60.2 | gain",
        UNPAIRED.format("numbers"),
        BY_INTERVAL,
        "left out of tuned, sums: 30 only now",
    ]


def test_a_workspace_without_predictions(copy: Copy) -> None:
    shutil.rmtree(copy.root / "build/evaluations")
    metrics(copy.root, base={"coins": (10, 80)})
    assert lines(copy.root, "numbers") == [
        "base | coins | 40 / 80 | 50.0 % | 12.5 % | -37.5 | -53.3 to -20.2 | loss",
        UNPAIRED.format("numbers and the workspace"),
        BY_INTERVAL,
        "left out of base, sums: 30 only then",
        "left out of tuned, coins: 40 only then",
    ]
    assert UNPAIRED.format("the workspace") in lines(copy.root, "first")


def test_json(made: Path) -> None:
    told = json.loads(compare(made, "first", "--format", "json").stdout)
    rows = told.pop("rows")
    assert told == {
        "paired": True, "confidence": 0.95, "resamples": 10_000, "seed": 0, "left_out": [],
        "then": {"name": "first", "commit": git(made, "rev-parse", "first")},
        "now": {"name": "the workspace", "commit": None},
    }  # fmt: skip
    assert [(row["run"], row["task"]) for row in rows][-1] == ("tuned", "macro")
    assert rows[4] == {
        "run": "tuned", "task": "sums", "n_then": 30, "n_now": 30,
        "accuracy_then": 10 / 30, "accuracy_now": 12 / 30, "difference": 2 / 30,
        "low": pytest.approx(-0.043, abs=1e-3), "high": pytest.approx(0.174, abs=1e-3),
        "bootstrap": [0.0, pytest.approx(5 / 30)], "p": 0.5, "p_corrected": 1.0,
        "verdict": "within noise",
    }  # fmt: skip
    told = json.loads(compare(made, "numbers", "--format", "json").stdout)
    assert (told["paired"], "seed" in told) == (False, False)
    assert told["rows"][0]["p"] is told["rows"][0]["bootstrap"] is None
    assert told["left_out"] == [
        {"run": "tuned", "task": "sums", "only_then": 0, "only_now": 30, "changed": 0}
    ]


def failure(root: Path, *arguments: str) -> str:
    done = compare(root, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def objects(root: Path) -> Path:
    return root / ".dvc/cache/files/md5"


def test_predictions_that_only_a_remote_holds(copy: Copy) -> None:
    # set up after those commits, so that their own settings do not know it
    dvc(copy.root, "remote", "add", "--default", "away", str(copy.root.parent / "remote"))
    for tag in ("first", "second"):
        git(copy.root, "checkout", "-q", "--merge", tag)
        dvc(copy.root, "checkout")
        dvc(copy.root, "push")
    shutil.rmtree(objects(copy.root))
    assert lines(copy.root, "first") == FIRST_TO_SECOND
    shutil.rmtree(copy.root.parent / "remote")
    told = failure(copy.root, "first").splitlines()
    for run, message, hint in zip(RUNS, told[::2], told[1::2], strict=True):
        assert message.startswith(
            f"first:dvc.lock: E521 build/evaluations/{run} of that commit is not in DVC's cache, "
            "and no remote gave it: ERROR: "
        )
        assert hint == HINT


HINT = "    hint: run `dvc push` on the machine that made it, or `dvc repro` at that commit"


def test_predictions_that_nothing_holds(copy: Copy) -> None:
    shutil.rmtree(objects(copy.root))
    about = "of that commit is not in DVC's cache, and no remote is set up"
    assert failure(copy.root, "first").splitlines() == [
        f"first:dvc.lock: E521 build/evaluations/base {about}",
        HINT,
        f"first:dvc.lock: E521 build/evaluations/tuned {about}",
        HINT,
    ]


def test_a_damaged_cache(copy: Copy) -> None:
    lock = yaml.safe_load(git(copy.root, "show", "first:dvc.lock"))
    md5 = lock["stages"]["evaluate@base"]["outs"][0]["md5"]
    path = objects(copy.root) / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_text("[]")
    assert failure(copy.root, "first") == (
        "first:dvc.lock: E521 build/evaluations/base of that commit is damaged in DVC's cache\n"
        f"    hint: remove {path}, and run this again\n"
    )


def test_no_results(copy: Copy) -> None:
    hint = "`dvc repro` makes them; a commit has them once dvc.lock and build are committed"
    nothing = "command line: E522 {} has neither build/evaluations nor build/metrics.json\n"
    nothing += f"    hint: {hint}\n"
    assert failure(copy.root, "empty") == nothing.format("empty")
    shutil.rmtree(copy.root / "build")
    assert failure(copy.root, "first") == nothing.format("the workspace")
    copy.write("build/metrics.json", "<<<<<<< HEAD\n")
    assert failure(copy.root, "first") == (
        "build/metrics.json: E522 this does not hold accuracies by run and task\n"
        "    hint: run `python -m stages.report`, which writes it\n"
    )


def test_nothing_in_common(copy: Copy) -> None:
    shutil.rmtree(copy.root / FOLDER / "tuned")
    predict(copy.root, "base", {"dates": (1, 2)})
    shutil.rmtree(copy.root / FOLDER / "base")
    shutil.copytree(copy.root / "source/base", copy.root / FOLDER / "base")
    assert failure(copy.root, "first") == (
        "command line: E522 first and the workspace share no item to compare\n"
        "    hint: left out of base, dates: 2 only now; left out of base, coins: 40 only then; "
        "left out of base, sums: 30 only then\n"
    )


def test_mistakes_on_the_command_line(copy: Copy) -> None:
    unknown = "command line: E513 there is no commit {!r}\n    hint: see `git log --oneline`\n"
    assert failure(copy.root, "nowhere") == unknown.format("nowhere")
    assert failure(copy.root, "first", "nowhere") == unknown.format("nowhere")
    assert "the following arguments are required: revision" in failure(copy.root)
    copy.write("dvc.lock", "stages: {a: 1, a: 2}\n")
    git(copy.root, "commit", "-qam", "bad")
    assert failure(copy.root, "HEAD").startswith("HEAD:dvc.lock:1:16: E10")


def test_a_project_in_a_folder_of_its_repository(copy: Copy, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    shutil.copytree(copy.root / "build", outer / "inner/build", ignore=lambda *_: ["evaluations"])
    (outer / "inner/params.yaml").write_text("{}\n")
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "a")
    assert lines(outer / "inner", "HEAD")[-2:] == [
        UNPAIRED.format("HEAD and the workspace"), BY_INTERVAL,
    ]  # fmt: skip


def test_it_starts_without_the_heavy_libraries(made: Path) -> None:
    code = "import sys, stages.compare; print({'numpy', 'scipy', 'dvc'} & sys.modules.keys())"
    assert Copy(made).run("-c", code).stdout == "set()\n"
