"""Values of foreign libraries as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from stages.core.jsonl import canonical


def plain(value: Any) -> Any:
    """The nearest JSON value; what has none becomes the name of its type in angle brackets."""
    if value is None or isinstance(value, bool):
        return value
    # Subclasses of str, int and float (numpy has some) lose their class here.
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=canonical)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    # A default repr holds a memory address, which would differ in every process.
    return f"<{type(value).__name__}>"
