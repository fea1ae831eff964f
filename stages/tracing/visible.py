"""Text of models and specs on a terminal: nothing in it moves the cursor or turns the reading."""

from __future__ import annotations

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that do something or show nothing: controls, marks of direction, surrogates,
separators of lines and paragraphs (Unicode Standard Annex 44, general category)."""


def visible(text: str, *, lines: bool = False) -> str:
    """Every such character as its number, ``<U+202E>``.

    Args:
        lines: Whether line feeds and tabs are let through.
    """
    kept = "\n\t" if lines else ""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"<U+{ord(char):04X}>"
        if unicodedata.category(char) in HIDDEN and char not in kept
        else char
        for char in text
    )
