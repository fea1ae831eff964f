"""The best student on `valid`: when it is measured, which one is kept, when to stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stages.training.processes import agreed, is_main, whole


@dataclass
class Log:
    """`steps`: step, loss, learning rate; `evaluations`: step, accuracy on valid.

    `tokens` are those that this process trained on: after a kill, not those before it.
    """

    steps: list[dict[str, float]] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0
    tokens: int = 0


@dataclass
class Keeper:
    """Measures on valid at the marked steps and saves the best, one folder for each.

    Args:
        model: The model that is trained, perhaps spread over processes.
        accuracy: Answers the valid rows with the model as it is and returns the share that
            verifies. Among equals, the one that was trained longest is kept.
        save: Writes the model as it is into a folder.
        folder: Where the best one is held until training is over.
        log: Its `evaluations` and `best_step` are filled in.
        marks: The steps at which is measured.
        patience: Measurements without a better one after which training stops; None for never.
    """

    model: Any
    accuracy: Callable[[Any], float]
    save: Callable[[Any, Path], None]
    folder: Path
    log: Log
    marks: set[int]
    patience: int | None = None
    _best: float = -1.0
    _stale: int = 0

    @property
    def best(self) -> Path | None:
        """The folder of the best student so far."""
        return self.folder / f"best-{self.log.best_step}" if self.log.best_step else None

    @property
    def over(self) -> bool:
        """Whether patience is at its end."""
        return self.patience is not None and self._stale >= self.patience

    def after(self, step: int) -> str:
        """Measure if this step is marked; what came of it, in words."""
        return self.measure(step) if step in self.marks else ""

    def measure(self, step: int) -> str:
        """Measure, and keep the student if no other is better; every process calls this."""
        model = whole(self.model)
        score = agreed(self.accuracy(model) if is_main() else 0.0)
        self.log.evaluations.append({"step": step, "valid_accuracy": round(score, 6)})
        self._stale = 0 if score > self._best else self._stale + 1
        if score >= self._best:
            self._best, self.log.best_step = score, step
            if is_main() and self.best is not None:
                part = self.best.with_name(f".{self.best.name}")
                shutil.rmtree(part, ignore_errors=True)
                shutil.rmtree(self.best, ignore_errors=True)
                part.mkdir(parents=True)
                self.save(model, part)
                part.rename(self.best)
        return f"valid accuracy {score:.0%}"

    def progress(self) -> dict[str, Any]:
        """All that `restore` needs, as JSON."""
        held = {key: value for key, value in asdict(self.log).items() if key != "tokens"}
        return {"log": held, "best": self._best, "stale": self._stale}

    def restore(self, progress: dict[str, Any]) -> None:
        """Go on from what `progress` returned."""
        for key, value in progress["log"].items():
            setattr(self.log, key, value)
        self._best, self._stale = progress["best"], progress["stale"]


def marks(steps: int, evaluations: int) -> set[int]:
    """The steps at which valid is measured: evenly spread, the last one among them."""
    return {round(steps * (i + 1) / evaluations) for i in range(evaluations)} - {0}
