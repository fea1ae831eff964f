"""Texts for files that hold UTF-8 and nothing else."""

from __future__ import annotations

from typing import Any

from stages.core.jsonl import encodable


def storable(value: Any) -> tuple[Any, int]:
    """`value` with each lone surrogate as the six characters of its JSON escape; how many texts."""
    if isinstance(value, str):
        made = encodable(value)
        return made, int(made != value)
    if isinstance(value, dict):
        parts = {key: storable(part) for key, part in value.items()}
        return {key: part for key, (part, _) in parts.items()}, sum(n for _, n in parts.values())
    if isinstance(value, list):
        items = [storable(part) for part in value]
        return [part for part, _ in items], sum(n for _, n in items)
    return value, 0
