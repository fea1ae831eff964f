"""What teacher and student are sent, word for word.

After a wanted change of a template: ``python -m tests.compiler.test_prompts`` writes the file anew.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from stages.compiler.prompts import Renderer
from stages.compiler.rows import task_rows
from stages.spec.read import load_project, load_specs
from tests.projects import REPOSITORY, copy_project

GOLDEN = REPOSITORY / "tests/golden/prompts.json"
STRATEGIES = (
    "direct",
    "explain_then_answer",
    "extract_then_generate",
    "recall_reason_generate",
    "recall_then_generate",
    "step_by_step",
)


def rendered(root: Path) -> dict[str, Any]:
    """The first probe row of coin_flip under every strategy, and what the student is left with."""
    specs, _ = load_specs(root)
    project, _ = load_project(specs)
    assert project is not None
    task = specs.tasks["symbolic", "coin_flip"]
    row = task_rows(task, root, specs.task_document(task))["probe"][0]
    renderer = Renderer(project)
    return {
        name: {
            "asked": renderer.asked(specs.strategies[name], task, row),
            "erased": renderer.erased(specs.strategies[name], task, row),
            "target": renderer.text(specs.strategies[name].target, task, row),
        }
        for name in STRATEGIES
    }


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return rendered(copy_project(tmp_path_factory.mktemp("project")).root)


def test_prompts_are_the_golden_ones(prompts: dict[str, Any]) -> None:
    assert prompts == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_every_strategy_asks_in_its_own_words(prompts: dict[str, Any]) -> None:
    systems = {prompt["asked"][0]["content"] for prompt in prompts.values()}
    assert len(systems) == len(STRATEGIES)


def test_every_strategy_leaves_the_same_student_prompt(prompts: dict[str, Any]) -> None:
    assert len({json.dumps(prompt["erased"]) for prompt in prompts.values()}) == 1


def _threes(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(words, words[1:], words[2:]))  # noqa: B905


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_word_of_the_strategy_is_left_to_the_student(name: str, prompts: dict[str, Any]) -> None:
    asked, erased = prompts[name]["asked"], prompts[name]["erased"]
    question = asked[1]["content"]
    left = "\n".join(message["content"] for message in erased).replace(question, "")
    assert question in erased[1]["content"]
    assert not _threes(left) & _threes(asked[0]["content"])
    own = set(re.findall(r"[a-z]{4,}", name.replace("_", " "))) - {"then"}
    assert not own & set(re.findall(r"\w+", left.casefold()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = rendered(copy_project(Path(folder)).root)
    text = json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    GOLDEN.write_text(text, encoding="utf-8")
