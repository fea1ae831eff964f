"""Whether a command line names only what exists, found out without running it."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stages.core.console import argument
from tests.documented import split
from tests.projects import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^([a-z-]+):(?!=)[^\n]*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE))
GLOBAL = {"PYTHON"}
"""Variables that every goal reads."""


class Parsed(Exception):
    """Raised once a command line was parsed."""


def refused(words: Sequence[str], clone: Path, patch: pytest.MonkeyPatch) -> str:
    """Why this command cannot work, and "" where nothing speaks against it.

    Args:
        words: Of a command without redirections.
        clone: A folder with the Makefile in which `make setup` finds all installed.
        patch: Takes back what is replaced here.
    """
    program, *rest = words
    if program == "make":
        return _make(rest, clone, patch)
    if program == "dvc":
        return _dvc(rest)
    if program == "git":
        known = subprocess.run(["git", rest[0], "-h"], capture_output=True, check=False)
        return "" if known.returncode == 129 else f"git knows no {rest[0]!r}"
    if program == "python" and rest[0] == "-m":
        return _module(rest[1], rest[2:], patch)
    return ""


def _make(words: Sequence[str], clone: Path, patch: pytest.MonkeyPatch) -> str:
    goals = [word for word in words if "=" not in word]
    if goals[0] == "bench":
        return "" if (REPOSITORY / f"benchmarks/{goals[1]}.py").is_file() else "no such benchmark"
    given = {word.partition("=")[0] for word in words if "=" in word}
    recipes = "".join(RECIPES.get(goal, "") for goal in goals)
    read = set(re.findall(r"\$\(([A-Z0-9]+)\)", recipes))
    if unknown := given - read - GLOBAL:
        return f"{goals[0]} reads no {', '.join(sorted(unknown))}"
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", *words],
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return done.stderr
    told = [refused(command, clone, patch) for command in split(done.stdout) if "-m" in command]
    return "\n".join(filter(None, told))


def _dvc(words: list[str]) -> str:
    from dvc.cli.parser import get_main_parser

    try:
        get_main_parser().parse_args(words)
    except (SystemExit, Exception) as error:
        return f"dvc: {error}"
    return ""


def _module(name: str, words: list[str], patch: pytest.MonkeyPatch) -> str:
    if name.startswith("benchmarks."):
        source = (REPOSITORY / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        lost = [word for word in words if word.startswith("--") and f'"{word}"' not in source]
        return f"{name} knows no {' '.join(lost)}" if lost else ""
    if not name.startswith("stages."):
        return ""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        return str(error)
    if not hasattr(module, "argparse") and name != "stages.store":
        wanted = 1 if getattr(module, "argument", None) is argument else 0
        return "" if len(words) == wanted else f"{name} takes {wanted} arguments, not {len(words)}"
    parse = argparse.ArgumentParser.parse_args

    def parsed(parser: argparse.ArgumentParser, *values: Any) -> None:
        parse(parser, *values)
        raise Parsed

    with patch.context() as inner:
        inner.setattr(argparse.ArgumentParser, "parse_args", parsed)
        inner.setattr(sys, "argv", [name, *words])
        try:
            module.main()
        except Parsed:
            return ""
        except (SystemExit, Exception) as error:
            return f"{name} does not take {' '.join(words)}: {error}"
    return f"{name} did not parse its arguments"
