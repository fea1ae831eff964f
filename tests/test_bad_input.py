"""One mistake each in the shipped project, and the whole message that it gives.

In a case, » stands in front of the character that the message must point at.
"""

from __future__ import annotations

import hashlib
import re

import pytest

from stages.compiler.build import write
from stages.compiler.check import checked
from stages.core.jsonl import read_rows
from tests.projects import COIN, DIRECT, LETTER, STEPS, Copy, Spot

PARAMS = "params.yaml"
SYSTEM = "templates/strategies/step_by_step.system.j2"
SOURCE = "source: {generator: coin_flip, people: 4, seed: 11}"
EXAMPLE = '  - {completion: "Yes, it is.", answer: "yes"}'
CASES = [
    # (what, file, old, new, message, hint)
    (
        "unknown key",
        PARAMS,
        "  samples: 1",
        "  »sample: 1\n  samples: 1",
        "E111 unknown key 'sample' in teach",
        "did you mean 'samples'?",
    ),
    (
        "unknown key far from any",
        COIN,
        "spec: 1\n",
        "spec: 1\n»colour: red\n",
        "E111 unknown key 'colour' in the file",
        "allowed: answer, data, examples, exemplars, id, include, row, spec, strategies, title",
    ),
    (
        "missing key",
        COIN,
        "spec: 1\n",
        "»",
        "E112 the file lacks the key 'spec'",
        "",
    ),
    (
        "bad enum",
        PARAMS,
        "engine: recorded ",
        "engine: »recoded ",
        "E113 teacher.engine cannot be 'recoded'",
        "did you mean 'recorded'?",
    ),
    (
        "bad constant",
        COIN,
        "spec: 1\n",
        "spec: »2\n",
        "E113 spec cannot be 2",
        "allowed: 1",
    ),
    (
        "bad boolean",
        COIN,
        "{last: yes_no}]",
        "{whole: »false}]",
        "E113 answer.extract.1.whole cannot be false",
        "allowed: true",
    ),
    (
        "text for a number",
        PARAMS,
        "  epochs: ",
        "  epochs: »'1'  # ",
        "E114 train.epochs must be of type integer, not string",
        "write 1, without quotes",
    ),
    (
        "a number without a point",
        PARAMS,
        "learning_rate: ",
        "learning_rate: »6e-4  # ",
        "E114 train.learning_rate must be of type number, not string",
        "write 0.0006, without quotes",
    ),
    (
        "a number that is none",
        PARAMS,
        "learning_rate: ",
        "learning_rate: »fast  # ",
        "E114 train.learning_rate must be of type number, not string",
        "",
    ),
    (
        "yes and no are booleans in YAML",
        COIN,
        'it is.", answer: "yes"',
        'it is.", answer: »yes',
        "E114 examples.1.answer must be of type string or null, not boolean",
        "put it in quotes",
    ),
    (
        "a key for a list",
        PARAMS,
        "suites: [symbolic]",
        "suites: »symbolic",
        "E114 suites must be of type array, not string",
        "",
    ),
    (
        "short commit",
        COIN,
        SOURCE,
        "source: {hub: openai/gsm8k, revision: »main}",
        "E115 data.source.revision is 'main', which does not match ^[0-9a-f]{40}$",
        "write the full commit, 40 hex digits in small letters",
    ),
    (
        "bad run name",
        PARAMS,
        "  direct: {",
        "  »Zero-shot: {",
        "E115 the key 'Zero-shot' of runs does not match ^[a-z][a-z0-9_]{1,40}$",
        "use 2 to 41 small letters, digits and _, a letter first",
    ),
    (
        "out of range",
        PARAMS,
        "warmup_ratio: ",
        "warmup_ratio: »6  # ",
        "E116 train.warmup_ratio: 6 is more than 1",
        "",
    ),
    (
        "empty list",
        PARAMS,
        "suites: [symbolic]",
        "suites: »[]",
        "E116 suites: needs at least 1 item",
        "",
    ),
    (
        "the same item twice",
        PARAMS,
        "[coin_flip, last_letter]",
        "»[coin_flip, coin_flip]",
        "E116 tasks.symbolic: holds the same item twice",
        "",
    ),
    (
        "no kind of source",
        COIN,
        "{generator: coin_flip,",
        "»{maker: coin_flip,",
        "E117 data.source has none of the forms allowed",
        "forms: hub, file, reasoning_gym, generator",
    ),
    (
        "no kind of value",
        COIN,
        "question: {get: question}",
        "question: »question",
        "E117 row.question has none of the forms allowed",
        "forms: get, render",
    ),
    (
        "alias",
        PARAMS,
        "suites: [symbolic]",
        "suites: &s [symbolic]\nothers: »*s",
        "E107 an alias (*name) is not allowed",
        "write the value out",
    ),
    (
        "tag",
        PARAMS,
        "embedded   ",
        "»!!binary embedded   ",
        "E107 the YAML tag !!binary is not allowed",
        "write a plain value, in quotes where it is text",
    ),
    (
        "tag on a list",
        PARAMS,
        "suites: [",
        "suites: »!!python/object/apply:os.system [",
        "E107 the YAML tag !!python/object/apply:os.system is not allowed",
        "write a plain value, in quotes where it is text",
    ),
    (
        "not finite",
        PARAMS,
        "weight_decay: ",
        "weight_decay: ».nan  # ",
        "E103 this value cannot be read: it is not a finite number",
        "",
    ),
    (
        "id of another file",
        COIN,
        "id: coin_flip",
        "id: »coin_flop",
        "E201 the id is 'coin_flop' but the file is called coin_flip.yaml",
        "write id: coin_flip, or rename the file",
    ),
    (
        "id of another strategy",
        STEPS,
        "id: step_by_step",
        "id: »stepwise",
        "E201 the id is 'stepwise' but the file is called step_by_step.yaml",
        "write id: step_by_step, or rename the file",
    ),
    (
        "unknown suite",
        PARAMS,
        "suites: [symbolic]",
        "suites: [symbolic, »arithmetics]",
        "E202 there is no suite 'arithmetics'",
        "did you mean 'arithmetic'?",
    ),
    (
        "tasks of a suite that is not run",
        PARAMS,
        "  symbolic: [coin",
        "  »arithmetic: [gsm_symbolic]\n  symbolic: [coin",
        "E202 the suite 'arithmetic' is not among `suites`",
        "allowed: symbolic",
    ),
    (
        "unknown task",
        PARAMS,
        "[coin_flip, last_letter]",
        "[»coin_flop, last_letter]",
        "E202 there is no task 'coin_flop'",
        "did you mean 'coin_flip'?",
    ),
    (
        "unknown strategy of the probe",
        PARAMS,
        "strategies: [direct,",
        "strategies: [»dirct,",
        "E202 there is no strategy 'dirct'",
        "did you mean 'direct'?",
    ),
    (
        "unknown fallback",
        PARAMS,
        "fallback: step_by_step",
        "fallback: »stepbystep",
        "E202 there is no strategy 'stepbystep'",
        "did you mean 'step_by_step'?",
    ),
    (
        "unknown training set",
        PARAMS,
        "{train_on: answers}",
        "{train_on: »answer}",
        "E202 there is no training set 'answer'",
        "did you mean 'answers'?",
    ),
    (
        "run without a method",
        PARAMS,
        "{train_on: answers}",
        "»{suites: [symbolic]}",
        "E506 the run 'direct' says neither its method nor what it trains on",
        "add method: fine_tune_cot or another, or train_on",
    ),
    (
        "unknown method",
        PARAMS,
        "{train_on: answers}",
        "{method: »fine_tuned}",
        "E113 runs.direct.method cannot be 'fine_tuned'",
        "did you mean 'fine_tune'?",
    ),
    (
        "method whose prompt is not there",
        PARAMS,
        "{train_on: answers}",
        "{method: few_shot_cot, prompt: »few_shot}",
        "E202 there is no prompt 'few_shot'",
        "did you mean 'few_shot_cot'?",
    ),
    (
        "prompt that a run on answers cannot keep",
        PARAMS,
        "{train_on: answers}",
        "{train_on: answers, prompt: »kept}",
        "E506 a run on answers has no strategy whose prompt it could keep",
        "take `prompt` out, or train on a strategy",
    ),
    (
        "trained under one prompt and asked under another",
        PARAMS,
        "{train_on: answers}",
        "{train_on: answers, prompt: »direct}",
        "E506 a student is prompted as it was trained",
        "write prompt: kept, or train_on: nothing",
    ),
    (
        "two prompts",
        PARAMS,
        "{train_on: selected}",
        "{method: orca2_unerased, format: »text}",
        "E506 the format 'text' has a prompt of its own",
        "take `format` out, or `prompt`",
    ),
    (
        "unknown task of a run",
        PARAMS,
        "{train_on: answers}",
        "{train_on: answers, tasks: [»coinflip]}",
        "E202 there is no task 'coinflip'",
        "did you mean 'coin_flip'?",
    ),
    (
        "unknown setting of a run's training",
        PARAMS,
        "{train_on: answers}",
        "{train_on: answers, train: {»epoch: 3}}",
        "E111 unknown key 'epoch' in runs.direct.train",
        "did you mean 'epochs'?",
    ),
    (
        "suite of a run that is not run",
        PARAMS,
        "{train_on: answers}",
        "{train_on: answers, suites: [»arithmetic]}",
        "E202 the suite 'arithmetic' is not among `suites`",
        "allowed: symbolic",
    ),
    (
        "unknown strategy of a task",
        LETTER,
        "strategies: [direct",
        "strategies: [»dirct",
        "E202 there is no strategy 'dirct'",
        "did you mean 'direct'?",
    ),
    (
        "worked solution of an unknown strategy",
        COIN,
        "worked: {get: worked}",
        "worked: {»step_by_stp: {get: worked.step_by_step}}",
        "E202 there is no strategy 'step_by_stp'",
        "did you mean 'step_by_step'?",
    ),
    (
        "strategy for other answers",
        COIN,
        "direct, step_by_step",
        "»odd, step_by_step",
        "E203 the strategy 'odd' does not suit answers of type yes_no",
        "suits: number",
    ),
    (
        "no strategy in the probe",
        PARAMS,
        "strategies: [direct, step_by_step, explain_then_answer]",
        "strategies: [»tree]",
        "E202 there is no strategy 'tree'",
        "allowed: direct, explain_then_answer, extract_then_generate, few_shot_cot, "
        "recall_reason_generate, recall_then_generate, step_by_step, zero_shot_cot",
    ),
    (
        "no candidate left",
        COIN,
        "strategies: [direct, step_by_step, explain_then_answer, recall_then_generate,",
        "strategies: »[recall_then_generate,",
        "E204 none of the task's strategies is in probe.strategies of params.yaml",
        "add one of them there, or one of those here",
    ),
    (
        "an example that extraction reads otherwise",
        COIN,
        EXAMPLE,
        '  - »{completion: "No, it is.", answer: "yes"}',
        "E206 extraction finds the answer 'no' in this example, not 'yes'",
        "change answer.extract or the example",
    ),
    (
        "an example without an answer",
        COIN,
        EXAMPLE,
        '  - »{completion: "It is.", answer: "yes"}',
        "E206 extraction finds no answer in this example, not 'yes'",
        "change answer.extract or the example",
    ),
    (
        "an example that should have none",
        COIN,
        EXAMPLE,
        '  - »{completion: "Yes.", answer: null}',
        "E206 extraction finds the answer 'yes' in this example, where there is none",
        "change answer.extract or the example",
    ),
    (
        "missing template",
        STEPS,
        "target: student/rationale_then_answer.j2",
        "target: »student/rationale_answer.j2",
        "E301 there is no template templates/student/rationale_answer.j2",
        "did you mean 'student/rationale_then_answer.j2'?",
    ),
    (
        "missing template like no other",
        STEPS,
        "user: strategies/question.user.j2",
        "user: »nowhere",
        "E301 there is no template templates/nowhere",
        "create it",
    ),
    (
        "template outside",
        STEPS,
        "system: strategies/step_by_step.system.j2",
        "system: »../../secret.j2",
        "E304 the template '../../secret.j2' is outside templates/",
        "copy it there and write its path from there",
    ),
    (
        "template syntax",
        SYSTEM,
        None,
        "Think.\nA »{% if %} step\n",
        "E302 template syntax: Expected an expression, got 'end of statement block' "
        "(used by strategy step_by_step)",
        "",
    ),
    (
        "unknown filter",
        SYSTEM,
        None,
        "Think.\n{{ answer_marker | »uper }}\n",
        "E307 there is no filter 'uper' (used by strategy step_by_step)",
        "did you mean 'upper'?",
    ),
    (
        "undefined variable",
        SYSTEM,
        None,
        "Think.\nanswer_markr {{ »answer_markr }}\n",
        "E303 the variable 'answer_markr' is not known here (used by strategy step_by_step)",
        "did you mean 'answer_marker'?",
    ),
    (
        "undeclared variable",
        SYSTEM,
        None,
        "{% for o in »options %}{{ o }}{% endfor %}",
        "E303 the variable 'options' is not known here (used by strategy step_by_step)",
        "add options to `uses` of the strategy",
    ),
    (
        "include",
        SYSTEM,
        None,
        '»{% include "strategies/question.user.j2" %}\nThink.\n',
        "E306 a template cannot read another one (used by strategy step_by_step)",
        "write its text here, so that one file is the whole prompt",
    ),
    (
        "source without the kind",
        COIN,
        SOURCE,
        "source: »{generator: coin_flop, seed: 11}",
        "E404 unknown generator 'coin_flop'",
        "did you mean 'coin_flip'?",
    ),
    (
        "wrong kind of option",
        COIN,
        SOURCE,
        'source: »{generator: coin_flip, people: "4", seed: 1}',
        "E404 generator 'coin_flip' has the wrong kind of value in option 'people'",
        "people: whole number",
    ),
    (
        "option out of range",
        COIN,
        SOURCE,
        "source: »{generator: coin_flip, people: 4000, seed: 1}",
        "E404 option 'people' is 4000, outside 1 to 1000",
        "choose 'people' from 1 to 1000",
    ),
    (
        "file outside",
        COIN,
        SOURCE,
        f"source: »{{file: ../rows.jsonl, sha256: {'f' * 64}}}",
        "E401 the file '../rows.jsonl' lies outside the repository",
        "copy it into the repository and give its path from the root",
    ),
    (
        "split after itself",
        COIN,
        "valid: {take: 3, after: test}",
        "valid: »{take: 3, after: valid}",
        "E407 the splits run in a circle: 'valid' after 'valid'",
        "let one of them start the stream, without `after`",
    ),
    (
        "missing row field",
        COIN,
        "question: {get: question}",
        "question: »{get: questions}",
        "E410 row coin_flip/train/0: there is no field questions (12 rows in all)",
        "",
    ),
    (
        "gold of the wrong type",
        COIN,
        "gold: {get: answer}",
        "gold: »{render: maybe}",
        "E410 row coin_flip/train/0: the gold answer 'maybe' is not of type yes_no "
        "(12 rows in all)",
        "",
    ),
    (
        "worked solutions that are no mapping",
        COIN,
        "worked: {get: worked}",
        "worked: »{get: answer}",
        "E410 row coin_flip/train/0: there is no field answer that maps strategies to "
        "completions (12 rows in all)",
        "",
    ),
    (
        "a row template that fails",
        COIN,
        "question: {get: question}",
        'question: »{render: "{{ 1 / 0 }}"}',
        "E410 row coin_flip/train/0: the template fails: ZeroDivisionError: division by zero "
        "(12 rows in all)",
        "",
    ),
    (
        "a row template that is none",
        COIN,
        "question: {get: question}",
        'question: {render: »"{{ row.question"}',
        "E302 template syntax: unexpected end of template, expected 'end of print statement'",
        "",
    ),
    (
        "a row template with another variable",
        COIN,
        "question: {get: question}",
        'question: {render: »"{{ question }}"}',
        "E303 the variable 'question' is not known here",
        "a source row is called row: write row.question",
    ),
    (
        "fallback that is no candidate",
        PARAMS,
        "fallback: step_by_step",
        "fallback: »recall_then_generate",
        "E505 the fallback 'recall_then_generate' is not a candidate of coin_flip, last_letter",
        "name it in probe.strategies and among the task's strategies, or choose another",
    ),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "message", "hint"),
    [case[1:] for case in CASES],
    ids=[case[0].replace(" ", "-") for case in CASES],
)
def test_one_mistake_is_one_whole_message(
    project: Copy, file: str, old: str | None, new: str, message: str, hint: str
) -> None:
    if "»odd" in new:
        text = project.read(STEPS).replace("id: step_by_step", "id: odd")
        project.write("specs/strategies/odd.yaml", re.sub(r"for: .*", "for: [number]", text))
    spot = project.edit(file, old, new)
    assert project.problems() == [spot.says(message, hint)]


def test_no_verifying_example(project: Copy) -> None:
    text = project.read(COIN)
    project.write(COIN, text[: text.index("examples:")])
    spot = project.edit(
        COIN, "\nstrategies:", "\nexamples:\n  »- {completion: Hm, answer: null}\nstrategies:"
    )
    assert project.problems() == [
        spot.says(
            "E205 no example has an answer, so extraction is never proven",
            "add a completion with the answer that must be found in it",
        )
    ]


def test_openai_teacher_without_a_model_and_a_url(project: Copy) -> None:
    project.edit("params.yaml", "engine: recorded ", "engine: openai ")
    text = project.read("params.yaml").replace("base_url: null", "base_url: »null")
    url = project.edit("params.yaml", None, text)
    text = project.read("params.yaml").partition("teacher:\n")
    model = project.edit(
        "params.yaml", None, text[0] + text[1] + text[2].replace("model: null", "model: »null", 1)
    )
    assert project.problems() == [
        model.says(
            "E502 the openai teacher lacks a model",
            "write the model's name as the endpoint knows it",
        ),
        url.says(
            "E502 the openai teacher lacks a base_url",
            "write the endpoint's URL, such as https://api.openai.com/v1",
        ),
    ]


def test_duplicate_key(project: Copy) -> None:
    spot = project.edit(COIN, "answer:\n", "strategies: []\nanswer:\n")
    line = project.read(COIN).split("\n").index("strategies: []") + 1
    number = project.read(COIN)[: project.read(COIN).rindex("strategies:")].count("\n") + 1
    source = project.read(COIN).split("\n")[number - 1]
    assert project.problems() == [
        Spot(spot.file, number, 1, source)
        .says("E106 the key 'strategies' stands twice in this mapping", "keep one")
        .replace(
            "    hint:",
            f"    first defined here: {COIN}:{line}:1\n    strategies: []\n    ^\n    hint:",
        )
    ]


def test_invalid_yaml(project: Copy) -> None:
    project.write(STEPS, "spec: 1\nfor: [number\ncalls: 1\n")
    assert project.problems() == [
        f"{STEPS}:3:6: E103 this is not valid YAML: while parsing a flow sequence, "
        "did not find expected ',' or ']'\n    calls: 1\n         ^"
    ]


def test_a_file_that_is_not_utf8(project: Copy) -> None:
    (project.root / COIN).write_bytes(b"spec: 1\ntitle: caf\xe9\n")
    assert project.problems() == [
        f"{COIN}:2:11: E102 this file is not UTF-8 text\n    hint: save it as UTF-8"
    ]


def test_a_template_that_is_not_utf8(project: Copy) -> None:
    (project.root / SYSTEM).write_bytes(b"caf\xe9")
    assert project.problems() == [
        f"{SYSTEM}: E102 this file is not UTF-8 text\n    hint: save it as UTF-8"
    ]


@pytest.mark.parametrize(
    ("text", "kind"), [("- 1\n", "array"), ("yes\n", "boolean"), ("a word\n", "string")]
)
def test_a_file_that_is_no_mapping(project: Copy, text: str, kind: str) -> None:
    for file in ("params.yaml", COIN, STEPS):
        project.write(file, text)
    message = f"E114 the file must be of type object, not {kind}"
    source = text.strip()
    assert project.problems() == [
        Spot(file, 1, 1, source).says(message) for file in ("params.yaml", STEPS, COIN)
    ]


@pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n"])
def test_an_empty_file_lacks_every_key(project: Copy, text: str) -> None:
    project.write(COIN, text)
    found = project.problems()
    assert [line.split(": ", 1)[1] for line in "\n".join(found).split("\n") if COIN in line] == [
        f"E112 the file lacks the key {key!r}"
        for key in ("answer", "data", "examples", "id", "row", "spec", "strategies", "title")
    ]


def test_a_file_that_cannot_be_read(project: Copy) -> None:
    (project.root / COIN).unlink()
    (project.root / COIN).mkdir()
    assert project.problems() == [f"{COIN}: E101 this file cannot be read: Is a directory"]


def test_params_that_are_missing(project: Copy) -> None:
    (project.root / PARAMS).unlink()
    assert project.problems() == ["params.yaml: E101 this file does not exist"]


def _from_file(project: Copy, rows: str, sha256: str = "") -> Spot:
    project.write("rows.jsonl", rows)
    sha256 = sha256 or hashlib.sha256(rows.encode()).hexdigest()
    return project.edit(COIN, SOURCE, f"source: »{{file: rows.jsonl, sha256: {sha256}}}")


def _rows(count: int) -> str:
    worked = "{" + ", ".join(f'"{n}": "Yes."' for n in WORKED) + "}"
    return "".join(
        f'{{"question": "{i} + {i}", "answer": "yes", "worked": {worked}}}\n' for i in range(count)
    )


WORKED = ("direct", "step_by_step", "explain_then_answer")


def test_a_file_of_rows(project: Copy) -> None:
    _from_file(project, _rows(12))
    assert project.problems() == []


def test_too_few_rows(project: Copy) -> None:
    _from_file(project, _rows(11))
    spot = project.edit(COIN, "train: {take: 3, after: probe}", "train: »{take: 3, after: probe}")
    assert project.problems() == [
        spot.says(
            "E408 the split takes 3, but there are 2 rows behind 'probe'",
            "lower `take`, here or in the splits before it",
        )
    ]


def test_wrong_sha256(project: Copy) -> None:
    _from_file(project, _rows(12), "f" * 64)
    right = hashlib.sha256(_rows(12).encode()).hexdigest()
    assert project.problems() == [
        f"rows.jsonl: E402 the file's sha256 is {right}, the spec says {'f' * 64}\n"
        "    hint: restore the file, or write its new sha256 into the spec if the change is meant"
    ]


def test_overlapping_splits(project: Copy) -> None:
    _from_file(project, _rows(12).replace("11 + 11", "3 + 3!"))
    spot = project.edit(COIN, "valid: {take: 3, after: test}", "valid: »{take: 3, after: test}")
    assert project.problems() == [
        spot.says(
            "E411 valid shares 1 of its questions with train, the first is coin_flip/valid/0",
            "chain the splits by `after`; if the source repeats a question, `duplicates: drop`",
        )
    ]


def test_overlaps_are_dropped_where_the_task_says_so(project: Copy) -> None:
    # in the order of the splits: test, valid, probe, train
    repeats = {"4 + 4": "0 + 0!", "7 + 7": "1 + 1", "9 + 9": "3 + 3", "11 + 11": "8 + 8."}
    rows = _rows(12)
    for old, new in repeats.items():
        rows = rows.replace(f'"{old}"', f'"{new}"')
    _from_file(project, rows)
    project.edit(COIN, "  splits:", "  duplicates: drop\n  splits:")
    assert project.problems() == []
    manifest = write(*checked(project.root), project.root / "out")
    task = manifest["tasks"]["symbolic/coin_flip"]
    assert task["rows"] == {"train": 1, "probe": 2, "valid": 2, "test": 3}
    assert task["duplicates"] == {"train": 2, "probe": 1, "valid": 1, "test": 0}
    train = list(read_rows(project.root / "out/suites/symbolic/train.jsonl"))
    assert [row["id"] for row in train if row["task"] == "coin_flip"] == ["coin_flip/train/1"]
    assert "duplicates" not in manifest["tasks"]["symbolic/last_letter"]


def test_a_run_needs_the_splits_that_it_uses(project: Copy) -> None:
    text = project.read(COIN)
    splits = text[text.index("    valid:") : text.index("row:")]
    spot = project.edit(COIN, "  splits:", "  »splits:")
    project.write(COIN, project.read(COIN).replace(splits, ""))
    where = Spot(COIN, spot.line, 3, "  splits:")
    hint = "add the split {}, or leave the task out by `tasks` of the run"
    assert project.problems() == [
        where.says(
            "E508 the run 'direct' trains on coin_flip, which has no train rows",
            hint.format("train"),
        ),
        where.says(
            "E508 the run 'selected' selects a strategy for coin_flip, which has no probe rows",
            hint.format("probe"),
        ),
        where.says(
            "E508 the run 'selected' trains on coin_flip, which has no train rows",
            hint.format("train"),
        ),
    ]
    project.edit("params.yaml", "{train_on: answers}", "{method: zero_shot}")
    selected = "selected: {train_on: selected}"
    project.edit("params.yaml", selected, "selected: {method: orca2, tasks: [last_letter]}")
    assert project.problems() == []
    letters = project.read(LETTER)
    project.write(
        LETTER,
        letters.replace(letters[letters.index("    valid:") : letters.index("    probe:")], ""),
    )
    project.edit(LETTER, "probe: {take: 3, after: valid}", "probe: {take: 3, after: test}")
    spot = project.edit("params.yaml", "selected: {method", "»selected: {method")
    assert project.problems() == [
        Spot("params.yaml", spot.line, 13, spot.source).says(
            "E508 no task of the run 'selected' has valid rows, which choose the checkpoint",
            "add the split valid to one of its tasks",
        )
    ]


def test_a_bad_row_is_one_problem_a_kind(project: Copy) -> None:
    rows = _rows(12).replace('"yes"', '"maybe"', 2).replace('"5 + 5"', "null")
    _from_file(project, rows)
    gold = project.edit(COIN, "gold: {get: answer}", "gold: »{get: answer}")
    question = project.edit(COIN, "question: {get: question}", "question: »{get: question}")
    assert project.problems() == [
        question.says(
            "E410 row coin_flip/valid/2 (row 6 of rows.jsonl): "
            "there is no field question with a value"
        ),
        gold.says(
            "E410 row coin_flip/test/0 (row 1 of rows.jsonl): "
            "the gold answer 'maybe' is not of type yes_no (2 rows in all)"
        ),
    ]


def test_options_that_are_no_list(project: Copy) -> None:
    _from_file(project, _rows(12).replace('"answer"', '"choices": "a, b", "answer"'))
    spot = project.edit(
        COIN, "worked: {get: worked}", "worked: {get: worked}\n  options: »{get: choices}"
    )
    assert project.problems() == [
        spot.says(
            "E410 row coin_flip/train/0 (row 10 of rows.jsonl): the options are 'a, b', not a list "
            "(12 rows in all)"
        )
    ]


def test_recorded_teacher_asked_for_a_strategy_that_it_lacks(project: Copy) -> None:
    project.edit("params.yaml", "{train_on: selected}", "{train_on: step_by_step}")
    spot = project.edit(COIN, "worked: {get: worked}", "worked: »{direct: {get: worked.direct}}")
    assert project.problems() == [
        spot.says(
            "E501 the recorded teacher has no step_by_step rationale for 3 of 3 train rows, "
            "the first is coin_flip/train/0",
            "it holds: direct; drop the strategy for this task, or put an LLM endpoint in the "
            "recorded teacher's place (params.yaml, teacher)",
        )
    ]


def test_candidates_with_different_student_prompts(project: Copy) -> None:
    project.edit(STEPS, "user: student/question.user.j2", "user: strategies/question.user.j2")
    spot = project.edit(
        "params.yaml", "selected: {train_on: selected}", "selected: »{train_on: selected}"
    )
    hint = "give their student blocks the same system and user templates"
    assert project.problems() == [
        spot.says(
            f"E504 the candidates of {task} have different student prompts, "
            "so the strategy would not be erased",
            hint,
        )
        for task in ("coin_flip", "last_letter")
    ]


def test_one_task_id_in_two_suites(project: Copy) -> None:
    text = project.read(COIN)
    project.write("specs/tasks/other/coin_flip.yaml", text)
    project.edit("params.yaml", "suites: [symbolic]", "suites: [symbolic, other]")
    line = text[: text.index("id: coin_flip")].count("\n") + 1
    assert project.problems() == [
        Spot(COIN, line, 5, "id: coin_flip").says(
            "E207 the suite 'other' has a task 'coin_flip' as well",
            "rename one of the two, or leave one out in `tasks` of params.yaml",
        )
    ]


def test_a_reserved_id(project: Copy) -> None:
    text = project.read(COIN).replace("id: coin_flip", "id: macro")
    project.write("specs/tasks/symbolic/macro.yaml", text)
    line = text[: text.index("id: macro")].count("\n") + 1
    assert project.problems() == [
        Spot("specs/tasks/symbolic/macro.yaml", line, 5, "id: macro").says(
            "E208 the id 'macro' has a meaning of its own",
            "choose another id and file name than nothing, answers, selected, teacher_best, macro",
        )
    ]


def test_a_template_that_fails_on_a_row(project: Copy) -> None:
    project.write("templates/student/answer.j2", "So:\n{{ answer / 2 }}.\n")
    found = project.problems()
    assert found[0] == (
        "templates/student/answer.j2:2:1: E305 rendering row coin_flip/probe/0 fails: "
        "TypeError: unsupported operand type(s) for /: 'str' and 'int'\n"
        "    {{ answer / 2 }}.\n    ^"
    )
    assert all("E305" in problem for problem in found)


def test_the_template_of_answers_is_needed_whatever_the_strategies_say(project: Copy) -> None:
    project.edit(DIRECT, "student/answer.j2", "student/rationale_then_answer.j2")
    (project.root / "templates/student/answer.j2").unlink()
    assert project.problems() == [
        "templates/student/answer.j2: E301 this template is not there\n"
        "    hint: create it: runs that train on answers are written with it"
    ]


def _several(project: Copy) -> list[str]:
    """Mistakes of every family, in every kind of file."""
    params = project.edit("params.yaml", "  epochs: ", "  »epoch: 1\n  epochs: ")
    strategy = project.edit(DIRECT, "spec: 1", "spec: »2")
    link = project.edit(LETTER, "strategies: [direct", "strategies: [»dirct")
    example = project.edit(COIN, EXAMPLE, EXAMPLE.replace("- {", "- »{").replace("Yes,", "No,"))
    template = project.edit(SYSTEM, None, "{{ »answer }}")
    return [
        params.says("E111 unknown key 'epoch' in train", "did you mean 'epochs'?"),
        strategy.says("E113 spec cannot be 2", "allowed: 1"),
        example.says(
            "E206 extraction finds the answer 'no' in this example, not 'yes'",
            "change answer.extract or the example",
        ),
        link.says("E202 there is no strategy 'dirct'", "did you mean 'direct'?"),
        template.says(
            "E311 the variable 'answer' would show the answer in a prompt "
            "(used by strategy step_by_step)",
            "a prompt may read: answer_marker, exemplars, options, question",
        ),
    ]


def test_mistakes_in_several_files_are_reported_together_and_sorted(project: Copy) -> None:
    expected = _several(project)
    assert project.problems() == expected


def test_rows_are_checked_beside_broken_links(project: Copy) -> None:
    link = project.edit(LETTER, "strategies: [direct", "strategies: [»dirct")
    row = project.edit(COIN, "gold: {get: answer}", "gold: »{get: answr}")
    assert project.problems() == [
        row.says("E410 row coin_flip/train/0: there is no field answr (12 rows in all)"),
        link.says("E202 there is no strategy 'dirct'", "did you mean 'direct'?"),
    ]


def test_the_command_prints_them_without_a_traceback_and_exits_2(project: Copy) -> None:
    expected = _several(project)
    done = project.run("-m", "stages.compile", "--check")
    told = [line for line in done.stdout.splitlines() if not line.startswith("  check: ")]
    assert (done.returncode, told) == (2, [])  # on a slow machine it tells how far it is
    assert done.stderr == "\n".join(expected) + "\n"
    assert "Traceback" not in done.stderr


def test_the_command_needs_the_top_folder(project: Copy) -> None:
    done = project.run("-m", "stages.compile", "--check", folder="specs")
    assert done.returncode == 2
    assert done.stderr == (
        "params.yaml: E511 there is no params.yaml in this folder\n"
        "    hint: run from the top of the repository\n"
    )


def test_checking_imports_nothing_heavy(project: Copy) -> None:
    code = (
        "import sys, stages.compile\n"
        "heavy = {'torch', 'transformers', 'dvc', 'openai', 'datasets'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert project.run("-c", code).stdout == "[]\n"


@pytest.mark.parametrize("name", ["x" * 300, "a\\0b"])
def test_a_template_name_that_no_file_can_have(project: Copy, name: str) -> None:
    project.edit(STEPS, "target: student/rationale_then_answer.j2", f'target: "{name}"')
    (found,) = project.problems()
    assert "E301 there is no template templates/" in found
    assert found.endswith("hint: create it")
