"""The Makefile's own promises: a setup that broke off says so, and the next one goes on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def clone(folder: Path, pip: str) -> Path:
    """A checkout whose python makes a venv in which `python -m pip` runs the shell text `pip`."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    script = folder / "python"
    script.write_text(
        "#!/bin/sh\n"
        '[ "$1" = -c ] && exit 0\n'
        f"mkdir -p .venv/bin && printf '#!/bin/sh\\n{pip}\\n' > .venv/bin/python\n"
        "chmod +x .venv/bin/python\n"
    )
    script.chmod(0o755)
    return script


def make(folder: Path, *goals: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *goals],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_an_interrupted_install_says_what_to_do_and_the_next_one_goes_on(tmp_path: Path) -> None:
    broken = clone(tmp_path, "exit 1")
    result = make(tmp_path, "setup", f"PYTHON={broken}")
    assert result.returncode == 2
    assert result.stdout.splitlines() == [
        "installing into .venv, some minutes the first time",
        "the installation did not finish; nothing else was touched, run 'make setup' again",
    ]
    assert not (tmp_path / ".venv/.installed").exists()

    whole = clone(tmp_path, "exit 0")
    assert make(tmp_path, "setup", f"PYTHON={whole}").returncode == 0
    assert (tmp_path / ".venv/.installed").exists()
    assert "Nothing to be done" in make(tmp_path, "setup", f"PYTHON={whole}").stdout


def test_an_unsuited_python_is_named(tmp_path: Path) -> None:
    clone(tmp_path, "exit 0").write_text("#!/bin/sh\nexit 1\n")
    result = make(tmp_path, "setup", f"PYTHON={tmp_path / 'python'}")
    assert result.returncode == 2
    assert result.stdout == (
        "Tutelage needs Python 3.10 to 3.13; try: make setup PYTHON=python3.12\n"
    )
    assert not (tmp_path / ".venv").exists()


def test_help_lists_every_goal() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    goals = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert goals
    listed = [line.split()[1] for line in make(ROOT, "help").stdout.splitlines()]
    assert listed == goals[1].split()
