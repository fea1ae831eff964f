"""Task YAMLs of EleutherAI's lm-evaluation-harness as drafts of Tutelage specs.

Source of the fields: lm-evaluation-harness, ``docs/task_guide.md``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stages.importing.draft import NO_REVISION, Draft, NotCarriedError, identifier, splits
from stages.importing.rewrite import only_expression, to_row

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CARRIED = frozenset(
    {
        "task", "task_alias", "dataset_path", "dataset_name", "training_split", "validation_split",
        "test_split", "doc_to_text", "doc_to_target", "doc_to_choice", "output_type", "description",
        "include", "metadata", "group", "tag", "metric_list", "filter_list", "fewshot_split",
    }
)  # fmt: skip
WHY = {
    "process_docs": "process_docs is Python code",
    "fewshot_config": "few-shot examples",
    "num_fewshot": "the number of few-shot examples",
    "generation_kwargs": "generation_kwargs: limits are the strategy's, sampling the teacher's",
    "should_decontaminate": "the decontamination query",
    "doc_to_decontamination_query": "the decontamination query",
    "dataset_kwargs": "dataset_kwargs",
    "repeats": "repeats",
}
# What asks for the answer at the end of a question is the strategy's business.
TRAILER = re.compile(
    r"\s*(?:A:\s*Let's think step by step\.?|(?:Final )?(?:Answer|A)\s*:)\s*$", re.IGNORECASE
)


class _Function(str):
    """The name of a Python function that a ``!function`` tag refers to."""


class _Loader(yaml.SafeLoader):
    pass


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    return _Function(node.value if isinstance(node, yaml.ScalarNode) else suffix)


_Loader.add_multi_constructor("!", _function)


def convert(path: Path, revision: str | None) -> Draft:
    """One task file.

    Args:
        path: The YAML file; what it includes is read beside it.
        revision: The data set's full commit, which these files do not name.

    Raises:
        NotCarriedError: When it cannot become a task: a group, Python code for the question,
            a likelihood without an answer.
    """
    held = _load(path, 0)
    if "task" not in held or isinstance(held["task"], list):
        raise NotCarriedError("it is a group of tasks, not a task")
    kind = held.get("output_type", "generate_until")
    if kind not in ("generate_until", "multiple_choice"):
        raise NotCarriedError(f"output_type {kind} has no answer to extract")
    for key in ("doc_to_text", "doc_to_target", "doc_to_choice", "process_docs", "custom_dataset"):
        if isinstance(held.get(key), _Function):
            raise NotCarriedError(f"{key} is the Python function {held[key]}")
    notes = [WHY.get(key, key) for key in held if key not in CARRIED]
    for key in ("doc_to_text", "doc_to_target", "dataset_path"):
        if held.get(key) in (None, ""):
            raise NotCarriedError(f"it has no {key}")
    question, stripped = TRAILER.subn("", _template(held["doc_to_text"]))
    if stripped:
        notes.append("the closing cue for an answer: the strategy asks for it")
    if held.get("description"):
        question = to_row(str(held["description"])).rstrip() + "\n\n" + question
    row: dict[str, Any] = {"question": {"render": question}}
    if kind == "multiple_choice":
        answer_type = "choice"
        row["gold"] = {"render": _letter(held["doc_to_target"])}
        row["options"] = {"lines": _options(held.get("doc_to_choice"))}
        row["question"] = {"render": question + _listed(held["doc_to_choice"])}
        notes.append("the likelihood of each choice: the student writes the letter")
    else:
        answer_type, gold = _generated(held, notes)
        row["gold"] = {"render": gold}
    metrics = [m.get("metric") for m in held.get("metric_list", ()) if isinstance(m, Mapping)]
    notes += [f"the metric {m}" for m in metrics if m not in ("acc", "exact_match", None)]
    made, note = splits(
        held.get("training_split"), held.get("validation_split"), held.get("test_split")
    )
    notes += [note] if note else []
    source: dict[str, Any] = {"hub": str(held["dataset_path"])}
    if held.get("dataset_name"):
        source["config"] = str(held["dataset_name"])
    source["revision"] = revision or NO_REVISION
    if not revision:
        notes.append("the commit of the data set, which the file does not name: write it")
    name = str(held["task"])
    include = held.get("include", "")
    family = "" if isinstance(include, list) else str(include)
    return Draft(
        identifier(name), str(held.get("task_alias") or name), path.name, source, made, row,
        answer_type, list(dict.fromkeys(notes)), family,
    )  # fmt: skip


def _load(path: Path, depth: int) -> dict[str, Any]:
    try:
        held = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise NotCarriedError(f"it cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(held, dict):
        raise NotCarriedError("it is not a task")
    if depth > 5:
        raise NotCarriedError("its includes run in a circle")
    includes = held.get("include") or []
    for name in [includes] if isinstance(includes, str) else includes:
        held = {**_load(path.parent / str(name), depth + 1), **held}
    return held


def _template(text: Any) -> str:
    """A field's name stands for the field."""
    if isinstance(text, str) and re.fullmatch(r"[A-Za-z_]\w*", text):
        return f"{{{{ row.{text} }}}}"
    return to_row(str(text))


def _expression(text: Any) -> str:
    if isinstance(text, str):
        if re.fullmatch(r"[A-Za-z_]\w*", text):
            return f"row.{text}"
        inner = only_expression(text)
        if inner is None:
            raise NotCarriedError(f"{text!r} is not one expression")
        return inner
    return repr(text)


def _letter(target: Any) -> str:
    """The gold letter, from an index or from the choice itself."""
    if isinstance(target, int):
        return LETTERS[target % len(LETTERS)]
    inner = _expression(target)
    return f"{{% set gold = {inner} %}}{{{{ '{LETTERS}'[gold] if gold is integer else gold }}}}"


def _options(choices: Any) -> str:
    if choices is None:
        raise NotCarriedError("it is a multiple choice without doc_to_choice")
    if isinstance(choices, list):
        if len(choices) > len(LETTERS):
            raise NotCarriedError(f"it has {len(choices)} choices, more than there are letters")
        return "\n".join(map(str, choices))
    return f"{{{{ {_expression(choices)} | join('\\n') }}}}"


def _listed(choices: Any) -> str:
    """The choices under the question: a student that writes a letter must see them."""
    if isinstance(choices, list):
        lines = (f"({LETTERS[at]}) {text}" for at, text in enumerate(choices))
        return "\n" + "\n".join(lines)
    return (
        f"{{% for option in {_expression(choices)} %}}\n"
        f"({{{{ '{LETTERS}'[loop.index0] }}}}) {{{{ option }}}}{{% endfor %}}"
    )


def _generated(held: Mapping[str, Any], notes: list[str]) -> tuple[str, str]:
    """The answer type, by the filter that finds the answer, and the gold template."""
    patterns = [
        str(step.get("regex_pattern", ""))
        for chain in held.get("filter_list", ())
        if isinstance(chain, Mapping)
        for step in chain.get("filter", ())
        if isinstance(step, Mapping)
    ]
    gold = _template(held["doc_to_target"])
    if patterns:
        notes.append("the filters: the answer is read behind 'The answer is'")
    if any(re.search(r"\[[^]]*(?:0-9|\\d)", pattern) for pattern in patterns):
        if any("####" in pattern for pattern in patterns):
            inner = _expression(held["doc_to_target"])
            gold = f"{{{{ ({inner}).split('####')[-1] | trim }}}}"
        return "number", gold
    ignores = any(
        metric.get("ignore_case")
        for metric in held.get("metric_list", ())
        if isinstance(metric, Mapping)
    )
    return ("string" if ignores else "exact"), gold
