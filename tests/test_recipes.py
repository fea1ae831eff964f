"""Shipped experiments: each loads, and none overwrites an edit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stages.spec.read import load_project, load_specs
from tests.projects import REPOSITORY, Copy

RECIPES = sorted((REPOSITORY / "specs/recipes").glob("*.yaml"))
LISTED = """\
distillation: The losses of docs/losses.md side by side, on the texts of a local teacher of the \
same tokenizer
fine_tune_cot: Fine-tune-CoT (Ho et al. 2022, arXiv 2212.10071) beside its baselines, on the \
embedded tasks
orca2: Orca 2 (Mitra et al. 2023, arXiv 2311.11045) beside its ablations, on the embedded tasks
published_fine_tune_cot: Fine-tune-CoT (Ho et al. 2022, arXiv 2212.10071) on the published \
rationales of a 175B teacher:
"""


def git(project: Copy, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        cwd=project.root, check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_each_recipe_names_what_is_there(recipe: Path, tmp_path: Path) -> None:
    for name in ("specs", "templates"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "params.yaml").write_bytes(recipe.read_bytes())
    specs, problems = load_specs(tmp_path)
    project, found = load_project(specs)
    assert project is not None
    assert [str(problem) for problem in (*problems, *found)] == []


def test_recipes_are_listed(project: Copy) -> None:
    done = project.run("-m", "stages.recipe")
    assert (done.returncode, done.stdout, done.stderr) == (0, LISTED, "")


def test_a_recipe_takes_the_place_of_params_yaml(project: Copy) -> None:
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "t")
    for name in ("orca2", "fine_tune_cot"):  # one recipe after the other is no edit
        done = project.run("-m", "stages.recipe", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            f"params.yaml is now specs/recipes/{name}.yaml; "
            "`git restore params.yaml` takes it back\n"
        )
        assert project.read("params.yaml") == project.read(f"specs/recipes/{name}.yaml")
    assert project.problems() == []


def test_an_edit_is_not_overwritten(project: Copy) -> None:
    git(project, "init", "--quiet")
    project.edit("params.yaml", "seed: 1", "seed: 2")
    before = project.read("params.yaml")
    done = project.run("-m", "stages.recipe", "orca2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "params.yaml: E532 this file has edits that Git does not hold, and they would be lost\n"
        "    hint: commit them, or `git restore params.yaml`\n"
    )
    assert project.read("params.yaml") == before


def test_an_unknown_recipe_is_named(project: Copy) -> None:
    done = project.run("-m", "stages.recipe", "orca")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "specs/recipes: E531 there is no recipe 'orca'\n    hint: did you mean 'orca2'?\n"
    )
