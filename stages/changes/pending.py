"""Which stages `dvc repro` would run and what keeps each from being up to date, as DVC sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.logger import set_loggers_level
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import plan_repro
from dvc.stage import PipelineStage, Stage
from dvc.stage.cache import RunCacheNotFoundError
from dvc_data.hashfile.hash_info import HashInfo

from stages.changes.folders import NOT_KNOWN, Files, changed_files
from stages.core.errors import user_error
from stages.spec.load import load

ABSENT = "absent"
"""Stands for the value of a parameter that is not there."""


@dataclass(frozen=True)
class Cause:
    """One thing that is not as ``dvc.lock`` has it.

    Args:
        kind: ``dependency``, ``parameter``, ``command``, ``output``, or ``never ran``.
        name: A path, a dotted key of ``params.yaml``, or the command.
        change: In DVC's words: ``modified``, ``new``, ``deleted``, ``not in cache``.
        then: The value of a parameter, or the command, when the stage last ran.
        now: As it is now.
        files: Within a folder, where it can be known.
    """

    kind: str
    name: str
    change: str
    then: Any = None
    now: Any = None
    files: Files = NOT_KNOWN


@dataclass(frozen=True)
class Pending:
    """A stage that would run.

    Args:
        causes: Empty where it runs only if the stages before it write something else than before.
        after: The stages at fault then.
        held: Whether DVC's run cache holds what it would write, so that nothing is computed.
    """

    stage: str
    causes: list[Cause] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    held: bool = False


def pending(top: Path) -> list[Pending]:
    """In the order in which they would run; those that may run behind them included.

    Raises:
        UserError: E553 when DVC cannot tell.
    """
    commands = _locked_commands(top)
    try:
        # an ERROR that DVC logs comes back as an exception as well
        with set_loggers_level(100), Repo(str(top)) as repo, lock_repo(repo):
            return list(_pending(repo, top, commands))
    except LockError:
        raise user_error(
            "DVC", "E553", "another DVC command is running here", "wait until it has ended"
        ) from None
    except DvcException as error:
        reason = " ".join(str(error).split())
        raise user_error(
            "DVC", "E553", f"DVC cannot read this project: {reason}", "see `dvc status`"
        ) from None


def _pending(repo: Repo, top: Path, commands: Mapping[str, str]) -> Iterator[Pending]:
    changed = repo.status()
    graph = repo.index.graph
    stages = {stage.addressing: stage for stage in plan_repro(graph)}
    behind: dict[str, list[str]] = {}
    for name in (name for name in stages if name in changed):
        for later in plan_repro(graph, [stages[name]], downstream=True):
            if later.addressing != name:
                behind.setdefault(later.addressing, []).append(name)
    for name in stages:
        if name in changed:
            causes = list(_causes(stages[name], changed[name], commands.get(name), top))
            after = behind.get(name, [])
            yield Pending(name, causes, after, not after and _held(repo, stages[name]))
        elif name in behind:
            yield Pending(name, after=behind[name])


def _causes(stage: Stage, told: Iterable[Any], command: str | None, top: Path) -> Iterator[Cause]:
    if isinstance(stage, PipelineStage) and command is None:
        yield Cause("never ran", stage.cmd or "", "new")
        return
    deps = {str(dep): dep for dep in stage.deps if not isinstance(dep, ParamsDependency)}
    for part in told:
        if part == "changed command":
            yield Cause("command", stage.addressing, "modified", command, stage.cmd)
        elif isinstance(part, str):
            yield Cause("dependency", stage.addressing, part)
        else:
            for path, change in part.get("changed deps", {}).items():
                if path in deps:
                    yield Cause("dependency", path, change, files=changed_files(deps[path], top))
            for path, change in part.get("changed outs", {}).items():
                yield Cause("output", path, change)
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            yield from _params(dep)


def _params(dep: ParamsDependency) -> Iterator[Cause]:
    then, now = dep.hash_info.value or {}, dep.read_params()
    old, new = dict(_flat(then)), dict(_flat({name: now.get(name, ABSENT) for name in dep.params}))
    for key in sorted({*old, *new}):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if before != after:
            change = "new" if before == ABSENT else "deleted" if after == ABSENT else "modified"
            yield Cause("parameter", key, change, before, after)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, list(value) if isinstance(value, tuple) else value


def _held(repo: Repo, stage: Stage) -> bool:
    """Whether an earlier run of the very same command on the very same inputs is in the cache."""
    if not isinstance(stage, PipelineStage):
        return False
    # in memory: so that the inputs of now are looked up, and not what was locked with the outputs
    try:
        stage.save_deps()
        for out in stage.outs:
            out.hash_info = HashInfo()
        repo.stage_cache.restore(stage, dry=True)
    except (RunCacheNotFoundError, DvcException, OSError):
        return False
    return True


def _locked_commands(top: Path) -> dict[str, str]:
    """The command of each stage when it last ran."""
    if not (top / "dvc.lock").is_file():
        return {}
    document = load(top / "dvc.lock", top)
    stages = document.data.get("stages", {}) if isinstance(document.data, dict) else {}
    return {name: str(stage.get("cmd", "")) for name, stage in stages.items()}
