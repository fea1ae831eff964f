from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import TemplateError

from stages.spec.render import Templates, render_text, unknown_variables


def test_text_is_rendered_as_it_stands() -> None:
    assert render_text("{{ a }} & <{{ b.c }}>\n", {"a": "x", "b": {"c": 1}}) == "x & <1>"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ b }}", "'b' is undefined"),
        ("{{ a.b }}", "'str object' has no attribute 'b'"),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{{ a + 1 }}", 'TypeError: can only concatenate str (not "int") to str'),
        ("{{ a.__class__ }}", "access to attribute '__class__' of 'str' object is unsafe."),
        ("{{ range(3) }}", "'range' is undefined"),
        ("{{ [1, 2] | random }}", "No filter named 'random'."),
        ("{{ 'x' * 2000001 }}", "renders 2000001 characters, more than 2000000"),
    ],
)
def test_every_failure_is_a_template_error(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render_text(source, {"a": "x"})
    assert str(caught.value).split("\n")[0] == message


def test_unknown_variables() -> None:
    source = "{% for o in row.options %}{{ o }}{{ other }}{% endfor %}{{ dict(a=1) }}"
    assert unknown_variables(source, frozenset({"row"})) == {"other"}


def _check(folder: Path, text: str) -> str:
    (folder / "a.j2").write_text(text, encoding="utf-8")
    templates = Templates(folder, folder)
    found = templates.check("a.j2", frozenset({"question"}), frozenset({"options"}), "a test")
    return "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ question }}\n", ""),
        ("", ""),
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
            "a.j2:2:1: E302 template syntax: Encountered unknown tag 'endif'\n"
            "    {% endif %}\n    ^",
        ),
        (
            "a\u2028b\n{{ question | upr }}",
            "a.j2:2:1: E302 template syntax: No filter named 'upr'\n"
            "    {{ question | upr }}\n    ^",
        ),
        (
            '{% extends "b.j2" %}',
            "a.j2:1:1: E306 a template cannot read another one\n"
            '    {% extends "b.j2" %}\n    ^\n'
            "    hint: write its text here, so that one file is the whole prompt",
        ),
    ],
)
def test_templates_are_checked(tmp_path: Path, text: str, message: str) -> None:
    assert _check(tmp_path, text) == message


def test_a_byte_order_mark_is_no_part_of_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_bytes(b"\xef\xbb\xbf{{ a }}")
    templates = Templates(tmp_path, tmp_path)
    assert templates.source("a.j2") == "{{ a }}"
    assert templates.render("a.j2", {"a": "x"}) == "x"
