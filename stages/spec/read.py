"""Spec files read into a project, with every problem of shape and of links."""

from __future__ import annotations

from pathlib import Path

from stages.core.errors import Problem, UserError
from stages.spec.cache import Cache
from stages.spec.decoding import check_decoding
from stages.spec.document import Document, Text
from stages.spec.include import load_included
from stages.spec.links import project_links, task_links
from stages.spec.load import load
from stages.spec.losses import check_losses
from stages.spec.methods import KINDS
from stages.spec.model import Params, Strategy, Task
from stages.spec.project import Project, Specs
from stages.spec.shape import check_shape

RESERVED = (*KINDS, "macro")
"""Ids that results and training texts are filed under already."""


def load_params(root: Path) -> Params:
    """``params.yaml`` alone, for the stages behind compile. Raises `UserError`."""
    document, problems = _load(root / "params.yaml", root, "params")
    # stages long before the ones that depend on these sections stop at what is wrong there
    problems = problems or [*check_decoding(document), *check_losses(document)]
    if problems:
        raise UserError(problems)
    return Params.of(document.data)


def load_strategies(root: Path, cache: Cache | None = None) -> tuple[Specs, list[Problem]]:
    """The strategies alone, with the problems of their shape."""
    specs, problems = Specs(root), list[Problem]()
    for path in sorted((root / "specs/strategies").glob("*.yaml")):
        specs.known_strategies.append(path.stem)
        document, found = _load(path, root, "strategy", cache)
        problems += found or _named(document, path)
        if not found:
            # By the file's name: a wrong id is one problem, not one for each mention.
            specs.strategies[path.stem] = Strategy.of(
                {**document.data, "id": path.stem}, document.file
            )
            specs.documents[document.file] = document
    return specs, problems


def load_specs(root: Path, cache: Cache | None = None) -> tuple[Specs, list[Problem]]:
    """All files under specs/, with the problems of their shape and of links between them."""
    specs, problems = load_strategies(root, cache)
    for path in task_files(root):
        key = (path.parent.name, path.stem)
        specs.known_tasks.append(key)
        document, found = _load(path, root, "task", cache)
        problems += found or _named(document, path)
        if not found:
            specs.tasks[key] = Task.of({**document.data, "id": path.stem}, key[0], document.file)
            specs.documents[document.file] = document
    for task in specs.tasks.values():
        problems += task_links(specs, task)
    return specs, problems


def task_files(root: Path) -> list[Path]:
    """The task specs; a file whose name begins with ``_`` is only there to be included."""
    found = (root / "specs/tasks").glob("*/*.yaml")
    return sorted(path for path in found if not path.name.startswith("_"))


def load_project(specs: Specs) -> tuple[Project | None, list[Problem]]:
    """The project that params.yaml makes of the specs, None when its shape is wrong."""
    document, problems = _load(specs.root / "params.yaml", specs.root, "params")
    if problems:
        return None, problems
    params = Params.of(document.data)
    chosen = {key: task for key, task in specs.tasks.items() if params.names(*key)}
    project = Project(
        specs.root, chosen, specs.strategies, specs.documents, specs.known_tasks,
        specs.known_strategies, params=params, document=document,
    )  # fmt: skip
    return project, project_links(project)


def _load(
    path: Path, root: Path, kind: str, cache: Cache | None = None
) -> tuple[Document, list[Problem]]:
    def read() -> Document:
        return load_included(path, root) if kind == "task" else load(path, root)

    held = cache.spec(path) if cache else None
    if held is not None:
        return Document(Text(path.relative_to(root).as_posix()), held, reread=read), []
    document = read()
    problems = list(document.problems)
    if not problems:
        problems = check_shape(document, root / f"specs/schema/{kind}.schema.json")
    if cache and not problems:
        cache.keep_spec(document)
    return document, problems


def _named(document: Document, path: Path) -> list[Problem]:
    name = document.data["id"]
    if path.stem in RESERVED:
        return [
            document.problem(
                ("id",), "E208", f"the id {name!r} has a meaning of its own",
                "choose another id and file name than " + ", ".join(RESERVED),
            )
        ]  # fmt: skip
    if name == path.stem:
        return []
    return [
        document.problem(
            ("id",), "E201", f"the id is {name!r} but the file is called {path.name}",
            f"write id: {path.stem}, or rename the file",
        )
    ]  # fmt: skip
