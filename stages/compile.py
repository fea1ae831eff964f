"""Check every spec and write what each later stage reads: ``python -m stages.compile [--check]``.

Reads ``params.yaml``, ``specs/``, ``templates/``; writes ``build/compiled/`` and
``build/manifest.json``. With ``--check`` it writes nothing.
"""

from __future__ import annotations

import argparse

from stages.compiler.build import checked, prune, write
from stages.core.console import entry, root, say
from stages.core.jsonl import write_json


def main() -> None:
    """Compile, or only check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    top = root()
    project, rows = checked(top)
    total = sum(len(part) for splits in rows.values() for part in splits.values())
    summary = f"{len(rows)} tasks, {len(project.strategies)} strategies, {total} rows"
    if arguments.check:
        say(f"check: {summary}, no problems")
        return
    manifest = write(project, rows, top / "build/compiled")
    prune(project, top / "build")
    write_json(top / "build/manifest.json", manifest)
    say(f"compile: {summary}")


if __name__ == "__main__":
    entry(main)
