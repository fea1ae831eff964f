"""A sweep: a point for each value of a parameter, as a whole params.yaml with its own places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import Problem, UserError, nearest, user_error
from stages.spec.document import KEY, Document, Path_
from stages.spec.load import load
from stages.spec.shape import check_shape

FOLDER = "specs/sweeps"
SEED = ("train", "seed")
RUNTIME = "runtime"


@dataclass(frozen=True)
class Point:
    """One value of the axis.

    Args:
        name: In tables and, made plain, in the names of experiments.
        x: Where it stands on the axis; None where the value is no number.
        params: What stands for params.yaml, seed aside.
    """

    name: str
    x: float | None
    params: Document

    @property
    def slug(self) -> str:
        """The name as part of a Git ref."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def seeded(self, seed: int) -> dict[str, Any]:
        """The parameters of one experiment."""
        made: dict[str, Any] = deepcopy(self.params.data)
        made["train"]["seed"] = seed
        return made


@dataclass(frozen=True)
class Sweep:
    """See ``specs/schema/sweep.schema.json``."""

    name: str
    title: str
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    axis: str
    log: bool


def load_sweep(top: Path, name: str) -> Sweep:
    """A file of ``specs/sweeps/``.

    Raises:
        UserError: E541 when there is none of that name; E1 for its shape; E542 for paths, values
            and names that do not fit together.
    """
    known = [path.stem for path in sweep_files(top)]
    if name not in known:
        raise user_error(FOLDER, "E541", f"there is no sweep {name!r}", nearest(name, known))
    document = _checked(top / FOLDER / f"{name}.yaml", top, "sweep")
    data = document.data
    paths = {tuple(path.split(".")): path for path in data["vary"]}
    problems = list(_clashes(document, [*paths]))
    if problems:
        raise UserError(problems)
    base = _base(top, document)
    values = data["vary"][paths[next(iter(paths))]]
    names = data.get("points") or [_named(value) for value in values]
    common = {("set", path): tuple(path.split(".")) for path in data.get("set", {})}
    points = []
    for place, label in enumerate(names):
        varied = {("vary", path, place): target for target, path in paths.items()}
        made = _put(base, document, common | varied)
        points.append(Point(label, _number(values[place]), made))
    axis = data.get("x", {})
    sweep = Sweep(
        name, data["title"], tuple(points), tuple(data.get("seeds", [1])),
        axis.get("label", next(iter(data["vary"]))), axis.get("scale") == "log",
    )  # fmt: skip
    problems = list(_unclear(document, sweep))
    if problems:
        raise UserError(problems)
    return sweep


def sweep_files(top: Path) -> list[Path]:
    """The sweeps that there are."""
    return sorted((top / FOLDER).glob("*.yaml"))


def _checked(path: Path, top: Path, kind: str) -> Document:
    document = load(path, top)
    schema = top / f"specs/schema/{kind}.schema.json"
    problems = document.problems or check_shape(document, schema)
    if problems:
        raise UserError(problems)
    return document


def _base(top: Path, document: Document) -> Document:
    """What the points differ from; ``runtime`` is params.yaml's in any case."""
    params = _checked(top / "params.yaml", top, "params")
    recipe = document.data.get("recipe")
    if recipe is None:
        return params
    folder = top / "specs/recipes"
    known = [path.stem for path in folder.glob("*.yaml")]
    if recipe not in known:
        message = f"there is no recipe {recipe!r}"
        raise UserError([document.problem(("recipe",), "E541", message, nearest(recipe, known))])
    base = _checked(folder / f"{recipe}.yaml", top, "params")
    base.data[RUNTIME] = params.data[RUNTIME]
    return base


def _clashes(document: Document, varied: list[Path_]) -> Iterator[Problem]:
    """What can be wrong before any value is put in place."""
    data = document.data
    lengths = {path: len(values) for path, values in data["vary"].items()}
    first, count = next(iter(lengths.items()))
    for path, length in lengths.items():
        if length != count:
            yield document.problem(
                ("vary", path), "E542", f"{path} has {length} values and {first} has {count}",
                "lists go in step: give each path a value for every point", key=True,
            )  # fmt: skip
    if len(data.get("points", values := data["vary"][first])) != count:
        yield document.problem(
            ("points",), "E542", f"there are {len(data['points'])} names for {len(values)} points",
            "name each point, or leave `points` out", key=True,
        )  # fmt: skip
    given = [("set", path) for path in data.get("set", {})] + [("vary", p) for p in data["vary"]]
    for index, (section, path) in enumerate(given):
        target = tuple(path.split("."))
        earlier = (other for _, other in given[:index] if _overlap(target, tuple(other.split("."))))
        if other := next(earlier, None):
            yield document.problem(
                (section, path), "E542", f"{path} is given twice, here and by {other}", "keep one",
                key=True,
            )  # fmt: skip
        if target in ((SEED[0],), SEED) or target[0] == RUNTIME:
            why = "is what `seeds` gives" if target[0] == "train" else "cannot change a result"
            hint = "name the keys under train" if target == ("train",) else "take it out"
            yield document.problem((section, path), "E542", f"{path} {why}", hint, key=True)


def _overlap(one: Path_, other: Path_) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _put(base: Document, document: Document, targets: Mapping[Path_, Path_]) -> Document:
    """The base with values of the sweep at `targets`; places are those of whoever gave a value."""
    data, places = deepcopy(base.data), dict(base.places)
    for source, target in targets.items():
        inner = data
        for depth, part in enumerate(target[:-1], 1):
            below = inner.setdefault(part, {})
            if below is None:
                below = inner[part] = {}
            if not isinstance(below, dict):
                message = f"{'.'.join(target[:depth])} is no mapping, so it has no {target[depth]}"
                raise UserError([document.problem(source[:2], "E542", message, key=True)])
            inner = below
        value: Any = document.data
        for part in source:
            value = value[part]
        inner[target[-1]] = deepcopy(value)
        for path in [path for path in places if path[: len(target)] == target]:
            del places[path]
        places |= {
            (*target, *path[len(source) :]): place
            for path, place in document.places.items()
            if path[: len(source)] == source
        }
        places[target + (KEY,)] = document.place(source[:2], key=True)
    return Document(base.text, data, places)


def _unclear(document: Document, sweep: Sweep) -> Iterator[Problem]:
    """Points that cannot be told apart or drawn."""
    first = next(iter(document.data["vary"]))
    place = ("points",) if "points" in document.data else ("vary", first)
    seen = dict[str, str]()
    for index, point in enumerate(sweep.points):
        if not point.slug or point.slug in seen:
            named = f"{point.name!r} makes no name" if not point.slug else (
                f"{seen[point.slug]!r} and {point.name!r} make the same name"
            )  # fmt: skip
            yield document.problem(
                (*place, index), "E542", f"{named} of an experiment",
                "give each point a name of its own with `points`",
            )  # fmt: skip
        seen[point.slug] = point.name
        if sweep.log and (point.x is None or point.x <= 0):
            yield document.problem(
                ("vary", first, index), "E542", "a log scale needs numbers above 0",
                "take x.scale out",
            )  # fmt: skip


def _named(value: Any) -> str:
    return str(value).rpartition("/")[2] if isinstance(value, str) else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
