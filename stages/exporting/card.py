"""README.md of an export: a YAML header as the Hub reads it, then tables.

Source of the header's keys: Hugging Face Hub documentation, "Dataset Cards" and "Model Cards".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stages.core.jsonl import atomic
from stages.exporting.facts import Facts

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def write_card(folder: Path, header: Mapping[str, Any], parts: Iterable[str]) -> None:
    """Write the header and the parts, an empty line between any two."""
    top = yaml.safe_dump(dict(header), sort_keys=False, allow_unicode=True, width=1000)
    with atomic(folder / "README.md") as file:
        file.write(f"---\n{top}---\n\n" + "\n\n".join(parts) + "\n")


def plain(text: object) -> str:
    """Text that is neither markup nor the end of a table's cell."""
    line = "".join(char if char.isprintable() else " " for char in str(text))
    for char in "\\`*_[]|#":
        line = line.replace(char, f"\\{char}")
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell if cell == "---" else plain(cell) for cell in line) + " |"
        for line in lines
    )


def pairs(values: Mapping[str, object]) -> str:
    """A table of names and values."""
    return table(("", ""), values.items())


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    return next((name for limit, name in SIZES if rows < limit), "n>1M")


def settings_table(facts: Facts, run: str) -> str:
    """How a run is trained."""
    own = next(item.train for item in facts.params.runs if item.id == run)
    return pairs({**facts.params.train, **own})
