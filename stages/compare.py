"""What changed between the results of two commits: ``make compare REV=HEAD~1 [REV2=HEAD]``.

By run and task, item by item where the predictions of both are at hand: those of a commit are in
DVC's cache under the hashes of its ``dvc.lock``. Without a second commit the workspace stands for
now. Writes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stages.core.console import entry, root, say
from stages.core.errors import Problem, UserError, user_error
from stages.core.jsonl import read_rows
from stages.scoring.differences import Row, method, paired_rows, unpaired_rows
from stages.scoring.items import Counts, Items, Runs, outcomes, reported, sampled, tally
from stages.scoring.paired import CONFIDENCE, RESAMPLES, SEED
from stages.spec.document import Document, Text
from stages.spec.load import parse

FOLDER, METRICS, FILE = "build/evaluations", "build/metrics.json", "predictions.jsonl"


@dataclass(frozen=True)
class Results:
    """One side: the items of each run, or None where only numbers are held."""

    name: str
    commit: str | None
    items: Runs | None
    counts: Counts

    @property
    def samples(self) -> int:
        """The most answers that any item has."""
        runs = (self.items or {}).values()
        return sampled(item for tasks in runs for held in tasks.values() for item in held.values())


def main() -> None:
    """Print the differences with their intervals, corrected p values and a verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="then: a commit, branch or tag")
    parser.add_argument("second", nargs="?", help="now: another one; without it, the workspace")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    top = root()
    then = _committed(top, arguments.revision)
    now = _committed(top, arguments.second) if arguments.second else _workspace(top)
    if then.items is not None and now.items is not None:
        rows, left_out = paired_rows(then.items, now.items)
    else:
        rows, left_out = unpaired_rows(then.counts, now.counts)
    if not rows:
        raise user_error(
            "command line", "E522", f"{then.name} and {now.name} share no item to compare",
            "; ".join(map(str, left_out[:3])),
        )  # fmt: skip
    if arguments.format == "json":
        told: dict[str, Any] = {"paired": rows[0].p is not None, "confidence": CONFIDENCE}
        if told["paired"]:
            told |= {"resamples": RESAMPLES, "seed": SEED}
        for which, side in (("then", then), ("now", now)):
            told[which] = {"name": side.name, "commit": side.commit}
            if side.samples > 1:
                told[which]["samples"] = side.samples
        told["rows"] = [asdict(row) for row in rows]
        told["left_out"] = [asdict(part) for part in left_out]
        say(json.dumps(told, indent=2))
        return
    _print(then, now, rows)
    numbers = [side.name for side in (then, now) if side.items is None]
    for line in (*method(rows, numbers, (then.samples, now.samples)), *left_out):
        say(str(line))


def _workspace(top: Path) -> Results:
    files = sorted((top / FOLDER).glob(f"*/{FILE}"))
    items = {file.parent.name: outcomes(read_rows(file)) for file in files}
    metrics = top / METRICS
    text = metrics.read_bytes() if metrics.is_file() else b""
    return _results("the workspace", None, items, text)


def _committed(top: Path, revision: str) -> Results:
    """The results of a commit: predictions from DVC's cache, else the numbers that Git holds."""
    commit = _git(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode()
    if not (commit := commit.strip()):
        raise user_error(
            "command line", "E513", f"there is no commit {revision!r}", "see `git log --oneline`"
        )
    items = _cached(top, revision, commit)
    return _results(revision, commit, items, _git(top, "show", f"{commit}:./{METRICS}"))


def _results(name: str, commit: str | None, items: Runs, metrics: bytes) -> Results:
    if any(items.values()):
        return Results(name, commit, items, tally(items))
    if not metrics:
        raise user_error(
            "command line", "E522", f"{name} has neither {FOLDER} nor {METRICS}",
            "`dvc repro` makes them; a commit has them once dvc.lock and build are committed",
        )  # fmt: skip
    try:
        return Results(name, commit, None, reported(json.loads(metrics)))
    except ValueError:
        raise user_error(
            f"{name}:{METRICS}" if commit else METRICS, "E522",
            "this does not hold accuracies by run and task",
            "run `python -m stages.report`, which writes it",
        ) from None  # fmt: skip


def _cached(top: Path, revision: str, commit: str) -> Runs:
    """The predictions of the runs that the commit's dvc.lock names, from cache or remote.

    Raises:
        UserError: E521 for each run whose predictions cannot be had.
    """
    document = Document(Text(f"{revision}:dvc.lock"))
    parse(document, _git(top, "show", f"{commit}:./dvc.lock"))
    if document.problems:
        raise UserError(document.problems)
    stages = document.data.get("stages", {}) if isinstance(document.data, dict) else {}
    hashes = {
        out["path"].rpartition("/")[2]: out["md5"]
        for stage in stages.values()
        for out in stage.get("outs", ())
        if out["path"].rpartition("/")[0] == FOLDER and out.get("md5", "").endswith(".dir")
    }
    found, problems = dict[str, Items](), list[Problem]()
    for run, md5 in hashes.items():
        about = f"{FOLDER}/{run} of that commit is"
        try:
            data = _held(top, md5)
            if data is None:
                data = _fetched(top, commit, run)
            found[run] = outcomes(json.loads(line) for line in data.split(b"\n") if line)
        except FileNotFoundError as error:
            message = f"{about} not in DVC's cache, and {error}"
            hint = "run `dvc push` on the machine that made it, or `dvc repro` at that commit"
            problems.append(Problem(document.file, 0, 0, "E521", message, hint))
        except ValueError as error:
            message, hint = f"{about} damaged in DVC's cache", f"remove {error}, and run this again"
            problems.append(Problem(document.file, 0, 0, "E521", message, hint))
    if problems:
        raise UserError(problems)
    return found


def _held(top: Path, md5: str) -> bytes | None:
    """The predictions in DVC's cache, by the hash of their folder; None when they are not there."""
    cache = Path(_dvc(top, "cache", "dir").stdout.strip() or top / ".dvc/cache") / "files/md5"
    listing = _object(cache, md5)
    if listing is None:
        return None
    files = {part["relpath"]: part["md5"] for part in json.loads(listing)}
    return _object(cache, files[FILE]) if FILE in files else b""


def _object(cache: Path, md5: str) -> bytes | None:
    """What the cache holds under a hash; ValueError with its path when it is something else."""
    path = cache / md5[:2] / md5[2:]
    if not path.is_file():
        return None
    data = path.read_bytes()
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.partition(".")[0]:
        raise ValueError(path)
    return data


def _fetched(top: Path, commit: str, run: str) -> bytes:
    """The predictions as a remote holds them; FileNotFoundError with the reason."""
    if not _dvc(top, "remote", "list").stdout.strip():
        raise FileNotFoundError("no remote is set up")
    with tempfile.TemporaryDirectory() as folder:
        # a commit from before the remote was set up does not know it; today's settings do
        where = "--rev", commit, "--config", ".dvc/config", "--out", f"{folder}/out"
        told = _dvc(top, "get", ".", f"{FOLDER}/{run}", *where)
        if told.returncode:
            reason = next(iter(told.stderr.strip().splitlines()), "")
            raise FileNotFoundError(f"no remote gave it: {reason[:200]}")
        return (Path(folder) / "out" / FILE).read_bytes()


def _print(then: Results, now: Results, rows: list[Row]) -> None:
    table = Table(title=f"Test accuracy: {then.name} (then) and {now.name} (now)")
    for name in ("run", "task"):
        table.add_column(name, overflow="fold")
    numbers = ["n", "accuracy\nthen", "accuracy\nnow", "difference\nin points", "95 % interval"]
    tested = rows[0].p is not None
    test = "McNemar" if then.samples == now.samples == 1 else "sign flips"
    for name in (*numbers, *((f"p\n({test})", "p corrected\n(Holm)") if tested else ())):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        table.add_row(
            row.run, row.task, " / ".join(map(str, dict.fromkeys((row.n_then, row.n_now)))),
            *(f"{100 * share:.1f} %" for share in (row.accuracy_then, row.accuracy_now)),
            _points(row.difference), f"{_points(row.low)} to {_points(row.high)}",
            *(f"{p:.3g}" for p in (row.p, row.p_corrected) if p is not None), row.verdict,
        )  # fmt: skip
    # piped output has no width of its own
    Console(width=None if Console().is_terminal else 140).print(table)


def _points(share: float) -> str:
    # adding 0 takes the sign off a zero
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def _git(top: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=top, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


@cache
def _dvc(top: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # by this Python: the environment's folder need not be on the PATH
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=top, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    entry(main)
