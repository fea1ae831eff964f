"""Take a shipped experiment as ``params.yaml``: ``python -m stages.recipe [NAME]``.

Recipes are whole params files under ``specs/recipes/``; without a name they are listed. Edits of
``params.yaml`` that Git does not hold are never overwritten.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from stages.core.console import entry, root, say
from stages.core.errors import nearest, user_error
from stages.core.jsonl import atomic

FOLDER = "specs/recipes"
TARGET = "params.yaml"


def main() -> None:
    """List the recipes, or put one in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", help="a file under specs/recipes, without its ending")
    name = parser.parse_args().name
    top = root()
    recipes = {path.stem: path for path in sorted((top / FOLDER).glob("*.yaml"))}
    if name is None:
        for key, path in recipes.items():
            say(f"{key}: {about(path)}")
        return
    if name not in recipes:
        raise user_error(
            FOLDER, "E531", f"there is no recipe {name!r}", nearest(name, recipes) or "add one"
        )
    text = recipes[name].read_text(encoding="utf-8")
    held = {path.read_text(encoding="utf-8") for path in recipes.values()} | committed(top)
    target = top / TARGET
    if target.is_file() and target.read_text(encoding="utf-8") not in held:
        raise user_error(
            TARGET, "E532", "this file has edits that Git does not hold, and they would be lost",
            f"commit them, or `git restore {TARGET}`",
        )  # fmt: skip
    with atomic(target) as file:
        file.write(text)
    say(f"{TARGET} is now {FOLDER}/{name}.yaml; `git restore {TARGET}` takes it back")


def about(path: Path) -> str:
    """The first line of a recipe's leading comment."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip()


def committed(top: Path) -> set[str]:
    """The text that Git's last commit holds; empty where there is none."""
    shown = subprocess.run(
        ["git", "show", f"HEAD:./{TARGET}"], cwd=top, capture_output=True, check=False
    )
    return {shown.stdout.decode("utf-8")} if shown.returncode == 0 else set()


if __name__ == "__main__":
    entry(main)
