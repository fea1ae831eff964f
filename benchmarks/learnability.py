"""Whether the probe that lets the student learn picks the strategy that is best in the end.

``make bench learnability``, or ``python -m benchmarks.learnability --task coin_flip …``.

Runs the shipped stages in a folder of their own: the probe of one embedded task in both modes, and
then, for each strategy, the training that the probe is to foretell, with more rows and all weights.
Prints both rankings and the test accuracies with their intervals. Some 25 minutes on two cores; a
`--folder` that is kept takes up held answers where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from stages.core.jsonl import read_json, read_rows
from stages.scoring.paired import mcnemar, pairs

ROOT = Path(__file__).parents[1]
SUITE = "symbolic"
STRATEGIES = "direct,step_by_step,explain_then_answer"


@contextmanager
def edited(path: Path) -> Iterator[Any]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    yield data
    text = yaml.safe_dump(data, sort_keys=False, width=1000)
    path.write_text(text, encoding="utf-8")


def prepare(folder: Path, wanted: argparse.Namespace, strategies: list[str]) -> None:
    """The project with one task, more probe and train rows, and a run for each strategy."""
    for name in ("specs/schema", "specs/strategies", f"specs/tasks/{SUITE}", "templates"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    shutil.copy(ROOT / "params.yaml", folder)
    with edited(folder / f"specs/tasks/{SUITE}/{wanted.task}.yaml") as task:
        for split in ("test", "probe", "train"):
            task["data"]["splits"][split]["take"] = getattr(wanted, split)
    with edited(folder / "params.yaml") as params:
        params["tasks"] = {SUITE: [wanted.task]}
        params["probe"].update(
            strategies=strategies, max_tokens=wanted.max_tokens, rows=wanted.rows,
            epochs=wanted.epochs, learning_rate=wanted.learning_rate,
        )  # fmt: skip
        params["select"]["fallback"] = wanted.fallback
        params["evaluate"]["max_tokens"] = wanted.max_tokens
        params["train"]["evaluations"] = 1
        params["runs"] = {"selected": {"train_on": "selected"}} | {
            name: {"train_on": name} for name in strategies
        }
    (folder / "build").mkdir(exist_ok=True)
    if wanted.student and not (folder / "build/student").exists():
        (folder / "build/student").symlink_to(wanted.student.resolve())


def run(folder: Path, stage: str, *arguments: str) -> float:
    """Seconds that a stage took; what it says goes to the log."""
    start = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", *arguments],
        cwd=folder, env=environment, stdout=sys.stderr, check=True,
    )  # fmt: skip
    return time.monotonic() - start


def probe(folder: Path, task: str, mode: str) -> dict[str, Any]:
    with edited(folder / "params.yaml") as params:
        params["probe"]["mode"] = mode
    run(folder, "compile")
    seconds = run(folder, "probe", SUITE) + run(folder, "select_strategy", SUITE)
    chosen = read_json(folder / f"build/selected/{SUITE}.json")[task]
    return {
        "chosen": chosen["strategy"], "at_floor": chosen["at_floor"],
        "rows": chosen.get("rows", 0), "seconds": round(seconds),
        "strategies": {
            item["strategy"]: {
                "right": f"{item['correct']} of {item['n']}", "p_best": item["p_best"],
                "mean_tokens": round(item["mean_tokens"], 1), "cut_short": item["cut_short"],
            }
            for item in chosen["evidence"]
        },
    }  # fmt: skip


def final(folder: Path, task: str, strategy: str) -> tuple[dict[str, Any], dict[str, bool]]:
    """The scores of a student trained on one strategy, and each test item's outcome."""
    seconds = run(folder, "train", strategy) + run(folder, "evaluate", strategy)
    out = folder / f"build/evaluations/{strategy}"
    scores = read_json(out / "scores.json")[task]
    outcomes = {row["id"]: row["correct"] for row in read_rows(out / "predictions.jsonl")}
    shown = {key: scores[key] for key in ("accuracy", "ci_low", "ci_high", "n", "mean_tokens")}
    return {**shown, "seconds": round(seconds)}, outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="last_letter")
    parser.add_argument("--student", type=Path, help="a checkpoint; the embedded one when absent")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one when absent")
    parser.add_argument("--strategies", default=STRATEGIES)
    parser.add_argument("--fallback", default="step_by_step")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--probe", type=int, default=30)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--only-probe", action="store_true", help="train nothing but adapters")
    wanted = parser.parse_args()
    strategies = wanted.strategies.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        folder = wanted.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        prepare(folder, wanted, strategies)
        if not (folder / "build/student").exists():
            run(folder, "student")
        run(folder, "teacher")
        told: dict[str, Any] = {"bench": "learnability", "task": wanted.task}
        for mode in ("prompt", "finetune"):
            told[mode] = probe(folder, wanted.task, mode)
        if not wanted.only_probe:
            for stage in ("teach", "curate"):
                run(folder, stage, SUITE)
            run(folder, "mix")
            ended = {name: final(folder, wanted.task, name) for name in strategies}
            told["final"] = {name: scores for name, (scores, _) in ended.items()}
            one, other = told["finetune"]["chosen"], told["prompt"]["chosen"]
            if one != other:
                told["p_chosen_against_prompts"] = round(
                    mcnemar(pairs(ended[other][1], ended[one][1])), 4
                )
    print(json.dumps(told))


if __name__ == "__main__":
    main()
