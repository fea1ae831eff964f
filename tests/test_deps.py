"""What dvc.yaml lists against what the code imports: a module that is missing there goes stale."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCES = ("stages", "specs", "templates")


def stages() -> dict[str, dict[str, Any]]:
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in declared.items()}


STAGES = stages()


def named(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def outs(stage: dict[str, Any]) -> list[str]:
    return [out for kind in ("outs", "plots", "metrics") for out in named(stage.get(kind, []))]


def module_file(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imports(file: Path) -> set[str]:
    """Every `stages.*` module that a file can import, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import, which this test does not follow"
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "stages" and module_file(name)}


def closure(entry: str) -> set[Path]:
    todo, seen, files = [entry], set[str](), set[Path]()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        file = module_file(name)
        assert file, f"there is no module {name}"
        files.add(file)
        todo += [*imports(file), *([name.rpartition(".")[0]] if "." in name else [])]
    # An empty package marker cannot change what a stage does.
    return {file for file in files if file.stat().st_size or file.name != "__init__.py"}


def covers(dep: str, file: Path) -> bool:
    return file == ROOT / dep or (ROOT / dep) in file.parents


def entry_of(stage: dict[str, Any]) -> str:
    words = stage["cmd"].split()
    assert words[:2] == ["python", "-m"]
    return str(words[2])


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


@pytest.mark.parametrize("name", STAGES)
def test_every_imported_module_is_a_dependency(name: str) -> None:
    deps = named(STAGES[name]["deps"])
    missed = [
        file.relative_to(ROOT).as_posix()
        for file in closure(entry_of(STAGES[name]))
        if not any(covers(dep, file) for dep in deps)
    ]
    assert not missed


@pytest.mark.parametrize("name", STAGES)
def test_no_dependency_on_code_that_is_not_imported(name: str) -> None:
    files = closure(entry_of(STAGES[name]))
    code = [dep for dep in named(STAGES[name]["deps"]) if dep.startswith("stages/")]
    assert not [dep for dep in code if not any(covers(dep, file) for file in files)]


@pytest.mark.parametrize("name", STAGES)
def test_a_command_is_one_line(name: str) -> None:
    assert isinstance(STAGES[name]["cmd"], str)
    assert "\n" not in STAGES[name]["cmd"]


@pytest.mark.parametrize("name", STAGES)
def test_sources_exist_and_the_rest_is_made_by_a_stage(name: str) -> None:
    made = [out for stage in STAGES.values() for out in outs(stage)]
    for dep in named(STAGES[name]["deps"]):
        if dep.split("/")[0] in SOURCES:
            assert (ROOT / dep).exists(), dep
        else:
            assert any(inside(dep, out) or inside(out, dep) for out in made), dep


def test_no_stage_writes_into_a_folder_of_sources_or_one_that_it_reads() -> None:
    for name, stage in STAGES.items():
        for out in outs(stage):
            assert out.startswith("build/"), (name, out)
            assert not any(inside(out, dep) for dep in named(stage["deps"])), (name, out)


def test_dependency_folders_hold_no_generated_files() -> None:
    folders = {
        dep
        for stage in STAGES.values()
        for dep in named(stage["deps"])
        if dep.split("/")[0] in SOURCES and (ROOT / dep).is_dir()
    }
    command = ["git", "ls-files", "-o", "-i", "--exclude-standard", "--", *sorted(folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    # Bytecode is in .dvcignore; the pipeline test shows that it re-runs nothing.
    assert [file for file in done.stdout.split("\n") if file and not file.endswith(".pyc")] == []
