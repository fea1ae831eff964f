"""Text of models and data sets as it may be shown: what cannot be seen is told by its code."""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, formats such as bidi marks, surrogates, private and unassigned ones, separators."""


def visible(text: str) -> str:
    """Line feeds and tabs kept; all else that cannot be seen, or turns text round, as its code."""
    return "".join(
        char if char in "\n\t" or _plain(char) else f"\\u{{{ord(char):x}}}" for char in text
    )


def _plain(char: str) -> bool:
    return char == " " or unicodedata.category(char) not in HIDDEN
