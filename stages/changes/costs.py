"""What the stages that would run cost: requests to the teacher, training, the student's answers.

Counted on what the last build holds where a stage before would change it: about, then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from stages.compiler.check import checked
from stages.core.jsonl import count_rows, read_rows
from stages.engines.store import Store, default_path
from stages.spec.decoding import Decoding
from stages.spec.methods import NOTHING
from stages.spec.model import Params, Run
from stages.teaching.forecast import forecast
from stages.training.speed import measured

LOOKED_AT = 1000
"""Training rows whose tokens are counted; more are taken to be like them."""


@dataclass(frozen=True)
class Teaching:
    """What the teacher would be asked.

    Args:
        requests: That are not held, at most.
        usd: None when nobody knows the price.
        seconds: None when nobody knows.
    """

    requests: int
    tokens: int
    usd: float | None
    seconds: float | None


@dataclass(frozen=True)
class Training:
    """One run's training.

    Args:
        rows: None when there is no mix yet.
        tokens: Of all epochs, without those of the chat template; None when they cannot be counted.
        speed: Tokens a second when a run of this student was last trained here; None when none was.
    """

    run: str
    rows: int | None
    epochs: int
    tokens: int | None
    speed: float | None

    @property
    def seconds(self) -> float | None:
        """How long that takes, measuring on valid included; None when nobody knows."""
        return self.tokens / self.speed if self.tokens and self.speed else None


@dataclass(frozen=True)
class Answers:
    """Answers that the student generates, at most, in one stage."""

    stage: str
    count: int | None


@dataclass(frozen=True)
class Costs:
    """`teaching` is None where no stage would ask, or where the recorded teacher is asked."""

    teaching: Teaching | None
    training: list[Training]
    answers: list[Answers]


def costs(top: Path, params: Params, stages: Iterable[str]) -> Costs:
    """What the named stages of ``dvc.yaml`` cost.

    Raises:
        UserError: The specs have mistakes, so that nobody knows what would be asked.
    """
    parts = [name.partition("@")[::2] for name in stages]
    asks = {"compile", "probe", "teach", "teacher"} & {stage for stage, _ in parts}
    runs = {run.id: run for run in params.runs}
    return Costs(
        _teaching(top) if asks and params.teacher["engine"] != "recorded" else None,
        [_training(top, params, runs[key]) for stage, key in parts
         if stage == "train" and key in runs and runs[key].train_on != NOTHING],
        [_answers(top, params, stage, key) for stage, key in parts
         if stage in ("probe", "evaluate")],
    )  # fmt: skip


def _teaching(top: Path) -> Teaching:
    project, rows = checked(top)
    with Store(default_path()) as store:
        lines = [line for line, _ in forecast(top, project, rows, store).lines]
    usd, seconds = ([getattr(line, name) for line in lines if line.asked]
                    for name in ("usd", "seconds"))  # fmt: skip
    return Teaching(
        sum(line.asked for line in lines),
        round(sum(line.prompt + line.completion for line in lines)),
        None if None in usd else sum(usd),
        None if None in seconds else sum(seconds),
    )


def _training(top: Path, params: Params, run: Run) -> Training:
    settings = {**params.train, **run.train}
    file = top / f"build/mix/{run.id}.jsonl"
    speed = measured(top, params.student)
    if not file.is_file():
        return Training(run.id, None, settings["epochs"], None, speed)
    count = count_rows(file) - 1
    tokens = _tokens(top, islice(read_rows(file), 1, 1 + LOOKED_AT))
    looked_at = min(count, LOOKED_AT)
    whole = None
    if tokens is not None and looked_at:
        whole = round(tokens / looked_at * count * settings["epochs"])
    return Training(run.id, count, settings["epochs"], whole, speed)


def _tokens(top: Path, rows: Iterable[dict[str, Any]]) -> int | None:
    """Tokens of prompts and completions; None without the student's tokenizer."""
    file = top / "build/student/tokenizer.json"
    if not file.is_file():
        return None
    from tokenizers import Tokenizer

    texts = [
        text for row in rows
        for text in (*(message["content"] for message in row["messages"]), row["completion"])
    ]  # fmt: skip
    found = Tokenizer.from_file(str(file)).encode_batch(texts, add_special_tokens=False)
    return sum(len(each.ids) for each in found)


def _answers(top: Path, params: Params, stage: str, key: str) -> Answers:
    compiled = top / "build/compiled"
    if stage == "evaluate":
        each = Decoding.of(params.evaluate).samples
        count = count_rows(compiled / f"runs/{key}/test.jsonl") * each
    else:
        file = compiled / f"suites/{key}/probe.jsonl"
        count = sum(len(row["prompts"]) for row in read_rows(file)) if file.is_file() else 0
    return Answers(f"{stage}@{key}", count or None)
