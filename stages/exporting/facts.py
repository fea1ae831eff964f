"""What every card tells: where an export comes from, without keys or addresses with passwords."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stages.core.errors import UserError
from stages.core.jsonl import absent
from stages.data.file import sha256_of
from stages.spec.model import Params, Task
from stages.spec.read import load_params, load_specs

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Facts:
    """The project that is exported from.

    Args:
        tasks: The tasks that params.yaml names.
        commit: Of Git, with a word when files that Git tracks differ from it.
    """

    top: Path
    params: Params
    tasks: tuple[Task, ...]
    commit: str

    @staticmethod
    def of(top: Path) -> Facts:
        """Read it.

        Raises:
            UserError: Every problem of the specs.
        """
        params = load_params(top)
        specs, problems = load_specs(top)
        if problems:
            raise UserError(problems)
        chosen = (task for key, task in specs.tasks.items() if params.names(*key))
        return Facts(top, params, tuple(chosen), _commit(top))

    @property
    def teacher(self) -> str:
        """Who taught, as its model and the place that served it."""
        stated = self.params.teacher
        if stated["engine"] == "recorded":
            kind = "recorded answers" if stated.get("recordings") else "worked solutions"
            return f"no model: {kind} of the data"
        if stated.get("recordings"):
            return f"{stated['model']}, from recorded answers"
        if stated["engine"] == "local":
            revision = f" at {stated['revision']}" if stated.get("revision") else ""
            return f"{stated['model']}{revision}, run locally"
        place = stated.get("identity")
        if not place:
            urls = stated["base_url"]
            first = urls if isinstance(urls, str) else urls[0]
            place = urlsplit(first).hostname or NOT_STATED
        return f"{stated['model']} at {place}"

    @property
    def seeds(self) -> dict[str, int]:
        """By place in the specs and params.yaml."""
        made = {"train.seed": self.params.train["seed"], "probe.seed": self.params.probe["seed"]}
        for task in self.tasks:
            found = {"source": task.source, **task.splits}
            for name, part in found.items():
                if "seed" in part:
                    made[f"{task.suite}/{task.id} {name}"] = part["seed"]
        return made

    def license_of(self, task: str) -> str:
        """As the task's spec states it."""
        return next((t.license for t in self.tasks if t.id == task and t.license), NOT_STATED)

    def file(self, name: str) -> Path:
        """A file or folder that an earlier stage made.

        Raises:
            UserError: E514 when it is not there.
        """
        path = self.top / name
        if not path.exists():
            raise absent(path)
        return path

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Hex SHA-256 by name of a file."""
        return {name: sha256_of(self.file(name)) for name in names}


def license_tag(stated: Iterable[str]) -> str:
    """What the Hub's ``license`` key can say of several: one, ``other``, or ``unknown``."""
    names = set(stated)
    if names <= {NOT_STATED}:
        return "unknown"
    return names.pop() if len(names) == 1 else "other"


def _commit(top: Path) -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=top, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    if head and git("status", "--porcelain", "--untracked-files=no"):
        return f"{head}, with changes that Git does not hold"
    return head or "none"
