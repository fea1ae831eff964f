"""The teacher of a suite, recorded or asked: rationales of rows under strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from stages.core.console import Progress
from stages.core.jsonl import read_json
from stages.engines.ask import sampling, teacher_engine
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil
from stages.engines.request import Job
from stages.engines.store import Store, default_path
from stages.spec.model import Params
from stages.teaching.chain import Asking, Record
from stages.teaching.rationales import jobs
from stages.teaching.recorded import Recorded
from stages.teaching.refill import refill

Rows = Callable[[], Iterator[Mapping[str, Any]]]


@dataclass
class Teacher:
    """Use as a context: a teacher that is asked holds the store open.

    Args:
        recorded: What is on record; None for a teacher that is asked.
        asking: Whom to ask; None for the recorded one.
        store: Where the answers are.
        outputs: Of the stages that ask, by their paths from `top`: the last ones may hold answers.
        told: Where the last rationales came from, as the end of a line; empty where none is asked.
    """

    top: Path
    suite: str
    tasks: Mapping[str, Any]
    recorded: Recorded | None = None
    asking: Asking | None = None
    store: Store | None = None
    outputs: Sequence[str] = ()
    told: str = ""
    _open: ExitStack = field(default_factory=ExitStack)

    @staticmethod
    def of(top: Path, params: Params, suite: str, tasks: Mapping[str, Any]) -> Teacher:
        """The teacher of ``params.yaml``."""
        folder = top / "build/teacher"
        if params.teacher["engine"] == "recorded":
            return Teacher(top, suite, tasks, Recorded(folder))
        names = f"rationales/{suite}", f"ranked/{suite}", f"probe/{suite}.lessons"
        outputs = [f"build/{name}.jsonl" for name in names]
        made = Teacher(top, suite, tasks, outputs=outputs)
        made.store = made._open.enter_context(Store(default_path()))
        engine = teacher_engine(params.teacher, params.runtime, folder, made.store)
        later = read_json(top / f"build/compiled/suites/{suite}/calls.json")
        made.asking = Asking(engine, suite, later, sampling(params.teacher))
        return made

    def __enter__(self) -> Teacher:
        return self

    def __exit__(self, *reason: object) -> None:
        self._open.close()

    def rationales(
        self, rows: Rows, strategies: Mapping[str, Sequence[str]], teach: Mapping[str, Any]
    ) -> Iterator[Record]:
        """The rationales in the order of the rows; what is not held is asked for first.

        Args:
            rows: Gives the rows anew each time.
            strategies: By task.
            teach: `samples`, and `enough` and `give_up` where samples are to end early.
        """
        if self.recorded is not None:
            return self.recorded.rationales(rows(), strategies, teach["samples"])
        asking, store = self.asking, self.store
        assert asking is not None
        assert store is not None

        def made() -> Iterator[Job[list[Record]]]:
            return jobs(rows(), self.tasks, strategies, teach, asking)

        total = sum(1 for _ in made())
        refilled = sum(refill(made, store, self.top, output) for output in self.outputs)
        progress = Progress(f"teach {self.suite}", "rationales")
        counts = fulfil(made(), total, asking.engine, store, progress)
        note = f", {refilled} of them from the last output" if refilled else ""
        self.told = f"{counts.generated} asked for, {counts.held} held{note}"
        return chain.from_iterable(replay(made(), store))
