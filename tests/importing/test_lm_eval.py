from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.compiler.check import problems_of
from stages.importing.draft import NotCarriedError, identifier, unused, write_all
from stages.importing.lm_eval import convert
from stages.importing.rewrite import to_row
from stages.spec.include import load_included
from stages.spec.read import load_strategies
from tests.projects import REPOSITORY, Copy

REVISION = "a" * 40
STRATEGIES = list(load_strategies(REPOSITORY)[0].strategies.values())

ARC = """
tag: [ai2_arc]
task: arc_easy
dataset_path: allenai/ai2_arc
dataset_name: ARC-Easy
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices.label.index(answerKey)}}"
doc_to_choice: "{{choices.text}}"
should_decontaminate: true
metric_list:
  - {metric: acc, aggregation: mean}
  - {metric: acc_norm, aggregation: mean}
metadata: {version: 1.0}
"""
GSM = """
task: gsm8k
dataset_path: openai/gsm8k
dataset_name: main
output_type: generate_until
training_split: train
fewshot_split: train
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{answer}}"
num_fewshot: 5
generation_kwargs: {until: ["Question:"]}
metric_list: [{metric: exact_match, ignore_case: true}]
filter_list:
  - name: strict-match
    filter:
      - {function: regex, regex_pattern: "#### (\\\\-?[0-9\\\\.\\\\,]+)"}
      - {function: take_first}
"""
BBH = """
dataset_path: lukaemon/bbh
output_type: generate_until
test_split: test
doc_to_target: "{{target}}"
metric_list: [{metric: exact_match}]
filter_list:
  - {name: get-answer, filter: [{function: regex, regex_pattern: "(?<=the answer is )(.*)(?=.)"}]}
num_fewshot: 0
"""


def _convert(folder: Path, text: str, revision: str | None = REVISION) -> Any:
    path = folder / "task.yaml"
    path.write_text(text)
    return convert(path, revision)


def test_a_multiple_choice_task(tmp_path: Path) -> None:
    draft = _convert(tmp_path, ARC)
    assert (draft.id, draft.answer_type) == ("arc_easy", "choice")
    assert draft.source == {
        "hub": "allenai/ai2_arc", "config": "ARC-Easy", "revision": REVISION
    }  # fmt: skip
    assert draft.splits == {
        "test": {"from": "test"},
        "probe": {"from": "train", "take": 32, "seed": 1},
        "valid": {"from": "validation", "take": 64, "seed": 1},
        "train": {"from": "train", "seed": 1, "after": "probe"},
    }
    assert draft.row["options"] == {"lines": "{{ row.choices.text | join('\\n') }}"}
    assert draft.notes == [
        "the decontamination query",
        "the closing cue for an answer: the strategy asks for it",
        "the likelihood of each choice: the student writes the letter",
        "the metric acc_norm",
    ]


def test_a_number_task(tmp_path: Path) -> None:
    draft = _convert(tmp_path, GSM, revision=None)
    assert draft.answer_type == "number"
    assert draft.row == {
        "question": {"render": "Question: {{row.question}}"},
        "gold": {"render": "{{ (row.answer).split('####')[-1] | trim }}"},
    }
    assert draft.notes == [
        "the number of few-shot examples",
        "generation_kwargs: limits are the strategy's, sampling the teacher's",
        "the closing cue for an answer: the strategy asks for it",
        "the filters: the answer is read behind 'The answer is'",
        "the commit of the data set, which the file does not name: write it",
    ]


def test_imported_tasks_compile_on_rows_of_their_shape(project: Copy, tmp_path: Path) -> None:
    """The same specs with a local file for the hub: every template, gold and option is right."""
    rows = [
        {
            "question": f"What is {i} plus {i}?",
            "choices": {"text": [str(2 * i), str(i - 1), "none"], "label": ["A", "B", "C"]},
            "answerKey": "A",
            "answer": f"{i} and {i} are {2 * i}.\n#### {2 * i}",
        }
        for i in range(300)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    project.write("rows.jsonl", text)
    import hashlib

    source = {"file": "rows.jsonl", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    drafts = [_convert(tmp_path, ARC), _convert(tmp_path, GSM)]
    for draft in drafts:
        draft.source = source
        names = ("test", "probe", "valid")
        draft.splits = {
            n: {"take": 9, "after": p}
            for n, p in zip(names, ("train", "test", "probe"), strict=True)
        }
        draft.splits["train"] = {"take": 9}
    write_all(drafts, project.root / "specs/tasks/imported", STRATEGIES)
    params = project.read("params.yaml").replace("suites: [symbolic]", "suites: [imported]")
    params = params.replace("  symbolic: [coin_flip, last_letter]", "  {}").replace(
        "tasks:\n", "tasks:"
    )
    params = params.replace("{train_on: selected}", "{train_on: answers}")
    project.write("params.yaml", params)
    assert [str(problem) for problem in problems_of(project.root)] == []


def test_a_task_names_the_strategies_that_the_project_has_for_its_answers(tmp_path: Path) -> None:
    draft = _convert(tmp_path, GSM)
    odd = replace(STRATEGIES[0], id="odd", answer_types=("choice",))
    assert draft.spec([odd, STRATEGIES[1]])["strategies"] == [STRATEGIES[1].id]


def test_ids_that_are_cut_to_the_same_word_are_told_apart() -> None:
    name = identifier("x" * 60)
    assert unused(name, {name: 1, "x" * 38 + "_2": 2}) == "x" * 38 + "_3"
    assert unused("a", {}) == "a"


def test_a_family_is_written_once(project: Copy, tmp_path: Path) -> None:
    (tmp_path / "_template_yaml").write_text(BBH)
    drafts = []
    for name in ("navigate", "snarks", "web_of_lies"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            f"task: bbh_{name}\ndataset_name: {name}\ninclude: _template_yaml\n"
            f'description: "About {name}.\\n\\n"\n'
            'doc_to_text: "Q: {{input}}\\nA: Let\'s think step by step."\n'
        )
        drafts.append(convert(path, REVISION))
    folder = project.root / "specs/tasks/bbh"
    written = write_all(drafts, folder, STRATEGIES)
    assert [path.name for path in written] == [
        "_template_yaml.yaml", "bbh_navigate.yaml", "bbh_snarks.yaml", "bbh_web_of_lies.yaml"
    ]  # fmt: skip
    own = (folder / "bbh_snarks.yaml").read_text()
    assert own == (
        "# yaml-language-server: $schema=../../schema/task.schema.json\n"
        "# from snarks.yaml\n"
        "# not carried over: the number of few-shot examples\n"
        "# not carried over: the closing cue for an answer: the strategy asks for it\n"
        "# not carried over: the filters: the answer is read behind 'The answer is'\n"
        "# not carried over: the only split is 'test': test is its first 100 rows, train what is "
        "left\n"
        "include: _template_yaml.yaml\n"
        "id: bbh_snarks\n"
        "title: bbh_snarks\n"
        "data:\n  source:\n    config: snarks\n"
        "row:\n  question:\n    render: |-\n      About snarks.\n\n      Q: {{row.input}}\n"
    )
    document = load_included(folder / "bbh_snarks.yaml", project.root)
    assert document.problems == []
    assert document.data == drafts[1].spec(STRATEGIES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("group: bbh\ntask: [a, b]\n", "it is a group of tasks, not a task"),
        ("a: 1\n", "it is a group of tasks, not a task"),
        ("- 1\n", "it is not a task"),
        ("task: [\n", "it cannot be read: while parsing a flow node"),
        (GSM + "process_docs: !function utils.process\n",
         "process_docs is the Python function utils.process"),
        (GSM.replace('"{{answer}}"', "!function u.t"), "doc_to_target is the Python function u.t"),
        (GSM.replace("generate_until", "loglikelihood"),
         "output_type loglikelihood has no answer to extract"),
        (GSM.replace("{{question}}", "{{question"), "its template has a mistake"),
        (GSM.replace("dataset_path: openai/gsm8k", ""), "it has no dataset_path"),
        (ARC.replace("doc_to_choice", "doc_to_choices"),
         "it is a multiple choice without doc_to_choice"),
        (ARC.replace("training_split: train\nvalidation_split: validation\ntest_split: test", ""),
         "it names no split"),
        (ARC.replace('"{{choices.text}}"', str([str(i) for i in range(30)])),
         "it has 30 choices, more than there are letters"),
        ("include: task.yaml\n", "its includes run in a circle"),
        ("include: none.yaml\n", "it cannot be read: [Errno 2] No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_says_why(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(NotCarriedError) as caught:
        _convert(tmp_path, text)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("source", "rewritten"),
    [
        ("{{question}} {{ a.b[c] }}", "{{row.question}} {{ row.a.b[row.c] }}"),
        ("{% for o in options %}{{ o }}{{ loop.index }}{% endfor %}",
         "{% for o in row.options %}{{ o }}{{ loop.index }}{% endfor %}"),
        ("{{ f(key=key) | join(sep) }}", "{{ row.f(key=row.key) | join(row.sep) }}"),
        ("{{ 'question' }} question {# question #}", "{{ 'question' }} question {# question #}"),
        ("{% if label is defined and label == 1 %}x{% endif %}",
         "{% if row.label is defined and row.label == 1 %}x{% endif %}"),
        ("{% set x = y %}{{ x }}", "{% set x = row.y %}{{ x }}"),
    ],
)  # fmt: skip
def test_fields_are_read_from_the_row(source: str, rewritten: str) -> None:
    assert to_row(source) == rewritten


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("ARC-Easy", "arc_easy"),
        ("2wiki", "t_2wiki"),
        ("x" * 60, "x" * 41),
        ("é", "t_task"),
        ("a", "a_task"),
    ],
)
def test_ids_fit_the_format(name: str, made: str) -> None:
    assert identifier(name) == made
