from __future__ import annotations

import pytest
from jinja2 import TemplateError

from stages.spec.render import line_of, render_text

VALUES = {"q": "word " * 200, "row": {"items": "field", "list": ["b", "a"]}}
BIG = "{% set a = q ~ q ~ q ~ q ~ q ~ q ~ q ~ q %}"
DOUBLED = BIG + "".join("{% set a = a ~ a ~ a ~ a %}" for _ in range(9))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ row.list | sort | join(', ') }}", "a, b"),
        ("{{ ', '.join(row.list) }}", "b, a"),
        ("{{ 'a-b'.replace('-', ' ') | replace('a', 'c') }}", "c b"),
        ("{{ 'aaa' | replace('a', 'b', 2) }}", "bba"),
        ("{{ 2 * 3 + 1 }} {{ 7 % 4 }} {{ 'a' ~ 1 }} {{ 'a' + 'b' }}", "7 3 a1 ab"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{{ loop.last }}{% endfor %}", "a1True"),
        ("{% set n = namespace(x=0) %}{% for i in [1, 2] %}{% set n.x = n.x + i %}{% endfor %}"
         "{{ n.x }}", "3"),
        ("{{ ['b', 'a'] | map('upper') | list }}", "['B', 'A']"),
        ("{{ [{'k': 1}] | map(attribute='k') | join }}", "1"),
    ],
)  # fmt: skip
def test_what_a_prompt_needs_works(source: str, text: str) -> None:
    assert render_text(source, VALUES) == text


def test_a_text_that_is_given_may_have_any_length() -> None:
    text = "a" * 1_900_000
    assert render_text("{{ text }} {{ more }}", {"text": text, "more": "b"}) == text + " b"
    with pytest.raises(TemplateError) as caught:
        render_text("{{ text }}{{ text }}", {"text": text})
    assert str(caught.value) == "it makes a text of 3800000 characters, more than 1000000"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (DOUBLED, "it makes a text of 2048000 characters, more than 1000000"),
        ("{% for a in q %}{% for b in q %}{{ q }}{% endfor %}{% endfor %}",
         "its loops take more than 100000 steps"),
        ("{% for a in q | map('upper') %}{% for b in q %}{% endfor %}{% endfor %}",
         "its loops take more than 100000 steps"),
        ("{% for a in q %}{% for b in 'xxx' %}{{ q }}{% endfor %}{% endfor %}",
         "it makes a text of 3000000 characters, more than 1000000"),
        ("{% set a = q.replace('', q) %}{{ a.replace('', q) }}",
         "it makes a text of 1002000 characters, more than 1000000"),
        ("{% set a = q | replace('o', q) %}{% set a = a | replace('o', a) %}",
         "it makes a text of 8032160800 characters, more than 1000000"),
        ("{% set a = (q * 1).join(q) %}", "the operator * takes numbers here"),
        ("{% set a = q.join(q) %}{{ q.join(a) }}",
         "it makes a text of 1000999000 characters, more than 1000000"),
        ("{% set a = q.split(' ') %}{% set a = a + a + a %}{{ a | join(q) | join(q) }}",
         "it makes a text of"),
        ("{% for a in q %}{% for b in q[:90] %}{{ (q | list | sort)[0] }}{% endfor %}{% endfor %}",
         "it goes through more than 5000000 characters and items"),
        ("{% for a in q %}{% for b in q[:90] %}{{ q.upper()[0] }}{% endfor %}{% endfor %}",
         "it goes through more than 5000000 characters and items"),
        ("{{ 9 ** 9999999 }}", "powers are not allowed here"),
        ("{{ 'x' * 1000000000 }}", "the operator * takes numbers here"),
        ("{{ '%0999999999d' % 1 }}", "the operator % takes numbers here"),
        ("{% set a = 2 %}" + "{% set a = a * a %}" * 40, "a product has more than 256 bits"),
        ("{{ q.format(q) }}", "access to attribute 'format' of 'str' object is unsafe."),
        ("{{ q.center(999999999) }}", "access to attribute 'center' of 'str' object is unsafe."),
        ("{{ q | center(99) }}", "No filter named 'center'."),
        ("{{ q.__class__ }}", "access to attribute '__class__' of 'str' object is unsafe."),
        ("{{ row.list.append(1) }}", "access to attribute 'append' of 'list' object is unsafe."),
        ("{{ row.pop('list') }}", "access to attribute 'pop' of 'dict' object is unsafe."),
        ("{{ namespace.__init__ }}", "access to attribute '__init__' of 'type' object is unsafe."),
        ("{{ range(9) }}", "'range' is undefined"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
        ("{{ cycler }}", "'cycler' is undefined"),
        ("{{ [3, 4] | random }}", "No filter named 'random'."),
        ("{{ q | attr('upper') }}", "No filter named 'attr'."),
        ("{{ q | pprint }}", "No filter named 'pprint'."),
    ],
)  # fmt: skip
def test_what_strangers_may_not_do(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render_text(source, VALUES)
    assert str(caught.value).split("\n")[0].startswith(message)


def test_loop_steps_are_counted_for_each_rendering() -> None:
    source = "{% for a in q %}{% for b in 'x' * 0 or 'abc' %}{% endfor %}{% endfor %}"
    source = source.replace("'x' * 0 or ", "")
    for _ in range(100):
        assert render_text(source, VALUES) == ""


def test_a_field_hides_behind_no_method() -> None:
    assert render_text("{{ row['items'] }}", VALUES) == "field"


def test_the_line_of_a_failure_is_known() -> None:
    with pytest.raises(TemplateError) as caught:
        render_text("one\ntwo\n{{ 1 / 0 }}\n", {})
    assert line_of(caught.value) == 3
