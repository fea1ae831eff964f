"""What a generator's row says of its worked solutions."""

from __future__ import annotations

from typing import Any


def first(row: dict[str, Any]) -> dict[str, str]:
    """The first solution under each strategy."""
    return {strategy: texts[0] for strategy, texts in every(row).items()}


def every(row: dict[str, Any]) -> dict[str, list[str]]:
    """All solutions under each strategy."""
    worked = row["worked"].items()
    return {strategy: [made] if isinstance(made, str) else made for strategy, made in worked}
