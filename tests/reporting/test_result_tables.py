"""What `make report` prints, whole, for runs with tasks in common and for a run a task."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from stages import report
from stages.spec.published import load_published
from tests.pipeline import edited
from tests.projects import REPOSITORY, Copy

Scores = dict[str, dict[str, Any]]


def score(accuracy: float, n: int = 50, **more: Any) -> dict[str, Any]:
    return {"accuracy": accuracy, "ci_low": accuracy / 2, "ci_high": accuracy, "n": n, **more}


def sampled(accuracy: float, ties: int) -> dict[str, Any]:
    # as JSON gives it back, pass@16 before pass@2
    return score(
        accuracy, samples=16, **{
            "avg@16": accuracy, "maj@16": 0.75, "maj@2": 0.5, "maj_ties": ties,
            "pass@16": 1.0, "pass@2": 0.625,
        },
    )  # fmt: skip


@pytest.fixture
def shown(
    project: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Prints a project's metrics; returns the cells of each row, and each line that is none."""
    monkeypatch.chdir(project.root)
    tasks = project.root / "specs/tasks"
    shutil.rmtree(tasks)
    shutil.copytree(REPOSITORY / "specs/tasks", tasks)

    def show(metrics: dict[str, Scores], *arguments: str, **params: Any) -> list[str]:
        with edited(project.root / "params.yaml") as data:
            data["runs"] = {run: {"train_on": "step_by_step"} for run in metrics}
            data.update(params)
        (project.root / "build").mkdir(exist_ok=True)
        (project.root / "build/metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["report", *arguments])
        report.main()
        return list(rows(capsys.readouterr().out))

    return show


def rows(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line[0] in "│┃":
            yield " ".join(line[1:-1].replace("┃", "│").replace("│", " | ").split())
        elif line[0] not in "┏┡└├":
            yield line.strip()


def test_runs_with_tasks_in_common(shown: Any, project: Copy) -> None:
    folder = project.root / "build/selected"
    folder.mkdir(parents=True)
    chosen = {"coin_flip": {"strategy": "direct", "at_floor": True}}
    (folder / "symbolic.json").write_text(json.dumps(chosen))
    metrics = {
        "base": {"coin_flip": score(0.5), "macro": score(0.5)},
        "tuned": {"coin_flip": score(0.75), "spans": score(0.25, f1=0.5), "macro": score(0.5, 100)},
    }
    assert shown(metrics, "--show") == [
        "Test accuracy with 95 % interval",
        "task | base | tuned | strategy selected",
        "coin_flip | 50.0 % (25 to 50) n=50 | 75.0 % (38 to 75) n=50 | "
        "direct (fallback: student at floor)",
        "spans | - | 25.0 % (12 to 25) n=50, F1 50.0 |",
        "macro | 50.0 % (25 to 50) n=50 | 50.0 % (25 to 50) n=100 |",
    ]


def test_a_run_a_task(shown: Any) -> None:
    metrics = {
        "addsub": {"addsub": score(0.5), "macro": score(0.5)},
        "svamp": {"svamp": score(0.25), "macro": score(0.25)},
    }
    assert shown(metrics, "--show") == [
        "Test accuracy with 95 % interval",
        "task | accuracy | trained on",
        "addsub | 50.0 % (25 to 50) n=50 | step_by_step",
        "svamp | 25.0 % (12 to 25) n=50 | step_by_step",
    ]
    named = {"one": metrics["addsub"], "svamp": metrics["svamp"]}
    assert shown(named, "--show")[1:3] == [
        "task | run | accuracy | trained on",
        "addsub | one | 50.0 % (25 to 50) n=50 | step_by_step",
    ]
    for more in ({"both": {**metrics["addsub"], **metrics["svamp"]}}, {"twice": metrics["addsub"]}):
        assert shown({**metrics, **more}, "--show")[1].startswith("task | addsub | svamp | ")
    assert shown({"addsub": metrics["addsub"]}, "--show")[1] == "task | addsub | strategy selected"


def test_several_samples(shown: Any) -> None:
    metrics = {
        "base": {
            "coins": sampled(0.25, 3),
            "sums": sampled(0.5, 0),
            "macro": score(0.5, samples=16),
        }
    }
    assert shown(metrics, "--show") == [
        "Test accuracy with 95 % interval, mean of 16 samples",
        "task | base | strategy selected",
        "coins | 25.0 % (12 to 25) n=50 |",
        "sums | 50.0 % (25 to 50) n=50 |",
        "macro | 50.0 % (25 to 50) n=50 |",
        "Several samples of each item",
        "run | task | pass@2 | pass@16 | maj@2 | maj@16 | ties",
        "base | coins | 62.5 % | 100.0 % | 50.0 % | 75.0 % | 3 of 50",
        "base | sums | 62.5 % | 100.0 % | 50.0 % | 75.0 % | 0 of 50",
        "ties: items on which no answer alone had most votes; the one that came first counts",
    ]


def test_published_figures_beside_a_run_a_task(shown: Any) -> None:
    metrics = {
        "addsub": {"addsub": score(0.0588, 119), "macro": score(0.0588)},
        "coin_flip": {"coin_flip": score(0.5, 150), "macro": score(0.5)},
        "last_letter": {"last_letter": score(0.5, 160), "macro": score(0.5)},
    }
    told = shown(
        metrics, "--published", suites=["published_arithmetic", "published_symbolic", "symbolic"],
        tasks={"symbolic": ["last_letter"], "published_arithmetic": ["addsub"]},
    )  # fmt: skip
    title = "Fine-tune-CoT: Large Language Models Are Reasoning Teachers"
    assert told[5:9] == [
        f"{title}: published figures beside ours, accuracy in %",
        "figures | model | method | addsub | coin_flip",
        "published (1) | | chance | 0.00 | 50.00",
        "published (1) | the teacher 175B | zero-shot-CoT | 76.71 | 90.04",
    ]
    files = "the teacher of the six published files 175B | zero-shot-CoT"
    assert f"published (2) | {files} | 69.62 | 91.40" in told
    assert "published (1) | GPT-2 124M | Fine-tune-CoT | 5.88 | 77.33" in told
    paper = load_published(REPOSITORY)[0]
    assert paper.source.startswith("Ho, Schmid and Yun 2022 (arXiv 2212.10071, ACL 2023), by the ")
    assert told[20:] == [
        "published (1) | | test rows | 119 | 150",
        "ours | embedded | a run for each task | 5.9 | 50.0",
        "| | | 3 to 6 | 25 to 50",
        "| | | n=119 | n=150",
        "| | against GPT-2 124M, | equal | below",
        "| | Fine-tune-CoT | |",
        f"(1) {paper.source}",
        f"(2) {paper.rows[2].source}",
        "above, below: our accuracy; in noise where our own 95 % interval holds the figure",
        *paper.notes,
        paper.rows[1].note,
    ]


def test_each_run_is_held_against_the_reference(shown: Any) -> None:
    metrics = {
        "base": {
            "svamp": {**score(0.05, 300), "ci_low": 0.03, "ci_high": 0.08},
            "macro": score(0.1),
        },
        "tuned": {"svamp": {**score(0.2, 300), "ci_low": 0.1}, "macro": score(0.2)},
        "less": {
            "svamp": {**score(0.04, 300), "ci_low": 0.02, "ci_high": 0.08},
            "macro": score(0.1),
        },
    }
    told = shown(metrics, "--published", suites=["paper_arithmetic"],
                 tasks={"paper_arithmetic": ["svamp"]})  # fmt: skip
    ours = [line for line in told if line.startswith("ours") or "against" in line]
    assert ours == [
        "ours | embedded | base | 5.0",
        "| | against GPT-2 124M, | above,",
        "ours | embedded | tuned | 20.0",
        "| | against GPT-2 124M, | above",
        "ours | embedded | less | 4.0",
        "| | against GPT-2 124M, | below,",
    ]
    assert sum("in noise" in line for line in told) == 3  # and the line that explains it


def test_a_benchmark_stands_beside_its_suites_mean(shown: Any) -> None:
    found = (REPOSITORY / "specs/tasks/orca2_agieval").glob("[a-z]*.yaml")
    tasks = sorted(path.stem for path in found)
    scores = {name: score(0.25 if at else 0.5) for at, name in enumerate(tasks)}
    mean = f"{100 * (0.25 + 0.25 / len(tasks)):.1f}"
    metrics = {"zero_shot": {**scores, "macro": score(0.3)}}
    told = shown(metrics, "--published", suites=["orca2_agieval"], tasks={})
    assert "(ours: mean of" in "\n".join(told)
    assert f"ours | embedded | zero_shot | {mean} |" in told
    assert "published (1) | Orca-2-13B | Orca 2 | 49.93 | 64.49" in told
    assert "published (1) | GPT-4 | as it came | - | 79.03" in told
    assert "Orca-2-13B: a mean of 66.92 with a cautious system message" in told
    # a suite that was run in part has no mean
    del scores[tasks[0]]
    told = shown({"zero_shot": {**scores, "macro": score(0.3)}}, "--published",
                 suites=["orca2_agieval"], tasks={})  # fmt: skip
    assert told[-1] == "published figures: none is on a task of these runs' suites"


def test_tasks_of_the_same_name_elsewhere_are_left_alone(shown: Any) -> None:
    metrics = {"base": {"coin_flip": score(0.5), "last_letter": score(0.5), "macro": score(0.5)}}
    assert shown(metrics, "--published")[-1] == (
        "published figures: none is on a task of these runs' suites"
    )
