"""Given names for generated questions.

``names.txt`` holds the 1000 most common given names of the 1990 United States Census, which is in
the public domain.
"""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def names() -> tuple[str, ...]:
    """All names, most common first, without repeats."""
    text = resources.files("stages.data").joinpath("names.txt").read_text(encoding="utf-8")
    return tuple(text.split())
