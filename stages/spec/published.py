"""Published accuracies under ``specs/published/``, to be shown beside our own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import Problem, UserError, nearest
from stages.spec.document import Document
from stages.spec.load import load
from stages.spec.shape import check_shape

FOLDER = "specs/published"


@dataclass(frozen=True)
class Figures:
    """One line of a published table.

    Args:
        method: How the model was trained or prompted.
        who: The model and its size; empty for guessing.
        accuracy: In percent, by task.
        source: Where these were read.
        mean: As published, in percent.
        reference: Whether our runs are held against it.
        note: What sets the line apart.
    """

    method: str
    who: str
    accuracy: Mapping[str, float]
    source: str
    mean: float | None = None
    reference: bool = False
    note: str = ""


@dataclass(frozen=True)
class Published:
    """What a paper reports; see ``specs/schema/published.schema.json``."""

    id: str
    title: str
    source: str
    beside: tuple[str, ...]
    notes: tuple[str, ...]
    tasks: Mapping[str, Mapping[str, Any]]
    rows: tuple[Figures, ...]

    @staticmethod
    def of(data: Mapping[str, Any]) -> Published:
        """From checked YAML data."""
        return Published(
            id=data["id"],
            title=data["title"],
            source=data["source"],
            beside=tuple(data["beside"]),
            notes=tuple(data.get("notes", ())),
            tasks=data["tasks"],
            rows=tuple(
                Figures(
                    row["method"],
                    _who(row.get("model", ""), row.get("size", "")),
                    row.get("accuracy", {}),
                    row.get("source", data["source"]),
                    row.get("mean"),
                    row.get("reference", False),
                    row.get("note", ""),
                )
                for row in data["rows"]
            ),
        )

    def holds(self, suite: str) -> bool:
        """Whether these figures may stand beside tasks of a suite."""
        return suite.startswith(self.beside)


def _who(model: str, size: str) -> str:
    return model if model.endswith(size) else f"{model} {size}"


def load_published(root: Path) -> list[Published]:
    """All files, by name.

    Raises:
        UserError: With every problem of shape, and E201 and E202 for names that do not fit.
    """
    made, problems = list[Published](), list[Problem]()
    for path in sorted((root / FOLDER).glob("*.yaml")):
        document = load(path, root)
        found = list(document.problems)
        found = found or check_shape(document, root / "specs/schema/published.schema.json")
        found = found or list(_names(document, path))
        problems += found
        if not found:
            made.append(Published.of(document.data))
    if problems:
        raise UserError(problems)
    return made


def _names(document: Document, path: Path) -> Iterator[Problem]:
    data = document.data
    if data["id"] != path.stem:
        yield document.problem(
            ("id",), "E201", f"the id is {data['id']!r} but the file is called {path.name}",
            f"write id: {path.stem}, or rename the file",
        )  # fmt: skip
    for index, row in enumerate(data["rows"]):
        for task in row.get("accuracy", ()):
            if task not in data["tasks"]:
                yield document.problem(
                    ("rows", index, "accuracy", task), "E202", f"there is no task {task!r}",
                    nearest(task, data["tasks"]), key=True,
                )  # fmt: skip
