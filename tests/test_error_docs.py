"""docs/errors.md explains every code that the code raises, and no other."""

from __future__ import annotations

import re

from tests.projects import REPOSITORY

SECTIONS = dict(
    re.findall(
        r"^## (E\d{3})\n(.*?)(?=^## |\Z)",
        (REPOSITORY / "docs/errors.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


def test_every_code_has_a_paragraph_and_every_paragraph_a_code() -> None:
    raised = {
        code
        for path in (REPOSITORY / "stages").rglob("*.py")
        for code in re.findall(r"\bE\d{3}\b", path.read_text(encoding="utf-8"))
    }
    assert sorted(SECTIONS) == sorted(raised)
    assert list(SECTIONS) == sorted(SECTIONS)


def test_every_paragraph_shows_a_message_and_says_what_to_do() -> None:
    for code, text in SECTIONS.items():
        means, example, do = re.fullmatch(
            r"\n(.+?)\n\n```text\n(.+?)\n```\n\n(.+?)\n\n?", text, re.DOTALL
        ).groups()  # type: ignore[union-attr]
        assert f": {code} " in example.split("\n")[0], code
        assert means.endswith("."), code
        assert do.endswith("."), code
