"""``dvc repro`` with a count of the stages: ``python -m stages.repro [--pull]``.

DVC says which stage it is at, not how many there are; every stage gives it one line, run or not.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from stages.core.console import entry, root, say
from stages.spec.read import load_params

BY_SUITE = ("probe", "select", "teach", "curate")
BY_RUN = ("train", "evaluate")
SINGLE = ("student", "teacher", "compile", "mix", "report")
SEEN = re.compile(r"(?:Running stage|Stage|Verifying data sources in stage:) '(?P<name>[^']+)'")


def main() -> None:
    """Reproduce, with each of DVC's lines passed on; its exit code is the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pull", action="store_true", help="fetch what a remote holds first")
    arguments = parser.parse_args()
    params = load_params(root())
    total = len(SINGLE) + len(BY_SUITE) * len(params.suites) + len(BY_RUN) * len(params.runs)
    if arguments.pull and _output("dvc", "remote", "list"):
        subprocess.run(["dvc", "pull", "--allow-missing"], check=False)
    command = ["dvc", "repro"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        seen: set[str] = set()
        assert process.stdout is not None
        for line in process.stdout:
            found = SEEN.match(line)
            if found and found["name"] not in seen:
                seen.add(found["name"])
                say(f"[{len(seen)}/{total}] {line.rstrip()}")
            elif line.strip():
                say(line.rstrip("\n"))
    sys.exit(process.returncode)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    entry(main)
