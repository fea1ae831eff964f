"""Templates of promptsource (Bach et al. 2022, arXiv 2202.01279) as drafts of Tutelage specs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stages.importing.draft import NO_REVISION, Draft, NotCarriedError, identifier, splits, unused
from stages.importing.rewrite import to_row

SEPARATOR = "|||"


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else {}


_Loader.add_multi_constructor("!", _mapping)


def convert(path: Path, revision: str | None) -> Iterator[Draft | tuple[str, str]]:
    """Each template of a ``templates.yaml``: a draft, or its name and why it was not carried.

    Raises:
        NotCarriedError: When the file is no such file.
    """
    try:
        held = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise NotCarriedError(f"it cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(held, dict) or not isinstance(held.get("templates"), dict):
        raise NotCarriedError("it holds no templates")
    taken: set[str] = set()
    for template in held["templates"].values():
        name = str(template.get("name") or template.get("id"))
        try:
            draft = _one(held, template, name, path, revision)
        except NotCarriedError as error:
            yield name, str(error)
            continue
        draft.id = unused(draft.id, taken)
        taken.add(draft.id)
        yield draft


def _one(
    held: dict[str, Any], template: dict[str, Any], name: str, path: Path, revision: str | None
) -> Draft:
    text = str(template.get("jinja") or "")
    if text.count(SEPARATOR) != 1:
        raise NotCarriedError(f"its text has no single {SEPARATOR} between question and answer")
    choices = template.get("answer_choices")
    known = ""
    if choices:
        items = choices if isinstance(choices, list) else str(choices).split(SEPARATOR)
        known = "{% set answer_choices = [" + ", ".join(map(_literal, items)) + "] %}"
    question, gold = (to_row(known + part.strip()) for part in text.split(SEPARATOR))
    notes = []
    metadata = template.get("metadata") or {}
    metrics = [m for m in metadata.get("metrics") or () if m not in ("Accuracy", "Other")]
    if metrics:
        notes.append("the metrics " + ", ".join(map(str, metrics)))
    if not revision:
        notes.append("the commit of the data set, which the file does not name: write it")
    if metadata.get("original_task") is False:
        notes.append("that this is not the data set's own task")
    notes.append("the splits: train, validation and test are assumed")
    source = {"hub": str(held.get("dataset") or path.parent.name)}
    if held.get("subset"):
        source["config"] = str(held["subset"])
    source["revision"] = revision or NO_REVISION
    made, _ = splits("train", "validation", "test")
    title = f"{source['hub']}: {name}"
    return Draft(
        identifier(f"{source['hub'].rpartition('/')[2]}_{name}"), title, path.as_posix(), source,
        made, {"question": {"render": question}, "gold": {"render": gold}}, "string", notes,
        family=f"{source['hub']}_{source.get('config', '')}",
    )  # fmt: skip


def _literal(choice: Any) -> str:
    """A choice as a Jinja expression; it may be a template itself."""
    text = str(choice).strip()
    inner = re.fullmatch(r"\{\{(.*)\}\}", text, re.DOTALL)
    if inner and "{{" not in inner[1]:
        return f"({inner[1].strip()})"
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
