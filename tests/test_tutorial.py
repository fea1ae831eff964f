"""docs/tutorial.md, command by command, with a tiny student in the place of the embedded one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from stages.core.jsonl import read_json
from tests.pipeline import ROOT, Copy

pytestmark = pytest.mark.pipeline

BLOCK = re.compile(r"^```(sh|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Project(Copy):
    """With an environment that `make setup` finds installed, and quick to train."""

    def _shrink(self, student: Path) -> None:
        programs = self.root / ".venv/bin"
        programs.mkdir(parents=True)
        for name, command in (("python", ""), ("dvc", "-m dvc")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
            program.chmod(0o755)
        (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')
        (programs.parent / ".installed").touch()
        self.merge(
            f"student: {{model: {student}}}\n"
            "probe: {strategies: [direct, step_by_step], max_tokens: 8}\n"
            "evaluate: {max_tokens: 8}\n"
            "train: {batch_size: 64, evaluations: 1, max_length: 2048}\n"
        )

    def merge(self, text: str) -> None:
        """Put keys of a YAML text in the place of the same keys of `params.yaml`."""
        path = self.root / "params.yaml"
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, new in yaml.safe_load(text).items():
            held[key] = {**held[key], **new} if isinstance(new, dict) and new else new
        path.write_text(yaml.safe_dump(held, sort_keys=False), encoding="utf-8")


def test_the_tutorial(tmp_path: Path, tiny: Path) -> None:
    project = Project(tmp_path / "tutelage", tiny)
    project.environment |= {
        f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    said = []
    blocks = BLOCK.findall((ROOT / "docs/tutorial.md").read_text(encoding="utf-8"))
    for kind, text in blocks:
        if kind == "yaml":
            project.merge(text)
        else:
            begin = ". .venv/bin/activate\n" if said else ""
            said.append(project.run("bash", "-euc", begin + text).stdout)
    assert len(said) == 6
    _, _, drafted, ran, committed, compared = said
    assert drafted.splitlines() == [
        "data/prices.csv: prices.yaml",
        "import: 1 tasks in 1 files under specs/tasks/shop, 0 not carried; read them, then run "
        "`make check`",
    ]
    assert "check: 1 tasks" in ran
    assert re.search(r"prices +│.*n=60", ran)
    assert "prices.yaml" in committed
    assert re.search(r"prices +│", compared)
    scores = read_json(project.root / "build/metrics.json")
    assert set(scores) >= {"direct", "selected"}
