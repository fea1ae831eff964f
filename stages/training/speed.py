"""How fast training went here, kept for estimates beside the outputs, which no clock may alter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.core.jsonl import digest, read_json, write_json


def keep(top: Path, student: Mapping[str, Any], tokens: int, seconds: float) -> None:
    """Remember that so many tokens were trained on in so many seconds, the last time counts."""
    if tokens and seconds > 0:
        write_json(_file(top, student), {"tokens": tokens, "seconds": round(seconds, 1)})


def measured(top: Path, student: Mapping[str, Any]) -> float | None:
    """Tokens a second when this student was last trained on this machine; None if it was not."""
    file = _file(top, student)
    if not file.is_file():
        return None
    try:
        held = read_json(file)
        return float(held["tokens"] / held["seconds"])
    except (ValueError, TypeError, KeyError, ZeroDivisionError):
        return None  # it is only an estimate


def _file(top: Path, student: Mapping[str, Any]) -> Path:
    # experiments run in folders of their own and share what is beside the main one
    root = Path(os.environ.get("DVC_ROOT") or top)
    return root / ".cache" / "training" / f"{digest(dict(student))[:16]}.json"
