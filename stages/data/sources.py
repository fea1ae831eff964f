"""From a task's `data.source` to a function that gives its rows."""

from __future__ import annotations

import inspect
import os.path
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from stages.core.errors import nearest, user_error
from stages.data import coin_flip, file, hub, last_letter, reasoning_gym, shuffled_objects
from stages.data.splits import GENERATED
from stages.data.spool import Picked

Rows = Sequence[dict[str, Any]]
Load = Callable[[str, int], Rows]

PLACE = "data.source"

GENERATORS: dict[str, Callable[..., Rows]] = {
    "coin_flip": coin_flip.generate,
    "last_letter": last_letter.generate,
    "shuffled_objects": shuffled_objects.generate,
}


def load_source(source: Mapping[str, Any], root: Path) -> Load:
    """The `load` of `take_splits`. The source is checked now and read when `load` is called.

    Args:
        source: One of ``{hub, config?, revision}``, ``{file, sha256}``,
            ``{reasoning_gym, seed, config?}``, ``{generator, seed}`` and the generator's options.
        root: The repository root, where paths of files start.
    """
    kinds = {
        "hub": _hub,
        "file": _file,
        "reasoning_gym": _reasoning_gym,
        "generator": _generator,
    }
    named = [kind for kind in kinds if kind in source]
    if len(named) != 1:
        told = "no kind" if not named else " and ".join(map(repr, named))
        raise user_error(
            PLACE, "E404", f"the source names {told}", "name one of: " + ", ".join(kinds)
        )
    return kinds[named[0]](source, root)


def _hub(source: Mapping[str, Any], root: Path) -> Load:
    _check_keys(source, {"hub": str, "revision": str}, {"config": str})

    def load(split: str, count: int) -> Rows:
        return hub.load(source["hub"], source.get("config"), source["revision"], split)

    return load


def _file(source: Mapping[str, Any], root: Path) -> Load:
    _check_keys(source, {"file": str, "sha256": str}, {})
    name = source["file"]
    # By its text: a data file may be a link into a cache that lies outside the repository.
    inside = Path(os.path.normpath(name))
    if inside.is_absolute() or ".." in inside.parts:
        raise user_error(
            PLACE,
            "E401",
            f"the file {name!r} lies outside the repository",
            "copy it into the repository and give its path from the root",
        )

    def load(split: str, count: int) -> Rows:
        rows = file.load(root / inside, source["sha256"], name)
        if split == GENERATED:
            return rows
        known = sorted({str(row["split"]) for row in rows if "split" in row})
        if split not in known:
            raise user_error(
                name,
                "E408",
                f"no row has the split {split!r}",
                nearest(split, known) or "leave `from` out: the rows have no field `split`",
            )
        return Picked(
            rows, array("Q", (at for at, row in enumerate(rows) if str(row.get("split")) == split))
        )

    return load


def _reasoning_gym(source: Mapping[str, Any], root: Path) -> Load:
    _check_keys(source, {"reasoning_gym": str, "seed": int}, {"config": Mapping})

    def make(count: int) -> Rows:
        return reasoning_gym.generate(
            source["seed"], count, family=source["reasoning_gym"], config=source.get("config")
        )

    return _one_stream(make)


def _generator(source: Mapping[str, Any], root: Path) -> Load:
    name = source["generator"]
    if name not in GENERATORS:
        raise user_error(
            PLACE, "E404", f"unknown generator {name!r}", nearest(str(name), GENERATORS)
        )
    generate = GENERATORS[name]
    hints = get_type_hints(generate)
    options = [
        parameter.name
        for parameter in inspect.signature(generate).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    _check_keys(
        source, {"generator": str, "seed": int}, {option: hints[option] for option in options}
    )
    chosen = {option: source[option] for option in options if option in source}
    # Makes nothing, but lets the generator refuse a value before any stage runs.
    generate(source["seed"], 0, **chosen)
    return _one_stream(lambda count: generate(source["seed"], count, **chosen))


def _one_stream(make: Callable[[int], Rows]) -> Load:
    def load(split: str, count: int) -> Rows:
        # Any other name would silently give the same rows, to train and to test alike.
        if split != GENERATED:
            raise user_error(
                PLACE,
                "E408",
                f"generated rows have no split {split!r}",
                "leave `from` out and part the splits with `take` and `after`",
            )
        return make(count)

    return load


def _check_keys(
    source: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]
) -> None:
    kind = next(iter(required))
    what = f"{kind} {source[kind]!r}"
    allowed = {**required, **optional}
    unknown = sorted(set(source) - set(allowed))
    missing = sorted(set(required) - set(source))
    wrong = sorted(key for key in allowed if key in source and not _is_a(source[key], allowed[key]))
    if unknown:
        message = f"{what} has no {_option(unknown)}"
        hint = nearest(unknown[0], allowed)
    elif missing:
        message, hint = f"{what} lacks {_option(missing)}", "required: " + ", ".join(required)
    elif wrong:
        message = f"{what} has the wrong kind of value in {_option(wrong)}"
        hint = ", ".join(f"{key}: {KINDS.get(allowed[key], 'value')}" for key in wrong)
    else:
        return
    raise user_error(PLACE, "E404", message, hint)


KINDS: dict[type, str] = {str: "text", int: "whole number", Mapping: "mapping"}


def _is_a(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _option(keys: Iterable[str]) -> str:
    shown = ", ".join(repr(key) for key in keys)
    return f"option {shown}" if "," not in shown else f"options {shown}"
