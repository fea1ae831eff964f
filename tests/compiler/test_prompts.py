"""What teacher and student are sent, word for word.

After a wanted change of a template: ``python -m tests.compiler.test_prompts`` writes the file anew.
"""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.compiler.build import later_calls
from stages.compiler.prompts import Renderer, variables
from stages.compiler.rows import Row, task_rows
from stages.engines.request import Completion
from stages.spec.model import Strategy, Task
from stages.spec.project import Project
from stages.spec.read import load_project, load_specs
from stages.teaching.chain import Asking
from tests.projects import REPOSITORY, copy_project

GOLDEN = REPOSITORY / "tests/golden/prompts.json"
STRATEGIES = (
    "direct",
    "explain_then_answer",
    "extract_then_generate",
    "few_shot_cot",
    "recall_reason_generate",
    "recall_then_generate",
    "step_by_step",
    "zero_shot_cot",
)
REPLY = "This is the reply to the call before."
EXEMPLAR = {"question": "Is it dark at noon?", "rationale": "The sun shines.", "answer": "no"}


def rendered(root: Path) -> dict[str, Any]:
    """The first probe row of coin_flip under every strategy, and what the student is left with.

    `asked` holds the messages of call after call.
    """
    specs, _ = load_specs(root)
    project, _ = load_project(specs)
    assert project is not None
    task = replace(specs.tasks["symbolic", "coin_flip"], exemplars=[EXEMPLAR])
    row = task_rows(task, root, specs.task_document(task))["probe"][0]
    renderer = Renderer(project)
    return {
        name: {
            "asked": calls(project, specs.strategies[name], task, row),
            "erased": renderer.erased(specs.strategies[name], task, row),
            "target": renderer.text(specs.strategies[name].target, task, row),
        }
        for name in STRATEGIES
    }


class Nobody:
    endpoint, model = "nowhere", "nobody"


def calls(project: Project, strategy: Strategy, task: Task, row: Row) -> list[list[dict[str, str]]]:
    """The messages of each call, all of them answered in the same words."""
    named = replace(task, strategies=(strategy.id,))
    later = later_calls(project, [named], [strategy.id])
    asking = Asking(Nobody(), "symbolic", later)  # type: ignore[arg-type]
    messages = Renderer(project).asked(strategy, task, row)
    prompts = {strategy.id: {"messages": messages, "max_tokens": 64}}
    shown = {"id": row.id, "task": task.id, "prompts": prompts, "variables": variables(task, row)}
    chain = asking.chain(shown, strategy.id)
    asked = [next(chain)]
    with suppress(StopIteration):
        while True:
            asked.append(chain.send(Completion(REPLY, "stop", 1, 1)))
    return [request.chat() for request in asked]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return rendered(copy_project(tmp_path_factory.mktemp("project")).root)


def test_prompts_are_the_golden_ones(prompts: dict[str, Any]) -> None:
    assert prompts == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_every_strategy_asks_in_its_own_words(prompts: dict[str, Any]) -> None:
    first = {prompt["asked"][0][0]["content"] for prompt in prompts.values()}
    assert len(first) == len(STRATEGIES)


def test_each_later_call_shows_the_reply_before_it(prompts: dict[str, Any]) -> None:
    later = {name: prompt["asked"][1:] for name, prompt in prompts.items() if prompt["asked"][1:]}
    assert sorted(later) == ["extract_then_generate", "recall_then_generate", "zero_shot_cot"]
    for rest in later.values():
        assert all(any(REPLY in message["content"] for message in call) for call in rest)
    roles = [message["role"] for message in later["recall_then_generate"][0]]
    assert roles == ["system", "user", "assistant", "user"]


def test_every_strategy_leaves_the_same_student_prompt(prompts: dict[str, Any]) -> None:
    assert len({json.dumps(prompt["erased"]) for prompt in prompts.values()}) == 1


def _threes(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(words, words[1:], words[2:]))  # noqa: B905


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_word_of_the_strategy_is_left_to_the_student(name: str, prompts: dict[str, Any]) -> None:
    asked, erased = prompts[name]["asked"], prompts[name]["erased"]
    question = erased[1]["content"]
    words = "\n".join(message["content"] for call in asked for message in call)
    left = "\n".join(message["content"] for message in erased).replace(question, "")
    assert question in words
    assert not _threes(left) & _threes(words.replace(question, ""))
    own = set(re.findall(r"[a-z]{4,}", name.replace("_", " "))) - {"then"}
    assert not own & set(re.findall(r"\w+", left.casefold()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = rendered(copy_project(Path(folder)).root)
    text = json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    GOLDEN.write_text(text, encoding="utf-8")
