from __future__ import annotations

import pytest

from stages.spec.lint import Scope, check_source, constant_text, variables
from stages.spec.sandbox import FILTERS

SCOPE = Scope(
    {"question": str},
    offered=frozenset({"question", "options"}),
    secret=frozenset({"answer"}),
    used_by="a test",
)


ALLOWED = "    hint: allowed: " + ", ".join(sorted(FILTERS))


def _check(text: str) -> str:
    return "\n".join(map(str, check_source(text, "a.j2", SCOPE)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ question }}\n", ""),
        ("", ""),
        ("{% for word in question.split() %}{{ loop.index }} {{ word | upper }}{% endfor %}", ""),
        (
            "options are\nmade of {{ my_options }} {{ options }}",
            "a.j2:2:12: E303 the variable 'my_options' is not known here (used by a test)\n"
            "    made of {{ my_options }} {{ options }}\n"
            "               ^\n    hint: allowed: question\n"
            "a.j2:2:29: E303 the variable 'options' is not known here (used by a test)\n"
            "    made of {{ my_options }} {{ options }}\n"
            "                                ^\n    hint: add options to `uses` of the strategy",
        ),
        (
            "one\n{% endif %}",
            "a.j2:2:1: E302 template syntax: Encountered unknown tag 'endif' (used by a test)\n"
            "    {% endif %}\n    ^",
        ),
        (
            "a\u2028b\n{{ question | upr }}",
            "a.j2:2:15: E307 there is no filter 'upr' (used by a test)\n"
            "    {{ question | upr }}\n                  ^\n    hint: did you mean 'upper'?",
        ),
        (
            "{% if question is strng %}{% endif %}",
            "a.j2:1:19: E307 there is no test 'strng' (used by a test)\n"
            "    {% if question is strng %}{% endif %}\n"
            "                      ^\n    hint: did you mean 'string'?",
        ),
        (
            "{{ question | indent(4) | attr('x') }}{{ asked }}",
            "a.j2:1:27: E307 there is no filter 'attr' (used by a test)\n"
            "    {{ question | indent(4) | attr('x') }}{{ asked }}\n"
            "                              ^\n" + ALLOWED + "\n"
            "a.j2:1:15: E307 there is no filter 'indent' (used by a test)\n"
            "    {{ question | indent(4) | attr('x') }}{{ asked }}\n"
            "                  ^\n    hint: did you mean 'int'?\n"
            "a.j2:1:42: E303 the variable 'asked' is not known here (used by a test)\n"
            "    {{ question | indent(4) | attr('x') }}{{ asked }}\n"
            "                                             ^\n    hint: allowed: question",
        ),
        (
            "It is\n{{ question.uper() }}",
            "a.j2:2:13: E308 question has no attribute 'uper' (used by a test)\n"
            "    {{ question.uper() }}\n                ^\n    hint: did you mean 'upper'?",
        ),
        (
            "{{ answer }}",
            "a.j2:1:4: E311 the variable 'answer' would show the answer in a prompt "
            "(used by a test)\n    {{ answer }}\n       ^\n"
            "    hint: a prompt may read: options, question",
        ),
        *(
            (
                text,
                f"a.j2:1:1: E306 a template cannot {does} (used by a test)\n    {text}\n    ^\n"
                "    hint: write its text here, so that one file is the whole prompt",
            )
            for text, does in (
                ('{% extends "b.j2" %}', "read another one"),
                ('{% include "b.j2" %}', "read another one"),
                ('{% import "b.j2" as b %}', "read another one"),
                ("{% block a %}{% endblock %}", "hold a block"),
                ("{% macro a() %}{% endmacro %}", "define a macro"),
                ("{{ 9 ** 9 }}", "raise to a power"),
                (
                    "{% for a in question recursive %}{{ loop(a) }}{% endfor %}",
                    "loop recursively",
                ),
            )
        ),
    ],
)
def test_templates_are_checked(text: str, message: str) -> None:
    assert _check(text) == message


def test_nesting_that_python_cannot_follow_is_a_problem() -> None:
    text = "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}"
    assert _check(text).startswith("a.j2: E302 template syntax: expressions nest too deeply")


def test_lines_end_where_jinja_ends_them() -> None:
    (found,) = check_source("a\r\nb\rc\n{{ oops }}", "a.j2", SCOPE)
    assert (found.line, found.column, found.source) == (4, 4, "{{ oops }}")


def test_a_constant_that_fails_is_a_problem() -> None:
    assert _check("{{ (0).upper and question }}") == (
        "a.j2: E302 template syntax: 'int object' has no attribute 'upper' (used by a test)"
    )


def test_variables_and_constant_text() -> None:
    source = "Read {{ a }} and {% for x in b %}{{ x }}{{ dict(k=1) }}{% endfor %} say so."
    assert variables(source) == {"a", "b"}
    assert constant_text(source).split() == ["Read", "and", "say", "so."]
    assert variables("{{ a") == set()
    assert constant_text("{% if %}") == ""
