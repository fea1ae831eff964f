"""``dvc repro`` with a count of the stages: ``python -m stages.repro``.

DVC says which stage it is at, not how many there are; every stage gives it one line, run or not.
It runs in this process: a second start of it would cost a second, and stages that inherit the
terminal can draw their progress there.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys

from stages.core.console import entry, root
from stages.spec.read import load_params

BY_SUITE = ("probe", "select", "teach", "curate")
BY_RUN = ("train", "evaluate")
SINGLE = ("student", "teacher", "compile", "mix", "report")
STOPPED = 252  # what DVC returns after it was interrupted
SEEN = re.compile(r"(?:Running stage|Stage) '(?P<name>[^']+)'(?::| didn't change, skipping)$")


class Counted(logging.Filter):
    """Puts ``[n/total]`` in front of the first line that DVC logs of each stage."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total, self._seen = total, set[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass; a line that has its count already no longer matches."""
        found = SEEN.match(line := record.getMessage())
        if found and found["name"] not in self._seen:
            self._seen.add(found["name"])
            record.msg, record.args = f"[{len(self._seen)}/{self.total}] {line}", ()
        return True


def main() -> None:
    """Reproduce, with each of DVC's lines passed on; its exit code is the result."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    params = load_params(root())
    total = len(SINGLE) + len(BY_SUITE) * len(params.suites) + len(BY_RUN) * len(params.runs)
    from dvc.cli import main as dvc

    counted = Counted(total)
    for handler in logging.getLogger("dvc").handlers:
        handler.addFilter(counted)
    code = dvc(["repro"])
    if code == STOPPED:
        raise KeyboardInterrupt
    sys.exit(code)


if __name__ == "__main__":
    entry(main)
