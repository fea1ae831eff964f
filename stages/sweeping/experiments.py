"""The experiments of a sweep: which are held, and how those that lack are run.

One after the other in the foreground by ``dvc exp run --temp``, not through DVC's queue: a worker
of the queue that is killed leaves its experiment marked as running for ever, and the stage that it
started goes on beside the next one. Here an experiment ends with the sweep, and what its stages
made until then is in DVC's run cache and in the response store for the next attempt.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import user_error
from stages.sweeping.design import Point

REFS = "refs/exps"
OUTPUT_LACKS = re.compile("WARNING: No file hash info found for .* It won't be created")
"""DVC's word on each output that is yet to be made, of which a first experiment has many."""


@dataclass(frozen=True)
class Experiment:
    """One training: a point and a seed.

    Args:
        name: As DVC knows it; ends with a digest of all that decides the result, so that an
            experiment of that name needs no second run.
        command: What runs it, after ``dvc``.
        commit: The Git commit that holds its results; None while it has not run.
    """

    name: str
    point: Point
    seed: int
    command: tuple[str, ...]
    commit: str | None = None


def command(name: str, overrides: Sequence[str], copied: Sequence[str]) -> tuple[str, ...]:
    """The arguments of ``dvc`` that run an experiment."""
    options = [word for path in copied for word in ("-C", path)]
    options += [word for override in overrides for word in ("-S", override)]
    return ("exp", "run", "--temp", "-n", name, *options)


def held(top: Path) -> dict[str, str]:
    """Commits of all experiments in this repository, by name."""
    listed = ["git", "for-each-ref", "--format=%(objectname) %(refname)", REFS]
    done = subprocess.run(listed, cwd=top, capture_output=True, text=True, check=False)
    pairs = (line.split(" ", 1) for line in done.stdout.splitlines())
    # refs/exps/<2 digits>/<38 digits of the baseline>/<name>; others are DVC's own
    return {
        ref.rpartition("/")[2]: commit
        for commit, ref in pairs
        if ref.count("/") == REFS.count("/") + 3
    }


def run(top: Path, experiment: Experiment, lock: int) -> None:
    """Run one experiment; its output goes where this process writes.

    Args:
        top: The repository root.
        experiment: Which has no commit yet.
        lock: What `alone` gave; DVC holds it too, should this process be killed alone.

    Raises:
        UserError: E546 when DVC fails.
    """
    words = [sys.executable, "-m", "dvc", *experiment.command]
    # apart, so that a stop reaches DVC and its stage together, once, and whoever else is in this
    # process's group not at all
    kept = (lock,) if lock >= 0 else ()
    # a shell has its background jobs ignore this signal, and DVC would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        words, cwd=top, stderr=subprocess.PIPE, text=True, errors="replace", pass_fds=kept,
        start_new_session=True,
    )  # fmt: skip
    try:
        _pass_on(process)
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        _pass_on(process)
        raise
    if process.returncode:
        raise user_error(
            experiment.name, "E546", f"DVC stopped with exit code {process.returncode}",
            "its messages stand above; the same command goes on with this experiment",
        )  # fmt: skip


def _pass_on(process: subprocess.Popen[str]) -> None:
    """Wait for the end, with what stands on the error output, but for what is always said."""
    assert process.stderr
    for line in process.stderr:
        if not OUTPUT_LACKS.match(line):
            print(line, end="", file=sys.stderr, flush=True)
    process.wait()


@contextmanager
def alone(top: Path) -> Iterator[int]:
    """Hold the repository's lock on sweeps; gives its file descriptor.

    Raises:
        UserError: E545 when a sweep, or an experiment that one began, is running.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield -1
        return
    path = top / ".cache/sweep.lock"
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise user_error(
            ".cache/sweep.lock", "E545", "a sweep is running in this repository",
            "wait for it, or stop it; `--draw` shows what is there already",
        ) from None  # fmt: skip
    try:
        yield descriptor
    finally:
        os.close(descriptor)
