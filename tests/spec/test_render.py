from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import TemplateError

from stages.spec.render import Templates, render_text


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
        (
            "{% for i in a ~ a %}{% for j in ['x' ~ a] %}{{ b }}{% endfor %}{% endfor %}",
            "'b' is undefined",
        ),
    ],
)
def test_every_failure_is_a_template_error(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render_text(source, {"a": "x"})
    assert str(caught.value).split("\n")[0] == message


def test_a_byte_order_mark_is_no_part_of_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_bytes(b"\xef\xbb\xbf{{ a }}")
    templates = Templates(tmp_path, tmp_path)
    assert templates.source("a.j2") == "{{ a }}"
    assert templates.render("a.j2", {"a": "x"}) == "x"
