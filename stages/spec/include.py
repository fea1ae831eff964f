"""``include: _family.yaml``: what the tasks of a family share is written once.

The file's mappings are merged under the spec's own, key by key; lists and plain values of the spec
replace the file's. A file whose name begins with ``_`` is no task by itself. Each part keeps the
place where it was written, so a mistake in the family's file is reported there, once.
"""

from __future__ import annotations

import os.path
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.core.errors import Problem
from stages.spec.document import KEY, Document, Path_
from stages.spec.load import load

MAX_CHAIN = 5


def load_included(path: Path, root: Path, chain: tuple[Path, ...] = ()) -> Document:
    """`load`, with what the file's `include` names merged in."""
    document = load(path, root)
    if not isinstance(document.data, dict) or "include" not in document.data:
        return document
    name = document.data.pop("include")
    problem = _refusal(document, name, path, root, chain)
    if problem:
        document.problems.append(problem)
        return document
    family = load_included(_target(path, name), root, (*chain, path))
    told = document.related(("include",), "included here")
    missing = [p for p in family.problems if p.code == "E101" and p.file == family.file]
    if missing:
        document.problems.append(
            document.problem(
                ("include",), "E210", f"there is no file {family.file!r} to include",
                "the path starts at this file's folder",
            )
        )  # fmt: skip
        return document
    document.included += [family.file, *family.included]
    document.problems += [replace(p, related=p.related + told) for p in family.problems]
    if isinstance(family.data, dict) and not document.problems:
        document.data = _merge(document, family, document.data, family.data, ())
    return document


def _target(path: Path, name: str) -> Path:
    return Path(os.path.normpath(path.parent / name))


def _refusal(
    document: Document, name: Any, path: Path, root: Path, chain: tuple[Path, ...]
) -> Problem | None:
    place = ("include",)
    if not isinstance(name, str) or not name.endswith(".yaml") or "\0" in name:
        hint = "write include: _family.yaml"
        return document.problem(place, "E210", "include takes the path of one .yaml file", hint)
    target = _target(path, name)
    specs = root / "specs"
    if not target.is_relative_to(specs) or not target.resolve().is_relative_to(specs.resolve()):
        return document.problem(
            place, "E210", f"the included file {name!r} lies outside specs/", "copy it into specs/"
        )
    if target in (*chain, path):
        return document.problem(
            place, "E210", f"including {name!r} runs in a circle", "remove one of the includes"
        )
    if len(chain) >= MAX_CHAIN:
        message = f"includes are chained more than {MAX_CHAIN} deep"
        return document.problem(place, "E210", message, "include the last file directly")
    return None


def _merge(
    document: Document, family: Document, own: dict[str, Any], shared: dict[str, Any], path: Path_
) -> dict[str, Any]:
    """`own` over `shared`; the places of what is taken are copied into `document`."""
    made = dict(own)
    for key, value in shared.items():
        inner = (*path, key)
        if key not in own:
            made[key] = value
            document.places[inner + (KEY,)] = family.place(inner, key=True)
            _adopt(document, family, value, inner)
        elif isinstance(own[key], dict) and isinstance(value, dict):
            made[key] = _merge(document, family, own[key], value, inner)
    return made


def _adopt(document: Document, family: Document, value: Any, path: Path_) -> None:
    document.places[path] = family.place(path)
    if isinstance(value, dict):
        for key, inner in value.items():
            document.places[path + (key, KEY)] = family.place((*path, key), key=True)
            _adopt(document, family, inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _adopt(document, family, inner, (*path, index))
