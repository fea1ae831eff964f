"""Every template against the strategies that name it (family E3)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.errors import Problem
from stages.spec.lint import Scope, check_source, constant_text, variables
from stages.spec.methods import FORMATS
from stages.spec.model import Strategy
from stages.spec.project import Specs
from stages.spec.render import ENCODING

ANSWERS = "student/answer.j2"
"""The training text of runs that train on the gold answers alone."""
ROW: dict[str, type] = {"question": str, "options": list, "answer_marker": str}
"""What a prompt may read of a row; never the gold answer or a worked solution."""
CALL: dict[str, type] = {"exemplars": list}
"""What a call may read besides; the student is shown no exemplars."""
REPLY: dict[str, type] = {"reply": str}
"""What a call may read of the call before it."""
TARGET: dict[str, type] = {"rationale": str, "answer": str}
"""What the training text may read besides."""
SECRET = frozenset({*TARGET, "gold", "worked", "solution", "label", "target"})
FOLDERS = ("strategies", "student")
"""Folders under templates/ whose templates strategies name."""
MAX_BYTES = 1 << 16
LEAK = 4
"""So many words in a row, written by strategy and student prompt alike, show the strategy."""


def check_templates(specs: Specs) -> list[Problem]:
    """Existence, language, variables, use and erasure of every template."""
    problems: list[Problem] = []
    checked: set[tuple[str, frozenset[str]]] = set()
    for strategy in specs.strategies.values():
        texts: dict[str, str] = {}
        before = len(problems)
        for name in dict.fromkeys(strategy.templates):
            found = _missing(specs, strategy, name)
            if found:
                problems.append(found)
                continue
            text = _read(specs, name)
            if isinstance(text, Problem):
                problems.append(text)
                continue
            texts[name] = text
            scope = _scope(strategy, name)
            # Strategies share templates; a mistake in one is told once.
            if (name, frozenset(scope.known)) not in checked:
                checked.add((name, frozenset(scope.known)))
                problems += check_source(text, specs.templates.file(name), scope)
        if len(problems) == before:
            problems += _unread(specs, strategy, texts)
            problems += _linked(specs, strategy, texts)
            problems += _leaks(specs, strategy, texts)
    problems += _fixed(specs)
    if not any(problem.code in ("E301", "E304") for problem in problems):
        problems += _unused(specs)  # else the one that a slip of the pen leaves over
    return problems


def _scope(strategy: Strategy, name: str) -> Scope:
    student = name in (strategy.student_system, strategy.student_user, strategy.target)
    offered = ROW if student else {**ROW, **CALL}
    known = {variable: offered[variable] for variable in strategy.uses if variable in offered}
    if name == strategy.target:
        known |= TARGET
    first = strategy.calls[0]
    if not student and name not in (first.system, first.user):
        known |= REPLY
    secret = SECRET - set(known) - set(ROW)
    return Scope(known, frozenset(offered), secret, f"strategy {strategy.id}")


def _missing(specs: Specs, strategy: Strategy, name: str) -> Problem | None:
    folder, document = specs.templates.folder, specs.documents[strategy.file]
    where = _named(strategy, name)
    inside, there = _state(folder, name)
    if not inside:
        return document.problem(
            where, "E304", f"the template {name!r} is outside templates/",
            "copy it there and write its path from there",
        )  # fmt: skip
    if not there:
        message = f"there is no template templates/{name}"
        return document.problem(where, "E301", message, _similar(folder, name) or "create it")
    return None


def _state(folder: Path, name: str) -> tuple[bool, bool]:
    """Whether the name stays in the folder, and whether it is a file's."""
    try:
        path = (folder / name).resolve()
        return path.is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError):  # no file can have such a name
        return True, False


def _similar(folder: Path, name: str) -> str:
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*.j2")]
    close = difflib.get_close_matches(name, sorted(files), n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _named(strategy: Strategy, name: str) -> tuple[Any, ...]:
    places: dict[str | None, tuple[Any, ...]] = {
        strategy.student_system: ("student", "system"),
        strategy.student_user: ("student", "user"),
        strategy.target: ("student", "target"),
    }
    for index, call in reversed(list(enumerate(strategy.calls))):
        places[call.user] = ("calls", index, "user")
        places[call.system] = ("calls", index, "system")
    return places[name]


def _read(specs: Specs, name: str) -> str | Problem:
    file = specs.templates.file(name)
    path = specs.templates.folder / name
    if path.stat().st_size > MAX_BYTES:
        return Problem(file, 0, 0, "E102", f"this file is larger than {MAX_BYTES} bytes")
    try:
        return path.read_text(encoding=ENCODING)
    except UnicodeDecodeError:
        return Problem(file, 0, 0, "E102", "this file is not UTF-8 text", "save it as UTF-8")


def _unread(specs: Specs, strategy: Strategy, texts: dict[str, str]) -> Iterator[Problem]:
    read = set().union(*map(variables, texts.values()))
    document = specs.documents[strategy.file]
    for index, name in enumerate(strategy.uses):
        if name not in read:
            yield document.problem(
                ("uses", index), "E309", f"no template of {strategy.id} reads {name!r}",
                f"write {{{{ {name} }}}} where it belongs, or take it out of `uses`",
            )  # fmt: skip


def _linked(specs: Specs, strategy: Strategy, texts: dict[str, str]) -> Iterator[Problem]:
    """Each call after the first must know the reply before it, and one must give a rationale."""
    document = specs.documents[strategy.file]
    last = len(strategy.calls) - 1
    for index, call in enumerate(strategy.calls):
        reads = set().union(*(variables(texts[n]) for n in (call.system, call.user) if n))
        if index and not call.continues and "reply" not in reads:
            yield document.problem(
                ("calls", index), "E313", "this call never sees the reply to the call before it",
                "write {{ reply }} where it belongs, or continues: true",
            )  # fmt: skip
        if not index and call.continues:
            yield document.problem(
                ("calls", 0, "continues"), "E314", "the first call has nothing to continue",
                "take `continues` out",
            )  # fmt: skip
        if call.continues and call.system:
            yield document.problem(
                ("calls", index, "system"), "E314",
                "a call that continues has the system message of the call before it",
                "take `system` out, or `continues`",
            )  # fmt: skip
        if call.gives == "answer" and index != last:
            yield document.problem(
                ("calls", index, "gives"), "E314", "only the last call can give the answer",
                "write gives: notes, or gives: rationale",
            )  # fmt: skip
    if all(call.gives != "rationale" for call in strategy.calls):
        yield document.problem(
            ("calls",), "E314", "no call gives a rationale, so there is nothing to learn",
            "leave `gives` out of the call whose reply the student is to learn",
        )  # fmt: skip


def _leaks(specs: Specs, strategy: Strategy, texts: dict[str, str]) -> Iterator[Problem]:
    """Words of the strategy in what the student is asked: then it is not erased."""
    asked = {name for call in strategy.calls for name in (call.system, call.user) if name}
    student = (strategy.student_system, strategy.student_user)
    told = set().union(*(_ngrams(texts[name]) for name in asked if name not in student))
    document = specs.documents[strategy.file]
    for key, name in zip(("system", "user"), student, strict=True):
        if name in {call.system for call in strategy.calls}:
            yield document.problem(
                ("student", key), "E312",
                f"the student is shown the strategy's own instruction {name!r}",
                "give the student a plain one, such as student/plain.system.j2",
            )  # fmt: skip
            continue
        shared = [words for words in _ordered(texts[name]) if words in told]
        if shared:
            yield document.problem(
                ("student", key), "E312",
                f"the student's prompt {name!r} repeats the strategy's words {shared[0]!r}",
                "take them out: the student must learn when to reason so without being told",
                related=document.related(("calls", 0), "the strategy is told here"),
            )  # fmt: skip


def _ordered(text: str) -> list[str]:
    words = re.findall(r"[\w']+", constant_text(text).casefold())
    return [" ".join(words[at : at + LEAK]) for at in range(len(words) - LEAK + 1)]


def _ngrams(text: str) -> set[str]:
    return set(_ordered(text))


def _fixed(specs: Specs) -> Iterator[Problem]:
    """Templates that runs use and no strategy names."""
    answer: dict[str, type] = {**ROW, "answer": str}
    used = {ANSWERS: (answer, "runs that train on answers")}
    for name, made in FORMATS.items():
        if made:
            by = f"runs in the format {name}"
            used |= {made.user: (ROW, by), made.answer: (answer, by)}
            used[made.rationale] = {**ROW, **TARGET}, by
    for template, (known, by) in used.items():
        file = f"templates/{template}"
        if not (specs.templates.folder / template).is_file():
            hint = f"create it: {by} are written with it"
            yield Problem(file, 0, 0, "E301", "this template is not there", hint)
            continue
        text = _read(specs, template)
        if isinstance(text, Problem):
            yield text
        else:
            yield from check_source(text, file, Scope(known, used_by=by))


def _unused(specs: Specs) -> Iterator[Problem]:
    """Templates that no strategy names; a strategy that does not load may name any of them."""
    if len(specs.strategies) < len(specs.known_strategies):
        return
    used = {ANSWERS} | {name for s in specs.strategies.values() for name in s.templates}
    used |= {name for made in FORMATS.values() if made for name in made.templates}
    folder = specs.templates.folder
    for path in sorted(p for part in FOLDERS for p in (folder / part).rglob("*.j2")):
        name = path.relative_to(folder).as_posix()
        if name not in used:
            yield Problem(
                f"templates/{name}", 0, 0, "E310", "no strategy names this template",
                "name it in a strategy, or remove it",
            )  # fmt: skip
