"""What the stages that would run cost: requests to the teacher, training, the student's answers.

Counted on what the last build holds where a stage before would change it: about, then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from stages.compiler.check import checked
from stages.core.console import clock
from stages.core.jsonl import count_rows, read_rows
from stages.engines.store import Store, default_path
from stages.spec.decoding import Decoding
from stages.spec.methods import NOTHING
from stages.spec.model import Params, Run
from stages.teaching.forecast import forecast
from stages.training.memory import Memory, estimate
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
        memory: At the peak of a step; None when it cannot be told.
    """

    run: str
    rows: int | None
    epochs: int
    tokens: int | None
    speed: float | None
    memory: Memory | None = None

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
        [training(top, params, runs[key]) for stage, key in parts
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


def training(top: Path, params: Params, run: Run) -> Training:
    """What training one run costs, counted on the rows of the last build."""
    settings = {**params.train, **run.train}
    file = top / f"build/mix/{run.id}.jsonl"
    speed = measured(top, params.student)
    if not file.is_file():
        return Training(run.id, None, settings["epochs"], None, speed)
    count = count_rows(file) - 1
    rows = _lengths(top, islice(read_rows(file), 1, 1 + LOOKED_AT))
    if not rows:
        return Training(run.id, count, settings["epochs"], None, speed)
    tokens = sum(prompt + completion for prompt, completion in rows)
    whole = round(tokens / len(rows) * count * settings["epochs"])
    largest = _largest(rows, settings)
    answers = round(largest * sum(completion for _, completion in rows) / tokens)
    memory = estimate(top / "build/student", settings, largest, answers)
    return Training(run.id, count, settings["epochs"], whole, speed, memory)


def training_line(run: Training) -> str:
    """That in words."""
    about = f"training {run.run}"
    if run.rows is None:
        return f"{about}: no figure yet, as build/mix has no rows for it"
    line = f"{about}: {run.rows} rows, {run.epochs} epoch{'' if run.epochs == 1 else 's'}"
    if run.tokens is not None:
        line += f", about {run.tokens:,} tokens"
    if run.seconds is None:
        line += "; no figure yet for the time"
    else:
        line += f", about {clock(run.seconds)} at {run.speed:.0f} tokens/s, as measured"
    if run.memory:
        parts = {key: value for key, value in asdict(run.memory).items() if key != "libraries"}
        named = ", ".join(f"{key} {value / 1e9:.1f}" for key, value in parts.items())
        line += f"; about {run.memory.total / 1e9:.1f} GB of memory ({named})"
    return line


def _largest(rows: Sequence[tuple[int, int]], settings: Mapping[str, Any]) -> int:
    """Padded tokens of the largest pass: as many of the longest row as a step has rows."""
    longest = max(sum(row) for row in rows)
    size: int = settings["batch_size"] * longest
    if settings.get("batch_tokens"):
        size = round(settings["batch_tokens"] * longest * len(rows) / sum(map(sum, rows)))
    return max(longest, min(size, settings.get("micro_tokens") or size))


def _lengths(top: Path, rows: Iterable[dict[str, Any]]) -> list[tuple[int, int]]:
    """Tokens of each prompt and completion; none without the student's tokenizer."""
    file = top / "build/student/tokenizer.json"
    if not file.is_file():
        return []
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(file))

    def count(texts: list[str]) -> int:
        found = tokenizer.encode_batch(texts, add_special_tokens=False)
        return sum(map(len, found))

    return [
        (count([message["content"] for message in row["messages"]]), count([row["completion"]]))
        for row in rows
    ]


def _answers(top: Path, params: Params, stage: str, key: str) -> Answers:
    compiled = top / "build/compiled"
    if stage == "evaluate":
        each = Decoding.of(params.evaluate).samples
        count = count_rows(compiled / f"runs/{key}/test.jsonl") * each
    else:
        file = compiled / f"suites/{key}/probe.jsonl"
        count = sum(len(row["prompts"]) for row in read_rows(file)) if file.is_file() else 0
    return Answers(f"{stage}@{key}", count or None)
