"""What a stage tells its user: progress, one closing line, and errors without a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from stages.core.bar import Bar
from stages.core.errors import UserError, nearest, user_error

Item = TypeVar("Item")
SHORT = 2.0  # seconds that are over before a reader asks what is going on


def root() -> Path:
    """The repository root: `$DVC_ROOT` in a stage, else the current folder.

    Raises:
        UserError: E511 when the folder holds no params.yaml.
    """
    folder = Path.cwd()
    if not (folder / "params.yaml").is_file():
        raise user_error(
            "params.yaml", "E511", "there is no params.yaml in this folder",
            "run from the top of the repository",
        )  # fmt: skip
    return folder


def argument(kind: str, allowed: Iterable[str]) -> str:
    """The one argument of a stage: a suite or a run of ``params.yaml``.

    Raises:
        UserError: E513 when it is absent or names none of `allowed`.
    """
    names = list(allowed)
    if len(sys.argv) != 2:
        raise user_error(
            "command line", "E513", f"this stage takes the name of one {kind}",
            "allowed: " + ", ".join(names),
        )  # fmt: skip
    name = sys.argv[1]
    if name not in names:
        raise user_error(
            "command line", "E513", f"params.yaml names no {kind} {name!r}", nearest(name, names)
        )
    return name


def entry(main: Callable[[], None]) -> None:
    """Run a stage's `main`; exit 2 with every problem for a user's mistake, 130 when stopped."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        main()
    except UserError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # whoever read the output has seen enough; Python would complain at exit once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; what was answered so far is in the store", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        # Libraries written in Rust report a full disk in words, with no errno.
        words = "No space left on device"
        if getattr(error, "errno", None) != errno.ENOSPC and words not in str(error):
            raise
        print(
            f"{getattr(error, 'filename', None) or 'disk'}: E601 no space left on the device\n"
            "    hint: free some space and run `dvc repro` again; finished work is kept",
            file=sys.stderr,
        )
        sys.exit(2)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def say(text: str) -> None:
    """A line at once, also through a pipe."""
    print(text, flush=True)


class Progress:
    """A bar on a terminal, a plain line every few seconds elsewhere.

    Args:
        what: What is counted, in the user's words ("probe symbolic").
        unit: The unit of `done` and `total`.
        every: Seconds between plain lines.
        short: Whether work that took less than two seconds is passed over in silence.
    """

    def __init__(
        self, what: str, unit: str = "rows", every: float = 10.0, short: bool = False
    ) -> None:
        self.what, self.unit, self.every, self.short = what, unit, every, short
        self._start = time.monotonic()
        self._shown = self._start
        self._first: int | None = None
        self._bar = Bar(what, unit) if sys.stdout.isatty() else None

    def __call__(self, done: int, total: int, tokens: int = 0, note: str = "") -> None:
        """Report `done` of `total` with `tokens` made or read since the start."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        wait = 0.1 if self._bar else self.every
        ended = done >= total
        if now - self._shown < wait and not ended:
            return
        self._shown = now
        spent = max(now - self._start, 1e-9)
        parts = [f"{tokens / spent:.0f} tokens/s"] if tokens else []
        if self._bar and not ended:
            self._bar(done, total, ", ".join([*parts, note] if note else parts))
            return
        if self._bar:
            self._bar.close()
        if ended and self.short and spent < SHORT:
            return
        if self._first < done < total:
            left = spent / (done - self._first) * (total - done)
            parts.append(f"{clock(left)} left")
        elif ended:
            parts.append(f"took {clock(spent)}")
        if note:
            parts.append(note)
        say(", ".join([f"  {self.what}: {done} of {total} {self.unit}", *parts]))


def watch(
    items: Iterable[Item], total: int, what: str, unit: str = "rows", *, tell: bool = True
) -> Iterator[Item]:
    """The items, with a `Progress` of those that were taken where that takes a while."""
    if not tell:
        yield from items
        return
    progress = Progress(what, unit, short=True)
    for done, item in enumerate(items):
        progress(done, max(total, done + 1))
        yield item
    progress(total, total)


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
