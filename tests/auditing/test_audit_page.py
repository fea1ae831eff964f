"""Text that models wrote stays text in an audit, as a Markdown parser reads it."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stages.auditing.page import IN_CELL, LONGEST, fenced, inline
from stages.reporting.visible import visible

MARKDOWN = MarkdownIt("commonmark").enable("table")
hostile = st.text(
    st.one_of(
        st.sampled_from("`~|\\<>[]()#*_-!\n\r\t &;\"'\x1b\u202e\u2028\ud800"), st.characters()
    )
)


@given(hostile)
def test_a_fence_holds_the_whole_text(text: str) -> None:
    tokens = MARKDOWN.parse(f"before\n\n{fenced(text)}\nafter\n")
    kinds = [token.type for token in tokens]
    around = ["paragraph_open", "inline", "paragraph_close"]
    assert kinds == [*around, "fence", *around]
    assert tokens[3].content == f"{visible(text)}\n"
    assert (tokens[3].info, tokens[5].content) == ("text", "after")


@given(hostile, hostile)
def test_a_cell_holds_the_whole_text(one: str, other: str) -> None:
    tokens = MARKDOWN.parse(f"| a | b |\n|---|---|\n| {inline(one)} | {inline(other)} |\n")
    cells = [token for before, token in pairwise(tokens) if before.type == "td_open"]
    assert len(cells) == 2
    for cell in cells:
        assert [child.type for child in cell.children or ()] in (["code_inline"], ["text"])
        if cell.children and cell.children[0].type == "text":
            assert cell.content == "-"


@given(hostile)
def test_what_cannot_be_seen_is_shown_by_its_code(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert {unicodedata.category(char) for char in shown} <= {
        "Cc", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No", "Pc", "Pd", "Pe",
        "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zs",
    }  # fmt: skip
    assert {char for char in shown if unicodedata.category(char) == "Cc"} <= {"\n", "\t"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3/4.", "`3/4.`"),
        ("", "-"),
        (" \n ", "-"),
        ("a|b", "`a\\|b`"),
        ("`", "`` ` ``"),
        ("``x", "``` ``x ```"),
        ("one\n\n two", "`one ↵ two`"),
        ("\x1b[31mred", "`\\u{1b}[31mred`"),
        ("\u202eabc", "`\\u{202e}abc`"),
        ("<b>&amp;", "`<b>&amp;`"),
        ("x" * 200, f"`{'x' * (IN_CELL - 1)}…`"),
    ],
)
def test_inline(text: str, shown: str) -> None:
    assert inline(text) == shown


def test_a_long_text_is_cut() -> None:
    assert fenced("y" * (LONGEST + 1234)) == (
        f"```text\n{'y' * LONGEST}\n… 1,234 characters more\n```\n"
    )
    assert fenced("a ````` b") == "``````text\na ````` b\n``````\n"
