"""Check every spec and write what each later stage reads: ``python -m stages.compile``.

Reads ``params.yaml``, ``specs/``, ``templates/``; writes ``build/compiled/`` and
``build/manifest.json``. With ``--check`` it builds nothing; ``--format json`` or ``github`` prints
problems for programs.
"""

from __future__ import annotations

import argparse
import sys

from stages.compiler.build import prune, write
from stages.compiler.check import check, checked, summary
from stages.core.console import entry, root, say
from stages.core.errors import FORMATS, UserError, formatted
from stages.core.jsonl import write_json


def main() -> None:
    """Compile, or only check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="build nothing")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the problems found")
    arguments = parser.parse_args()
    try:
        run(check_only=arguments.check, quiet=arguments.format == "json")
    except UserError as error:
        if arguments.format == "text":
            raise
        say(formatted(error.problems, arguments.format))
        sys.exit(2)
    if arguments.format == "json":
        say(formatted([], "json"))


def run(*, check_only: bool, quiet: bool) -> None:
    """Raises `UserError` with every problem found."""
    top = root()
    if check_only:
        told = f"check: {check(top, tell=not quiet)}, no problems"
    else:
        project, rows = checked(top, tell=True)
        manifest = write(project, rows, top / "build/compiled")
        prune(project, top / "build")
        write_json(top / "build/manifest.json", manifest)
        told = f"compile: {summary(project, rows)}"
    if not quiet:
        say(told)


if __name__ == "__main__":
    entry(main)
