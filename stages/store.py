"""What the response store holds, and answers out and in: ``python -m stages.store [COMMAND]``.

Without a command, a table of answers, tokens and money. ``export FILE`` writes answers to a file,
``import FILE…`` adds such files, ``merge FILE`` adds another store, ``check`` looks for damage,
``refill`` adds what the last output of ``teach`` holds. Nothing that is held is ever replaced.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stages.compiler.check import Loaded
from stages.core.console import entry, root, say
from stages.core.errors import UserError, user_error
from stages.core.jsonl import absent, read_json, read_rows
from stages.engines.ask import sampling, teacher_engine
from stages.engines.intake import Counts, load, merge
from stages.engines.request import Job
from stages.engines.shards import check, export
from stages.engines.store import Store, default_path
from stages.teaching.chain import Asking, Record
from stages.teaching.rationales import jobs, wanted
from stages.teaching.refill import refill

# an empty text is stored as JSON: two quotes
HELD = """
SELECT model, about, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens),
    SUM(finish_reason = 'length'), SUM(error != '""' OR finish_reason = 'content_filter'), SUM(usd)
FROM completions GROUP BY model, about
"""
SUMS = ("answers", "prompt_tokens", "completion_tokens", "cut_short", "refused", "usd")
LOST = "SELECT reason, COUNT(*), SUM(usd) FROM lost GROUP BY reason ORDER BY reason"
OPEN = "SELECT COUNT(*) FROM batches WHERE state != 'ended'"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        hint = "see `python -m stages.store --help`"
        raise user_error("command line", "E513", message, hint)


def main() -> None:
    """Do what the command says, or show what is held."""
    arguments = _arguments()
    top, path, command = root(), default_path(), arguments.command
    if command == "refill":
        _refill(top, path)
        return
    if not path.is_file() and command in (None, "check", "export"):
        if command == "export":
            raise absent(path)
        if arguments.format == "json":
            say(json.dumps(_told(path, [], [], 0.0, 0), indent=2))
        else:
            say(f"store: there is none yet at {path}")
        return
    with Store(path) as store:
        if command is None:
            _show(store, arguments.all, arguments.format == "json")
        elif command == "check":
            say(f"check: {check(store):,} answers, all sound")
        elif command == "export":
            answers, lost = export(store, arguments.file, arguments.model, arguments.about)
            money = f" and lost money ({lost:,})" if lost else ""
            say(f"export: {answers:,} answers{money} in {arguments.file}")
        elif command == "import":
            _report(store, command, load(store, arguments.files))
        else:
            counts, left = merge(store, arguments.file)
            _report(store, command, counts)
            if left:
                raise UserError(left)


def _arguments() -> argparse.Namespace:
    parser = _Parser(prog="python -m stages.store", description=__doc__)
    parser.add_argument("--all", action="store_true", help="a line for each task")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    out = commands.add_parser("export", help="write answers to a file; .gz compresses")
    out.add_argument("file", type=Path)
    out.add_argument("--model", help="only this model's")
    out.add_argument("--about", default="", help="only where suite/task/strategy begins like this")
    files = commands.add_parser("import", help="add the answers of exported files")
    files.add_argument("files", type=Path, nargs="+", metavar="file")
    commands.add_parser("merge", help="add the answers of another store").add_argument(
        "file", type=Path, help="its SQLite file; left as it is"
    )
    commands.add_parser("check", help="look for damage in the file and in every answer")
    commands.add_parser("refill", help="add the answers that the last output of teach holds")
    return parser.parse_args()


def _report(store: Store, command: str, counts: Counts) -> None:
    parts = [f"{counts['added']:,} answers added", f"{counts['held']:,} held already"]
    if counts["twice"]:
        parts.append(f"{counts['twice']:,} of these bought twice")
    if counts["left"]:
        parts.append(f"{counts['left']:,} damaged entries left out")
    say(f"{command}: {', '.join(parts)}; {store.spent():.4f} USD spent in all")


def _show(store: Store, detail: bool, as_json: bool) -> None:
    groups: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    with store.explained():
        for model, about, *sums in store.db.execute(HELD):
            parts = tuple(about.split("/"))
            suite, task, strategy = parts if len(parts) == 3 else ("", "", about)
            key = (model, suite, task, strategy) if detail else (model, strategy)
            groups[key].update(dict(zip(SUMS, sums, strict=True)))
        lost = store.db.execute(LOST).fetchall()
        under_way = store.db.execute(OPEN).fetchone()[0]
    names = ("model", "suite", "task", "strategy") if detail else ("model", "strategy")
    lines = [{**dict(zip(names, key, strict=True)), **groups[key]} for key in sorted(groups)]
    told = _told(store.path, lines, lost, store.spent(), under_way)
    if as_json:
        say(json.dumps(told, indent=2))
        return
    if lines:
        _table(names, lines)
    for booked in told["lost"]:
        say(f"  lost: {booked['reason']} ({booked['entries']:,}), {booked['usd']:.4f} USD")
    more = f"; {under_way} batches under way" if under_way else ""
    say(
        f"store: {store.path}, {told['bytes'] / 1e6:,.1f} MB; {told['answers']:,} answers, "
        f"{told['spent_usd']:.4f} USD spent in all{more}"
    )


def _told(
    path: Path, lines: list[dict[str, Any]], lost: list[Any], spent: float, under_way: int
) -> dict[str, Any]:
    files = (path, path.with_name(f"{path.name}-wal"))
    return {
        "path": path.as_posix(),
        "bytes": sum(file.stat().st_size for file in files if file.exists()),
        "answers": sum(line["answers"] for line in lines),
        "spent_usd": spent,
        "open_batches": under_way,
        "lines": lines,
        "lost": [{"reason": why, "entries": count, "usd": usd} for why, count, usd in lost],
    }


def _table(names: tuple[str, ...], lines: list[dict[str, Any]]) -> None:
    table = Table(title="Answers held")
    for name in names:
        table.add_column(name, overflow="fold")
    for name in SUMS:
        table.add_column(name.replace("usd", "USD").replace("_", " "), justify="right")
    for line in lines:
        words = [line[name] or "?" for name in names]
        words[0] = words[0] if len(words[0]) <= 40 else f"{words[0][:39]}…"
        numbers = [f"{line[name]:,}" for name in SUMS[:-1]]
        table.add_row(*map(Text, words), *numbers, f"{line['usd']:.4f}")
    Console(width=None if Console().is_terminal else 140).print(table)


def _refill(top: Path, path: Path) -> None:
    loaded = Loaded.of(top)
    if loaded.project is None or loaded.problems:
        raise UserError(loaded.problems)
    params = loaded.project.params
    if params.teacher["engine"] == "recorded":
        say("refill: the recorded teacher answers from the rows themselves; nothing to store")
        return
    engine = teacher_engine(params.teacher, params.runtime, top / "build/teacher", None)
    for suite in params.suites:
        folder = top / f"build/compiled/suites/{suite}"
        tasks, rows = read_json(folder / "tasks.json"), folder / "train.jsonl"
        later = read_json(folder / "calls.json")
        selected = read_json(top / f"build/selected/{suite}.json")
        strategies = {name: wanted(task, selected.get(name)) for name, task in tasks.items()}
        asking = Asking(engine, suite, later, sampling(params.teacher))
        made = partial(_jobs, rows, tasks, strategies, params.teach, asking)
        with Store(path) as store:
            count = refill(made, store, top, f"build/rationales/{suite}.jsonl")
        say(f"refill {suite}: {count:,} answers added")


def _jobs(rows: Path, *asked: Any) -> Iterator[Job[list[Record]]]:
    return jobs(read_rows(rows), *asked)


if __name__ == "__main__":
    entry(main)
