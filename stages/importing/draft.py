"""A task spec in the making: what was carried over from another tool, and what was not."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stages.core.jsonl import atomic
from stages.spec.model import Strategy

SCHEMA = "# yaml-language-server: $schema={}schema/task.schema.json\n"
NO_REVISION = "0" * 40
EXTRACT: Mapping[str, list[dict[str, Any]]] = {
    "number": [{"after": "The answer is"}, {"last": "number"}],
    "choice": [{"after": "The answer is"}, {"last": "choice"}],
    "yes_no": [{"after": "The answer is"}, {"last": "yes_no"}],
    "exact": [{"after": "The answer is"}],
    "string": [{"after": "The answer is"}],
}
EXAMPLES: Mapping[str, tuple[str, str]] = {
    "number": ("3 and 4 make 7. The answer is 7.", "7"),
    "choice": ("It must be the first. The answer is (A).", "A"),
    "yes_no": ("It does. The answer is yes.", "yes"),
    "exact": ("It follows. The answer is so.", "so"),
    "string": ("It follows. The answer is so.", "so"),
}


class NotCarriedError(Exception):
    """The file cannot become a task; the message says why."""


@dataclass
class Draft:
    """One task.

    Args:
        origin: The file it was made from.
        notes: What of that file the spec does not say.
        family: The file that `origin` includes, when tasks of one family were written that way.
        strategies: Ids of its strategies; None takes all that suit its answers.
        repeats: Whether rows repeat questions, which then stay in one split.
    """

    id: str
    title: str
    origin: str
    source: dict[str, Any]
    splits: dict[str, Any]
    row: dict[str, Any]
    answer_type: str
    notes: list[str] = field(default_factory=list)
    family: str = ""
    strategies: list[str] | None = None
    repeats: bool = False

    def spec(self, strategies: Sequence[Strategy]) -> dict[str, Any]:
        """The spec as data, with those of the project's strategies that suit its answers."""
        completion, answer = EXAMPLES[self.answer_type]
        return {
            "spec": 1,
            "id": self.id,
            "title": self.title[:200],
            "data": {"source": self.source, "splits": self.splits}
            | ({"duplicates": "drop"} if self.repeats else {}),
            "row": self.row,
            "answer": {"type": self.answer_type, "extract": EXTRACT[self.answer_type]},
            "strategies": self.strategies
            or [
                s.id
                for s in strategies
                if self.answer_type in s.answer_types and "exemplars" not in s.uses
            ],
            "examples": [
                {"completion": completion, "answer": answer},
                {"completion": "I do not know.", "answer": None},
            ],
        }


def identifier(name: str) -> str:
    """A task id from any name: small letters, digits and _."""
    word = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    if not word or not word[0].isalpha():
        word = f"t_{word}"
    word = word[:41].rstrip("_")
    return word if len(word) > 1 else f"{word}_task"


def unused(name: str, taken: Container[str]) -> str:
    """The id, with a number behind it when it is taken: long names may be cut to the same one."""
    made, number = name, 2
    while made in taken:
        made, number = f"{name[:38]}_{number}", number + 1
    return made


def splits(train: str | None, valid: str | None, test: str | None) -> tuple[dict[str, Any], str]:
    """The four splits from those that the data set has, and a note where they were made up."""
    held = test or valid or train
    if held is None:
        raise NotCarriedError("it names no split")
    pool = train or held
    note = ""
    made: dict[str, Any] = {}
    behind: dict[str, Any] = {}
    if pool == held:
        note = f"the only split is {pool!r}: test is its first 100 rows, train what is left"
        made["test"] = {"from": pool, "take": 100, "seed": 1}
        behind = {"after": "test"}
    else:
        made["test"] = {"from": held}
    made["probe"] = {"from": pool, "take": 32, "seed": 1, **behind}
    if valid and valid not in (held, pool):
        made["valid"] = {"from": valid, "take": 64, "seed": 1}
        made["train"] = {"from": pool, "seed": 1, "after": "probe"}
    else:
        made["valid"] = {"from": pool, "take": 64, "seed": 1, "after": "probe"}
        made["train"] = {"from": pool, "seed": 1, "after": "valid"}
    return made, note


def write_all(drafts: Iterable[Draft], folder: Path, strategies: Sequence[Strategy]) -> list[Path]:
    """Write the specs; what a family shares goes into a ``_family.yaml`` that they include."""
    groups: dict[str, list[Draft]] = {}
    for draft in drafts:
        groups.setdefault(draft.family, []).append(draft)
    written: list[Path] = []
    for family, members in groups.items():
        specs = [member.spec(strategies) for member in members]
        shared: dict[str, Any] = {}
        if family and len(members) > 1:
            shared = specs[0]
            for spec in specs[1:]:
                shared = _common(shared, spec)
        name = f"_{identifier(family)}.yaml"
        if shared:
            _write(folder / name, shared, [f"what tasks share that include {family}"])
            written.append(folder / name)
        for member, spec in zip(members, specs, strict=True):
            own = {"include": name, **_without(spec, shared)} if shared else spec
            told = [f"from {member.origin}", *(f"not carried over: {n}" for n in member.notes)]
            _write(folder / f"{member.id}.yaml", own, told)
            written.append(folder / f"{member.id}.yaml")
    return written


def _common(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in one.items():
        if key in two and isinstance(value, dict) and isinstance(two[key], dict):
            inner = _common(value, two[key])
            if inner:
                made[key] = inner
        elif key in two and value == two[key]:
            made[key] = value
    return made


def _without(spec: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in spec.items():
        if isinstance(value, dict) and isinstance(shared.get(key), dict):
            inner = _without(value, shared[key])
            if inner:
                made[key] = inner
        elif key not in shared:
            made[key] = value
    return made


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and not re.search(r"[ \t]\n|^\s|\s$", value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _write(path: Path, data: dict[str, Any], comments: list[str]) -> None:
    up = "../" * (len(path.parent.parts) - path.parent.parts.index("specs") - 1)
    told = "".join(f"# {' '.join(line.split())}\n" for line in comments)
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    with atomic(path) as file:
        file.write(SCHEMA.format(up) + told + text)
