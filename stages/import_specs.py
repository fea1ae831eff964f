"""Bring in tasks from elsewhere: ``python -m stages.import_specs table SUITE data/FILE.csv``.

``table`` reads CSV, JSONL and JSON files of questions and answers, ``lm-eval`` task YAMLs of
lm-evaluation-harness, ``promptsource`` its ``templates.yaml`` files; folders are searched. Writes
``specs/tasks/SUITE/*.yaml`` and says, for each file, what it could not carry over. Nothing that is
there already is overwritten without ``--force``.

``published FROM SPLITS OUT`` brings in rows: the twelve tasks of Fine-tune-CoT with their teacher's
completions, from checkouts of zero_shot_cot and of reasoning-teacher.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from stages.core.console import entry, root, say
from stages.core.errors import UserError, user_error
from stages.importing import lm_eval, promptsource, published, table
from stages.importing.draft import Draft, NotCarriedError, unused, write_all
from stages.spec.read import load_strategies

TOOLS = {"table": "*.csv", "lm-eval": "*.yaml", "promptsource": "templates.yaml"}
"""What is looked for in a folder, by tool."""


def main() -> None:
    """Import, then report file by file."""
    parser = argparse.ArgumentParser(description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True)
    for tool in TOOLS:
        specs = tools.add_parser(tool)
        specs.add_argument("suite", help="the folder under specs/tasks/ to write to")
        specs.add_argument("paths", nargs="+", type=Path, help="files, or folders to search")
        specs.add_argument("--force", action="store_true", help="overwrite specs that are there")
        if tool == "table":
            for column in ("question", "answer", "solution"):
                specs.add_argument(f"--{column}", help=f"the column that holds the {column}")
        else:
            specs.add_argument("--revision", help="the data set's full commit, 40 hex digits")
    rows = tools.add_parser("published")
    rows.add_argument("source", metavar="FROM", type=Path, help="a checkout of zero_shot_cot")
    rows.add_argument("splits", metavar="SPLITS", type=Path, help="one of reasoning-teacher")
    rows.add_argument("out", metavar="OUT", type=Path, help="the folder to write to")
    rows.add_argument(
        "--dataset-order", action="store_true",
        help="number all tasks' rows as the published lists do, which gives the paper's own splits",
    )  # fmt: skip
    arguments = parser.parse_args()
    if arguments.tool == "published":
        for line in published.convert(
            arguments.source, arguments.splits, arguments.out, arguments.dataset_order
        ):
            say(line)
    else:
        _import_specs(arguments)


def _import_specs(arguments: argparse.Namespace) -> None:
    top = root()
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,40}", arguments.suite):
        raise user_error(
            "command line", "E513", f"{arguments.suite!r} cannot name a suite",
            "use 2 to 41 small letters, digits and _, a letter first",
        )  # fmt: skip
    revision = getattr(arguments, "revision", None)
    if revision and not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise user_error(
            "command line", "E513", f"{revision!r} is not a full commit",
            "give the 40 hexadecimal digits of the commit",
        )  # fmt: skip
    absent = [path for path in arguments.paths if not path.exists()]
    if absent:
        raise user_error(str(absent[0]), "E101", "this file does not exist")
    specs, problems = load_strategies(top)
    if problems:
        raise UserError(problems)
    folder = top / "specs/tasks" / arguments.suite
    drafts: dict[str, Draft] = {}
    dropped = 0
    for file in _files(arguments.tool, arguments.paths):
        for draft in _drafts(arguments, file, top):
            if isinstance(draft, str):
                dropped += 1
                say(draft)
                continue
            draft.id = unused(draft.id, drafts)
            if not arguments.force and (folder / f"{draft.id}.yaml").exists():
                dropped += 1
                say(f"{file}: specs/tasks/{arguments.suite}/{draft.id}.yaml is there already")
            else:
                drafts[draft.id] = draft
    for draft in drafts.values():
        told = f", not carried over: {'; '.join(draft.notes)}" if draft.notes else ""
        say(f"{draft.origin}: {draft.id}.yaml{told}")
    written = write_all(drafts.values(), folder, list(specs.strategies.values()))
    say(
        f"import: {len(drafts)} tasks in {len(written)} files under specs/tasks/{arguments.suite}, "
        f"{dropped} not carried; read them, then run `make check`"
    )


def _files(tool: str, paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob(TOOLS[tool])) if path.is_dir() else (path,)


def _drafts(arguments: argparse.Namespace, file: Path, top: Path) -> Iterator[Draft | str]:
    try:
        if arguments.tool == "table":
            yield table.convert(file, top, vars(arguments))
            return
        if arguments.tool == "lm-eval":
            yield lm_eval.convert(file, arguments.revision)
            return
        for found in promptsource.convert(file, arguments.revision):
            yield found if isinstance(found, Draft) else f"{file}: {found[0]}: {found[1]}"
    except NotCarriedError as error:
        yield f"{file}: {error}"


if __name__ == "__main__":
    entry(main)
