"""Answers that the store cannot take, written where there may still be room."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import UserError
from stages.engines.request import Answers
from stages.engines.shards import export
from stages.engines.store import Store


@dataclass(frozen=True)
class Rescued:
    """Where answers went that the store did not take.

    Args:
        path: Of the file; None when it could not be written.
        count: Answers that are in it, or are lost.
        reason: Why they are lost.
    """

    path: Path | None
    count: int
    reason: str = ""

    def __str__(self) -> str:
        if self.path:
            return (
                f"{self.count} more answers are in {self.path}: take them in with "
                f"`make store IMPORT={self.path}` before anything is asked again"
            )
        return (
            f"{self.count} more answers are lost, as {tempfile.gettempdir()} cannot be written "
            f"either ({self.reason})"
        )


def rescue(store: Store, answers: Answers) -> Rescued:
    """Write what the store does not hold into the system's folder for temporary files.

    The file is one that ``make store IMPORT=…`` takes; only the user's account can read it.
    """
    with suppress(UserError):
        held = store.get_many([request for request, _ in answers])
        answers = [pair for pair, completion in zip(answers, held, strict=True) if not completion]
    if not answers:
        return Rescued(None, 0)
    try:
        folder = Path(tempfile.mkdtemp(prefix="tutelage-"))
        path = folder / "answers.jsonl"
        # a store of their own, so that the lines are those of any exported store
        with tempfile.TemporaryDirectory(dir=folder) as beside, Store(Path(beside) / "s") as copy:
            copy.put_many(answers)
            export(copy, path, None, "")
    except (OSError, UserError) as error:
        told = error.problems[0].message if isinstance(error, UserError) else error.strerror
        return Rescued(None, len(answers), told or type(error).__name__)
    return Rescued(path, len(answers))
