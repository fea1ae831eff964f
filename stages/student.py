"""Materialise the untrained student as a checkpoint: ``python -m stages.student``.

Reads ``params.yaml`` (student); writes ``build/student/``.
"""

from __future__ import annotations

from stages.core.console import entry, root, say
from stages.spec.read import load_params
from stages.training.base import materialise


def main() -> None:
    """Write ``build/student``."""
    top = root()
    student = load_params(top).student
    say(f"student: preparing {student['model']}")
    materialise(student["model"], student.get("revision"), top / "build/student")
    say("student: build/student holds the untrained student")


if __name__ == "__main__":
    entry(main)
