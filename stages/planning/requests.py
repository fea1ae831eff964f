"""What the teacher would be asked for a project, before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.compiler.prompts import Renderer
from stages.compiler.rows import Row
from stages.core.jsonl import read_json
from stages.engines.ask import request, sampling, teacher_engine
from stages.engines.request import Request
from stages.spec.model import Task
from stages.spec.project import Project


def reasons(top: Path, project: Project, task: Task) -> dict[str, str]:
    """The strategies whose rationales are wanted, and why each is."""
    trained: dict[str, Any] = project.params.trained(task)
    made = dict.fromkeys(trained["fixed"], "a run trains on it")
    if trained["selects"]:
        file = top / f"build/selected/{task.suite}.json"
        chosen = read_json(file).get(task.id) if file.is_file() else None
        if chosen:
            made.setdefault(chosen["strategy"], "selected")
        else:
            for strategy in project.params.candidates(task):
                made.setdefault(strategy, "one of these will be selected")
    return made


def requests(
    top: Path, project: Project, task: Task, strategy: str, rows: Sequence[Row]
) -> list[Request]:
    """What teach would ask for the rows under one strategy."""
    params, renderer = project.params, Renderer(project)
    engine = teacher_engine(params.teacher, params.runtime, top)
    chosen = project.strategies[strategy]
    return [
        request(
            engine,
            renderer.asked(chosen, task, row),
            chosen.calls[0].max_tokens,
            sample=sample,
            **sampling(params.teacher),
        )
        for row in rows
        for sample in range(params.samples)
    ]
