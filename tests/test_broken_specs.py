"""More of the corpus of broken specs and templates: what the static checks find.

As in test_bad_input.py, » stands in front of the character that the message must point at.
"""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from stages.compiler.check import checked
from tests import test_bad_input
from tests.projects import COIN, DIRECT, LETTER, STEPS, Copy, Spot

SYSTEM = "templates/strategies/step_by_step.system.j2"
PLAIN = "templates/student/plain.system.j2"
USED = " (used by strategy step_by_step)"
SECRET = "a prompt may read: answer_marker, exemplars, options, question"
FILTERS = (
    "allowed: abs, capitalize, count, d, default, dictsort, first, float, int, items, join, "
    "last, length, list, lower, map, max, min, reject, rejectattr, replace, reverse, round, "
    "select, selectattr, sort, string, sum, title, tojson, trim, truncate, unique, upper, "
    "wordcount"
)
REFUSED = "write its text here, so that one file is the whole prompt"
CASES = [
    # (what, file, old, new, message, hint)
    *(
        (
            f"{name} in a prompt",
            SYSTEM,
            None,
            f"{{{{ answer_marker }}}} {{{{ »{name} }}}}",
            f"E311 the variable '{name}' would show the answer in a prompt{USED}",
            SECRET,
        )
        for name in ("answer", "gold", "rationale", "worked", "label")
    ),
    *(
        (
            f"a template that would {does}",
            SYSTEM,
            None,
            f"{{{{ answer_marker }}}}\n»{text}\n",
            f"E306 a template cannot {does}{USED}",
            REFUSED,
        )
        for text, does in (
            ('{% extends "a.j2" %}', "read another one"),
            ('{% from "a.j2" import b %}', "read another one"),
            ("{% macro a() %}{% endmacro %}", "define a macro"),
            ("{% block a %}{% endblock %}", "hold a block"),
            ("{{ 2 ** 99999999 }}", "raise to a power"),
            ("{% for a in [1] recursive %}{% endfor %}", "loop recursively"),
        )
    ),
    (
        "a filter that the sandbox lacks",
        SYSTEM,
        None,
        "{{ [answer_marker] | »random }}",
        f"E307 there is no filter 'random'{USED}",
        FILTERS,
    ),
    (
        "a filter of no tool",
        SYSTEM,
        None,
        "{{ answer_marker | »qqq }}",
        f"E307 there is no filter 'qqq'{USED}",
        FILTERS,
    ),
    (
        "an unknown test",
        SYSTEM,
        None,
        "{% if answer_marker is »defind %}{% endif %}",
        f"E307 there is no test 'defind'{USED}",
        "did you mean 'defined'?",
    ),
    (
        "an unknown method",
        SYSTEM,
        None,
        "{{ answer_marker.»uper() }}",
        f"E308 answer_marker has no attribute 'uper'{USED}",
        "did you mean 'upper'?",
    ),
    (
        "an attribute of Python",
        SYSTEM,
        None,
        "{{ answer_marker.»__class__ }}",
        f"E308 answer_marker has no attribute '__class__'{USED}",
        "allowed: capitalize, casefold, count, endswith, find, index, isalnum, isalpha, isdigit, "
        "islower, isnumeric, isspace, istitle, isupper, join, lower, lstrip, partition, "
        "removeprefix, removesuffix, replace, rfind, rindex, rpartition, rsplit, rstrip, split, "
        "splitlines, startswith, strip, swapcase, title, upper",
    ),
    (
        "a clock",
        SYSTEM,
        None,
        "{{ answer_marker }} {{ »now() }}",
        f"E303 the variable 'now' is not known here{USED}",
        "allowed: answer_marker, question",
    ),
    (
        "an unclosed tag",
        SYSTEM,
        None,
        "{{ answer_marker }}\n»{% if question %}\n",
        "E302 template syntax: Unexpected end of template. Jinja was looking for the following "
        "tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'"
        f"{USED}",
        "",
    ),
    (
        "an unknown tag",
        SYSTEM,
        None,
        "»{% fi %}",
        f"E302 template syntax: Encountered unknown tag 'fi'{USED}",
        "",
    ),
    (
        "a declared variable that nothing reads",
        STEPS,
        "uses: [question, answer_marker]",
        "uses: [question, answer_marker, »options]",
        "E309 no template of step_by_step reads 'options'",
        "write {{ options }} where it belongs, or take it out of `uses`",
    ),
    (
        "the question is the answer",
        COIN,
        "question: {get: question}",
        "question: »{get: answer}",
        "E412 question writes out row.answer, which is the gold answer",
        "name another field, or only a part of this one",
    ),
    (
        "the answer stands behind the question",
        COIN,
        "question: {get: question}",
        'question: »{render: "{{ row.question }} {{ row.answer | upper }}"}',
        "E412 question writes out row.answer, which is the gold answer",
        "name another field, or only a part of this one",
    ),
    (
        "the whole row is the question",
        COIN,
        "question: {get: question}",
        'question: »{render: "{{ row | tojson }}"}',
        "E412 question writes out row, which holds the gold answer",
        "name another field, or only a part of this one",
    ),
    (
        "the worked solution is an option",
        COIN,
        "worked: {get: worked}",
        "worked: {get: worked}\n  options: »{get: worked.direct}",
        "E412 options writes out row.worked.direct, which holds the worked solution",
        "name another field, or only a part of this one",
    ),
    (
        "the answer by way of an expression",
        COIN,
        "question: {get: question}",
        "question: »{render: \"{{ row.question }} The answer is {{ row['ans' ~ 'wer'] }}\"}",
        None,
        "",
    ),
    (
        "a filter in a row",
        COIN,
        "question: {get: question}",
        'question: {render: »"{{ row.question | shufle }}"}',
        "E307 there is no filter 'shufle'",
        FILTERS,
    ),
    (
        "options that are rendered",
        COIN,
        "worked: {get: worked}",
        'worked: {get: worked}\n  options: »{render: "a"}',
        "E117 row.options has none of the forms allowed",
        "forms: get, lines",
    ),
    (
        "grouping by nothing known",
        COIN,
        "data:\n",
        "data:\n  group_by: »topic\n",
        "E117 data.group_by has none of the forms allowed",
        "forms: template, get",
    ),
    (
        "one template for all splits",
        COIN,
        "data:\n",
        "data:\n  group_by: template\n",
        None,
        "",
    ),
    (
        "an included file that is none",
        COIN,
        "spec: 1\n",
        "spec: 1\ninclude: »_none.yaml\n",
        "E210 there is no file 'specs/tasks/symbolic/_none.yaml' to include",
        "the path starts at this file's folder",
    ),
    (
        "a tab for indentation",
        COIN,
        "  type: yes_no",
        "»\ttype: yes_no",
        "E103 this is not valid YAML: while scanning for the next token, found character that "
        "cannot start any token",
        "indent with spaces",
    ),
    (
        "a second document",
        COIN,
        "row:\n",
        "»---\nrow:\n",
        "E103 this is not valid YAML: another document begins here",
        "keep one",
    ),
    (
        "a merge key",
        LETTER,
        "spec: 1\n",
        "spec: 1\n»<<: {a: 1}\n",
        "E111 unknown key '<<' in the file",
        "allowed: answer, data, examples, exemplars, id, include, row, spec, strategies, title",
    ),
    (
        "a strategy without a target",
        DIRECT,
        ", target: student/answer.j2",
        "",
        None,
        "",
    ),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "message", "hint"),
    [case[1:] for case in CASES if case[4] is not None],
    ids=[case[0].replace(" ", "-") for case in CASES if case[4] is not None],
)
def test_one_mistake_is_one_whole_message(
    project: Copy, file: str, old: str | None, new: str, message: str, hint: str
) -> None:
    spot = project.edit(file, old, new)
    (found,) = project.problems()
    first, _, rest = found.partition("\n")
    assert spot.says(message, hint).split("\n")[0] == first
    assert [line for line in rest.split("\n") if line.startswith("    hint: ")] == (
        [f"    hint: {hint}"] if hint else []
    )
    shown = "".join(char if char.isprintable() else " " for char in spot.source)
    if len(shown) <= 160:
        assert rest.split("\n")[:2] == [f"    {shown}", "    " + " " * (spot.column - 1) + "^"]


COT = "specs/strategies/zero_shot_cot.yaml"
RECALL = "specs/strategies/recall_then_generate.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "message", "hint"),
    [
        (
            COIN, "strategies: [direct,", "strategies: [direct, »few_shot_cot,",
            "E209 the strategy 'few_shot_cot' shows exemplars, and this task has none",
            "add `exemplars` with question, rationale and answer, or drop the strategy",
        ),
        (
            RECALL, "- {continues: true, ", "- »{",
            "E313 this call never sees the reply to the call before it",
            "write {{ reply }} where it belongs, or continues: true",
        ),
        (
            RECALL, "- {continues: true, ",
            "- {continues: true, system: »strategies/recall_then_generate.system.j2, ",
            "E314 a call that continues has the system message of the call before it",
            "take `system` out, or `continues`",
        ),
        (
            RECALL, "question.user.j2, max", "question.user.j2, continues: »true, max",
            "E314 the first call has nothing to continue",
            "take `continues` out",
        ),
        (
            COT, "max_tokens: 256}", "max_tokens: 256, gives: »answer}",
            "E314 only the last call can give the answer",
            "write gives: notes, or gives: rationale",
        ),
        (
            COT, "calls:\n  - {user: strategies/zero_shot_cot.reason.j2,",
            "calls:\n  »- {gives: notes, user: strategies/zero_shot_cot.reason.j2,",
            "E314 no call gives a rationale, so there is nothing to learn",
            "leave `gives` out of the call whose reply the student is to learn",
        ),
        (
            "templates/strategies/question.user.j2", "{{ question }}",
            "{{ question }} {{ »reply }}",
            "E303 the variable 'reply' is not known here (used by strategy direct)",
            "allowed: answer_marker, question",
        ),
        (
            "templates/student/question.user.j2", "{{ question }}",
            "{{ question }} {{ »exemplars }}",
            "E303 the variable 'exemplars' is not known here (used by strategy direct)",
            "allowed: answer_marker, question",
        ),
    ],
)  # fmt: skip
def test_calls_and_exemplars_that_do_not_fit(
    project: Copy, file: str, old: str, new: str, message: str, hint: str
) -> None:
    spot = project.edit(file, old, new)
    found = [problem for problem in project.problems() if problem.split(": ")[1][:4] == message[:4]]
    assert spot.says(message, hint) in found


def test_an_exemplar_that_is_a_question_of_the_task(project: Copy) -> None:
    question = next(iter(checked(project.root)[1]["symbolic", "coin_flip"]["test"])).question
    shown = json.dumps(question)
    spot = project.edit(
        COIN, "examples:",
        f"exemplars:\n  »- {{question: {shown}, rationale: So., answer: 'yes'}}\nexamples:",
    )  # fmt: skip
    assert project.problems() == [
        f"{spot.file}:{spot.line}:{spot.column}: E414 test holds 1 of the exemplars, the first is "
        f"coin_flip/test/0\n"
        + "\n".join(excerpt(spot))
        + "\n    hint: an exemplar shows its answer, so choose other questions for exemplars"
    ]


def excerpt(spot: Spot) -> list[str]:
    """The line as `Problem` prints it: cut where it is long."""
    cut = spot.source if len(spot.source) <= 160 else spot.source[:159] + "…"
    return [f"    {cut}", f"    {' ' * (spot.column - 1)}^"]


def test_the_corpus_is_large() -> None:
    messages = [case[4] for case in (*CASES, *test_bad_input.CASES) if case[4]]
    kinds = {(message[:4], "".join(message.split("'")[::2])) for message in messages}
    assert len(messages) >= 80
    assert len(kinds) >= 40


def test_a_template_that_no_strategy_names(project: Copy) -> None:
    project.write("templates/strategies/tree.system.j2", "Think of a tree.\n")
    project.write("templates/report/other.j2", "not a prompt\n")
    assert project.problems() == [
        "templates/strategies/tree.system.j2: E310 no strategy names this template\n"
        "    hint: name it in a strategy, or remove it"
    ]


def test_the_student_is_told_the_strategy(project: Copy) -> None:
    spot = project.edit(
        STEPS, "{system: student/plain.system.j2,", "{system: »strategies/step_by_step.system.j2,"
    )
    found = [problem for problem in project.problems() if "E504" not in problem]
    assert found == [
        spot.says(
            "E312 the student is shown the strategy's own instruction "
            "'strategies/step_by_step.system.j2'",
            "give the student a plain one, such as student/plain.system.j2",
        )
    ]


def test_words_of_the_strategy_in_the_students_prompt(project: Copy) -> None:
    project.write(PLAIN, "You are helpful.\nWork through the question one small step at a time.\n")
    (found,) = project.problems()
    lines = project.read(STEPS).split("\n")
    assert found == (
        f"{STEPS}:8:19: E312 the student's prompt 'student/plain.system.j2' repeats the "
        "strategy's words 'work through the question'\n"
        f"    {lines[7]}\n                      ^\n"
        f"    the strategy is told here: {STEPS}:7:5\n    {lines[6]}\n        ^\n"
        "    hint: take them out: the student must learn when to reason so without being told"
    )


def _from_file(project: Copy, rows: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    project.write("rows.jsonl", text)
    digest = sha256(text.encode()).hexdigest()
    source = f"source: {{file: rows.jsonl, sha256: {digest}}}"
    project.edit(COIN, "source: {generator: coin_flip, people: 4, seed: 11}", source)
    params = project.read("params.yaml").replace("on: selected}", "on: answers}")
    project.write("params.yaml", params)
    project.edit(COIN, "  worked: {get: worked}\n", "  worked: {direct: {get: why}}\n")


def test_a_question_that_states_its_answer(project: Copy) -> None:
    _from_file(
        project,
        [
            {"question": f"Is {i} even? The answer is yes.", "answer": "yes", "why": "so"}
            for i in range(12)
        ],
    )
    spot = project.edit(COIN, "question: {get: question}", "question: »{get: question}")
    assert project.problems() == [
        spot.says(
            "E413 row coin_flip/train/0 (row 10 of rows.jsonl): the question holds the statement "
            "'The answer is yes' (12 rows in all)"
        )
    ]


def test_a_question_that_holds_its_worked_solution(project: Copy) -> None:
    why = "Half of it is whole, so it is even."
    _from_file(
        project,
        [
            {"question": f"Is {i} even?\n{why.upper()}", "answer": "yes", "why": why}
            for i in range(12)
        ],
    )
    spot = project.edit(COIN, "question: {get: question}", "question: »{get: question}")
    assert project.problems() == [
        spot.says(
            "E413 row coin_flip/train/0 (row 10 of rows.jsonl): the question holds its worked "
            "solution for direct (12 rows in all)"
        )
    ]


def test_the_answer_by_way_of_an_expression_is_found_in_the_rows(project: Copy) -> None:
    name = "the answer by way of an expression"
    case = next(case for case in CASES if case[0] == name)
    spot = project.edit(*case[1:4])
    found = project.problems()
    place = f"{COIN}:{spot.line}:{spot.column}: E413 row coin_flip/"
    assert [problem.startswith(place) for problem in found] == [True, True]  # yes and no


def test_questions_of_one_template_cannot_be_parted(project: Copy) -> None:
    project.edit(LETTER, "data:\n", "data:\n  group_by: template\n")
    assert [problem.split("\n")[0].split(": ", 1)[1] for problem in project.problems()] == [
        "E408 the split takes 3, but there are 0 rows behind 'test'",
        "E408 the split takes 3, but there are 0 rows behind 'valid'",
        "E408 the split takes 3, but there are 0 rows behind 'probe'",
    ]


def test_templates_stay_together(project: Copy) -> None:
    kinds = ("How many {0} has {1} if {1} had {2}?", "{1} buys {2} {0}. How many has she now?",
             "Is {2} even, {1} asks about {0}?", "Did {1} see {2} {0}?")  # fmt: skip
    rows: list[dict[str, object]] = [
        {"question": kinds[i % 4].format("hens", ("Ann", "Bo", "Cy")[i // 4], i), "answer": "yes",
         "why": "so"}
        for i in range(12)
    ]  # fmt: skip
    _from_file(project, rows)
    project.edit(COIN, "data:\n", "data:\n  group_by: template\n")
    assert project.problems() == []


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\xff\xfes\x00p\x00", "1:1: E102 this file is not UTF-8 text\n    hint: save it as"),
        (b"a: \x1b[31m\n", "1:4: E103 this is not valid YAML: it holds the character U+001B\n"
         "    a:  [31m\n       ^\n    hint: remove the character"),
        (b"[" * 500000, "1:26: E104 this is nested too deeply"),
        (b"- " * 300000, "1:51: E104 this is nested too deeply"),
        (b"a: &a [*a]\n", "1:8: E107 an alias (*name) is not allowed"),
        (b"x" * (1 << 21), "E102 this file is larger than 1048576 bytes: it has 2097152"),
        (b"a: 1" + b"0" * 5000, "1:4: E103 this value cannot be read: "),
        (b"\xef\xbb\xbf\xef\xbb\xbfa: 1\n", "1:1: E111 unknown key"),
    ],
    ids=["utf16", "escape", "brackets", "dashes", "recursion", "large", "digits", "boms"],
)  # fmt: skip
def test_hostile_yaml_is_a_diagnostic(project: Copy, raw: bytes, message: str) -> None:
    (project.root / COIN).write_bytes(raw)
    found = [problem for problem in project.problems() if problem.startswith(COIN)]
    assert found[0].removeprefix(f"{COIN}:").lstrip().startswith(message)


def test_a_bomb_of_aliases_is_refused_in_a_moment(project: Copy) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for one, two in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]")
    project.write(COIN, "\n".join(lines))
    found = [problem for problem in project.problems() if "E107" in problem]
    assert len(found) == 72
    assert (
        Spot(COIN, 2, 8, lines[1]).says(
            "E107 an alias (*name) is not allowed", "write the value out"
        )
        in found
    )


def test_a_template_that_is_too_large(project: Copy) -> None:
    project.write(SYSTEM, "x" * (1 << 17))
    assert project.problems() == [f"{SYSTEM}: E102 this file is larger than 65536 bytes"]
