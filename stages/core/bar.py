"""Bars on a terminal, drawn by rich; all of a process in one place, so that they may overlap."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """One line with a bar; drawn from the first call on, gone when it is closed."""

    def __init__(self, what: str, unit: str) -> None:
        self.what, self.unit = what, unit
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int, note: str) -> None:
        """Draw `done` of `total`."""
        bars = _bars()
        if self._task is None:
            self._task = bars.add_task(self.what, total=total, unit=self.unit, note=note)
            bars.start()
        bars.update(self._task, completed=done, total=total, note=note)
        bars.refresh()

    def close(self) -> None:
        """Take the line away."""
        if self._task is None:
            return
        bars = _bars()
        bars.remove_task(self._task)
        self._task = None
        if not bars.tasks:
            bars.stop()


@cache
def _bars() -> Progress:
    # rich takes a twentieth of a second to import, which most commands can do without
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    def field(name: str) -> TextColumn:
        return TextColumn("{task." + name + "}", markup=False)

    made = Progress(
        field("description"), BarColumn(), MofNCompleteColumn(), field("fields[unit]"),
        Remaining(), field("fields[note]"), transient=True, auto_refresh=False,
    )  # fmt: skip
    atexit.register(made.stop)  # it hides the cursor
    return made
