"""Fine-tune the student for one run: ``python -m stages.train RUN``.

Reads ``build/mix/RUN.jsonl``, ``build/compiled/runs/RUN/valid.jsonl``, ``build/student``, and
``build/teacher`` where the mix names a model there by its digest; writes
``build/checkpoints/RUN/`` (the best by valid) and ``build/training/RUN/`` (what was measured).
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from stages.core.console import Progress, argument, entry, root, say, watch
from stages.core.jsonl import absent, count_rows, read_json, read_rows, write_json
from stages.engines.ask import examination
from stages.engines.local import Generator, LocalEngine
from stages.engines.local import plan as plan_batches
from stages.scoring.judge import by_task, judge
from stages.spec.methods import NOTHING
from stages.spec.read import load_params
from stages.training.speed import keep


def main() -> None:
    """Train one run; a run that trains on nothing keeps the student as it is."""
    top = root()
    params = load_params(top)
    runs = {item.id: item for item in params.runs}
    run = argument("run", runs)
    out, log = top / f"build/checkpoints/{run}", top / f"build/training/{run}"
    student = top / "build/student"
    if not student.is_dir():
        raise absent(student)
    if runs[run].train_on == NOTHING:
        shutil.copytree(student, out, dirs_exist_ok=True)
        write_json(log / "loss.json", [])
        write_json(log / "valid.json", [])
        say(f"train {run}: the student as it is")
        return
    from stages.training.sft import train
    from stages.training.targets import targets

    generator, settings = Generator.load(student), {**params.train, **runs[run].train}
    mix = top / f"build/mix/{run}.jsonl"
    rows = read_rows(mix)
    header, limit = next(rows), params.evaluate["max_tokens"]
    chosen = header["strategies"]
    told = watch(rows, count_rows(mix) - 1, f"tokenise {run}")
    examples, objective = targets(top / "build/teacher", header, told, generator, settings, limit)
    tokens = sum(len(example.ids) for example in examples)
    say(f"train {run}: {len(examples)} rows of {tokens / len(examples):.0f} tokens")
    progress, start = Progress(f"train {run}", "steps"), time.monotonic()
    measured = train(
        generator,
        examples,
        lambda student: valid_accuracy(top, run, chosen, student, limit),
        settings,
        out,
        progress,
        objective,
    )
    keep(top, params.student, round(tokens * settings["epochs"]), time.monotonic() - start)
    write_json(log / "loss.json", measured.steps)
    write_json(log / "valid.json", measured.evaluations)
    best = max(item["valid_accuracy"] for item in measured.evaluations)
    say(f"train {run}: best on valid at step {measured.best_step}, accuracy {best:.0%}")


def valid_accuracy(
    top: Path, run: str, chosen: dict[str, str], generator: Generator, limit: int
) -> float:
    """Mean over tasks of the accuracy on the valid rows, greedy."""
    folder = top / f"build/compiled/runs/{run}"
    tasks = read_json(folder / "tasks.json")
    rows = list(read_rows(folder / "valid.jsonl"))
    asked = [examination(LIVE, row, chosen, limit) for row in rows]
    texts = {}
    for batch in plan_batches(asked, {item.key for item in asked}, generator):
        for item, completion in zip(batch, generator.generate(batch), strict=True):
            texts[item.key] = completion.text
    right = {
        row["id"]: judge(texts[item.key], row, tasks[row["task"]]).correct
        for row, item in zip(rows, asked, strict=True)
    }
    groups = [group for group in by_task(rows, tasks).values() if group]
    return sum(sum(right[row["id"]] for row in g) / len(g) for g in groups) / len(groups)


class _Live:
    """Names the model in memory; its answers are never stored, since its weights change."""

    endpoint, model, complete = "local", "in training", LocalEngine.complete


LIVE = _Live()


if __name__ == "__main__":
    entry(main)
