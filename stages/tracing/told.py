"""A chain as text: a heading for each link, its facts beneath it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.tracing.held import Commit, Row
from stages.tracing.visible import visible

MOST = 3
"""Entries of a list that are shown; JSON has them all."""
WIDTH = 300
"""Characters of a text that are shown."""


def told(link: Row) -> Iterator[str]:
    """The lines of one link."""
    name = link.get("run") or link.get("id") or ""
    yield f"{link['link']} {visible(str(name))}".rstrip()
    for key, value in link.items():
        if key not in ("link", "run", "id"):
            yield from _lines(key.replace("_", " "), value, "  ")


def _lines(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Commit):
        edited = ", edited since" if value.dirty else ""
        yield f"{indent}{name}: {value.commit} {value.day} {visible(value.subject)}{edited}"
    elif isinstance(value, Mapping):
        flat = all(not isinstance(part, Mapping | Sequence) or isinstance(part, str)
                   for part in value.values())  # fmt: skip
        if flat:
            yield f"{indent}{name}: " + (_pairs(value) or "none")
        else:
            yield f"{indent}{name}"
            for key, part in value.items():
                yield from _lines(key, part, indent + "  ")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _list(name, value, indent)
    elif value is None or value == "":
        yield f"{indent}{name}: none"
    else:
        yield f"{indent}{name}: {_short(value)}"


def _list(name: str, value: Sequence[Any], indent: str) -> Iterator[str]:
    if all(isinstance(part, str) for part in value) and len(value) <= MOST:
        yield f"{indent}{name}: " + (", ".join(map(_short, value)) or "none")
        return
    yield f"{indent}{name}: {len(value)}"
    for part in value[:MOST]:
        if isinstance(part, Mapping):
            yield from _entry(part, indent + "  ")
        else:
            yield f"{indent}  {_short(part)}"
    if len(value) > MOST:
        yield f"{indent}  and {len(value) - MOST} more, in --format json"


def _entry(part: Mapping[str, Any], indent: str) -> Iterator[str]:
    """One part of a list on a line, with what does not fit there beneath it."""
    plain = {key: each for key, each in part.items()
             if isinstance(each, str | int | float | type(None))}  # fmt: skip
    yield f"{indent}{_pairs(plain)}"
    for key, each in part.items():
        if key not in plain:
            yield from _lines(key, each, indent + "  ")


def _pairs(value: Mapping[str, Any]) -> str:
    kept = {key: each for key, each in value.items() if each is not None and each != ""}
    return ", ".join(f"{key} {_short(each)}" for key, each in kept.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = visible(str(value))
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
