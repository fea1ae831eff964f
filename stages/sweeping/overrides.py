"""What turns one params.yaml into another, in the words of ``dvc exp run --set-param``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

WORD = r"(?!(?:null|true|false|nan|inf)$)"  # Hydra reads these as what they name
BARE = re.compile(WORD + "[A-Za-z_][A-Za-z0-9_./-]*", re.IGNORECASE)


def overrides(then: Mapping[str, Any], now: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Overrides in an order that applies: ``~path`` takes out, ``+path=`` adds, ``path=`` changes.

    A mapping is changed key by key, for DVC merges a mapping into what stands there. Where a list
    or a mapping takes the place of something else, it is taken out first.

    Source: Hydra, "Basic Override syntax", which DVC follows.
    """
    for key, before in then.items():
        if key not in now:
            if before is None:
                yield f"{above}{key}=0"  # Hydra does not find what is null
            yield f"~{above}{key}"
    for key, value in now.items():
        path = f"{above}{key}"
        if key not in then:
            yield from _added(path, value)
            continue
        before = then[key]
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            yield from overrides(before, value, f"{path}.")
        elif not _same(before, value):
            if before is not None and _kind(before) is not _kind(value):
                yield f"~{path}"
                yield from _added(path, value)
            else:
                yield f"{path}={shown(value)}"


def _added(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and not all(re.match(WORD, key, re.I) for key in value):
        # a key cannot be quoted, but on a path it stays text
        yield f"+{path}={{}}"
        yield from overrides({}, value, f"{path}.")
    else:
        yield f"+{path}={shown(value)}"


def shown(value: Any) -> str:
    """A value in Hydra's grammar; text is quoted where it could be read as something else."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{shown(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(shown, value)) + "]"
    if isinstance(value, str) and not BARE.fullmatch(value):
        # in quotes, a backslash counts only before a quote and at the end
        text = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + (m[2] and "\\" + m[2]), value)
        return f'"{text}"'
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, float) and "e" in text and "." not in text:
        # DVC would write 5e-05, which YAML 1.1 reads as text; its neighbour has a point
        return json.dumps(math.nextafter(value, math.inf))
    return text


def _kind(value: Any) -> type | None:
    return type(value) if isinstance(value, (list, dict)) else None


def _same(one: Any, other: Any) -> bool:
    """Equality that tells 1 from 1.0 and from true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
