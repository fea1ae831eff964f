"""Fine-tune the student for one run: ``python -m stages.train RUN``.

Reads ``build/mix/RUN.jsonl``, ``build/compiled/runs/RUN/valid.jsonl``, ``build/student``; writes
``build/checkpoints/RUN/`` (the best by valid) and ``build/training/RUN/`` (what was measured).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.console import Progress, argument, entry, root, say, watch
from stages.core.jsonl import absent, count_rows, digest, read_json, read_rows, write_json
from stages.engines.ask import examination
from stages.engines.local import Generator, LocalEngine, folder_digest
from stages.engines.local import plan as plan_batches
from stages.scoring.judge import by_task, judge
from stages.spec.methods import NOTHING
from stages.spec.model import Params, Run
from stages.spec.read import load_params
from stages.training.checks import check
from stages.training.launch import check_sharding, end_with_launcher, launch, launched
from stages.training.processes import agreed, is_main
from stages.training.resume import code, unfinished
from stages.training.speed import keep
from stages.training.tokenise import Example

if TYPE_CHECKING:
    from stages.training.objective import Objective


def main() -> None:
    """Train one run; a run that trains on nothing keeps the student as it is."""
    if launched():
        end_with_launcher()
    top = root()
    params = load_params(top)
    runs = {item.id: item for item in params.runs}
    run = runs[argument("run", runs)]
    out, log = top / f"build/checkpoints/{run.id}", top / f"build/training/{run.id}"
    if not (top / "build/student").is_dir():
        raise absent(top / "build/student")
    if run.train_on == NOTHING:
        shutil.copytree(top / "build/student", out, dirs_exist_ok=True)
        write_json(log / "loss.json", [])
        write_json(log / "valid.json", [])
        write_json(log / "precision.json", None)
        say(f"train {run.id}: the student as it is")
        return
    train_run(top, params, run, out, log)


def train_run(top: Path, params: Params, run: Run, out: Path, log: Path) -> None:
    """Train one run and write what came of it.

    Raises:
        UserError: E711 to E713, E721 to E724, E731, E732, E741 to E745, before the first step.
    """
    from stages.training.precision import AUTO, precision
    from stages.training.sft import train
    from stages.training.student import load, tokenizer
    from stages.training.targets import check_head

    student, settings = top / "build/student", {**params.train, **run.train}
    valid = Valid(top, run, params.evaluate["max_tokens"])
    config = None if launched() else params.runtime.get("accelerate")
    examples, objective = prepared(top, run, valid, tokenizer(student), settings)
    if config:
        launch(top, config, "stages.train", run.id)
    check_sharding(settings)
    generator = load(student)
    if objective:
        check_head("build/student", generator.model, examples[0])
    settings["precision"] = agreed(
        precision(top, settings.get("precision", AUTO), generator.model.device) if is_main() else ""
    )
    tokens = sum(len(example.ids) for example in examples)
    if is_main():
        say(
            f"train {run.id}: {len(examples)} rows of {tokens / len(examples):.0f} tokens, "
            f"{settings['precision']} on {generator.model.device.type}"
        )
    key = digest([
        folder_digest(student), settings, valid.limit, code(top),
        [_sha256(file) for file in (valid.mix, valid.folder / "valid.jsonl",
                                    valid.folder / "tasks.json")],
        [version(name) for name in ("torch", "transformers", "peft")],
    ])  # fmt: skip
    every, names = params.runtime.get("checkpoint"), [item.id for item in params.runs]
    with unfinished(top, run.id, names, key, every) as held:
        found, start = held.newest(), time.monotonic()
        if found and is_main():
            say(f"train {run.id}: goes on from step {found[1]['step']}")
        measured = train(
            generator, examples, valid.accuracy, settings, out,
            Progress(f"train {run.id}", "steps"), held, objective,
        )  # fmt: skip
        if not is_main():
            return
        keep(top, params.student, measured.tokens, time.monotonic() - start)
        write_json(log / "loss.json", measured.steps)
        write_json(log / "valid.json", measured.evaluations)
        device = generator.model.device.type
        write_json(log / "precision.json", {"device": device, "precision": settings["precision"]})
        held.remove()
    best = max(item["valid_accuracy"] for item in measured.evaluations)
    say(f"train {run.id}: best on valid at step {measured.best_step}, accuracy {best:.0%}")


def prepared(
    top: Path,
    run: Run,
    valid: Valid,
    tokenizer: Any,
    settings: dict[str, Any],
) -> tuple[list[Example], Objective | None]:
    """The run's training rows as token ids, checked, and what is minimised on them."""
    from stages.training.targets import targets

    name = f"build/mix/{run.id}.jsonl"

    def rows() -> Iterator[Any]:
        return islice(read_rows(top / name), 1, None)

    told = watch(rows(), count_rows(top / name) - 1, f"tokenise {run.id}", tell=is_main())
    header = next(read_rows(top / name))
    examples, objective = targets(
        top / "build/teacher", header, told, tokenizer, settings, valid.limit
    )
    check(name, rows(), examples, valid.requests, tokenizer)
    return examples, objective


class Valid:
    """The valid rows of a run, as the student is asked them, and how its answers are judged."""

    def __init__(self, top: Path, run: Run, limit: int) -> None:
        self.folder, self.limit = top / f"build/compiled/runs/{run.id}", limit
        self.mix = top / f"build/mix/{run.id}.jsonl"
        chosen = next(read_rows(self.mix))["strategies"]
        self._tasks = read_json(self.folder / "tasks.json")
        self._rows = list(read_rows(self.folder / "valid.jsonl"))
        self.requests = [(row["task"], examination(LIVE, row, chosen, limit)) for row in self._rows]

    def accuracy(self, generator: Generator) -> float:
        """Mean over tasks of the accuracy, greedy."""
        asked, texts = [item for _, item in self.requests], {}
        for batch in plan_batches(asked, {item.key for item in asked}, generator):
            for item, completion in zip(batch, generator.generate(batch), strict=True):
                texts[item.key] = completion.text
        right = {
            row["id"]: judge(texts[item.key], row, self._tasks[row["task"]]).correct
            for row, item in zip(self._rows, asked, strict=True)
        }
        groups = [group for group in by_task(self._rows, self._tasks).values() if group]
        return sum(sum(right[row["id"]] for row in g) / len(g) for g in groups) / len(groups)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        whole = hashlib.sha256()
        while block := opened.read(1 << 22):
            whole.update(block)
    return whole.hexdigest()


class _Live:
    """Names the model in memory; its answers are never stored, since its weights change."""

    endpoint, model, complete = "local", "in training", LocalEngine.complete


LIVE = _Live()


if __name__ == "__main__":
    entry(main)
