"""A file of questions and answers as a draft: CSV, JSONL or JSON, one row a question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.compiler.overlap import normalised
from stages.data.file import load, sha256_of
from stages.importing.draft import EXTRACT, Draft, NotCarriedError, identifier
from stages.scoring.verify import read

USUAL = {
    "question": ("question", "problem", "input", "prompt", "text"),
    "answer": ("answer", "gold", "target", "label", "output"),
    "solution": ("solution", "rationale", "worked", "explanation", "reasoning", "steps"),
}
"""Names by which a column is known, by what it holds."""
LETTERS = "ABCDEFGH"
WORKED = "step_by_step"
"""The strategy that a column of solutions stands for."""
FEWEST = 20
"""Rows below which no splits are worth cutting."""


def convert(path: Path, top: Path, columns: Mapping[str, Any]) -> Draft:
    """One task of the file's rows.

    Args:
        path: The file, inside the project.
        top: The project's folder, from which the spec names the file.
        columns: Names of the columns that hold `question`, `answer` and `solution`; None is
            looked for by its usual names. Columns named A, B, C and so on are options.

    Raises:
        NotCarriedError: What the rows lack.
        UserError: The file cannot be read.
    """
    resolved = path.resolve()
    if not resolved.is_relative_to(top):
        raise NotCarriedError("it lies outside the project: move it to data/, for specs name it")
    name = resolved.relative_to(top).as_posix()
    digest = sha256_of(resolved)
    rows = list(load(resolved, digest, name))
    if len(rows) < FEWEST:
        raise NotCarriedError(f"it has {len(rows)} rows, and four splits take {FEWEST} or more")
    question, answer = (_needed(role, columns, rows) for role in ("question", "answer"))
    solution = _column("solution", columns, rows)
    options = _options(rows)
    kind = _kind([str(row.get(answer, "")) for row in rows], bool(options))
    row: dict[str, Any] = {"question": _field(question), "gold": _field(answer)}
    if options:
        row["options"] = {"lines": "\n".join(f"{{{{ row.{it} }}}}" for it in options)}
        listed = " ".join(f"({it}) {{{{ row.{it} }}}}" for it in options)
        row["question"] = {"render": f"{{{{ row[{question!r}] }}}}\nOptions: {listed}"}
    if solution:
        row["worked"] = {WORKED: {"render": _worked(solution, answer, kind, rows)}}
    asked = {normalised(str(it[question])) for it in rows}
    notes = [] if solution else ["no solutions: an LLM as the teacher, or a run on the answers"]
    return Draft(
        id=identifier(path.stem), title=path.stem, origin=name,
        source={"file": name, "sha256": digest}, splits=_splits(len(rows)), row=row,
        answer_type=kind, notes=notes, strategies=[WORKED] if solution else None,
        repeats=len(asked) < len(rows),
    )  # fmt: skip


def _needed(role: str, columns: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    found = _column(role, columns, rows)
    if found is None:
        raise _lacks(f"no column that looks like the {role}", role, rows)
    return found


def _column(role: str, columns: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> str | None:
    """The column that was named, or else one with a usual name; every row must fill it."""
    there, named = _names(rows), columns.get(role)
    if named and named not in there:
        raise _lacks(f"no column {named!r}", role, rows)
    found = named or next((key for key in there if key.strip().casefold() in USUAL[role]), None)
    if found:
        empty = [at for at, row in enumerate(rows, start=1) if row.get(found) in (None, "")]
        if empty:
            more = f", nor have {len(empty) - 1} more" if len(empty) > 1 else ""
            raise NotCarriedError(f"row {empty[0]} has no {found!r}{more}")
    return found


def _lacks(what: str, role: str, rows: Sequence[dict[str, Any]]) -> NotCarriedError:
    return NotCarriedError(f"it has {what}: name one with --{role}, of {', '.join(_names(rows))}")


def _names(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _field(column: str) -> dict[str, str]:
    """A column's value; `get` would take a point for a step into a mapping."""
    return {"render": f"{{{{ row[{column!r}] }}}}"} if "." in column else {"get": column}


def _options(rows: Sequence[dict[str, Any]]) -> list[str]:
    found = [it for it in LETTERS if all(row.get(it) not in (None, "") for row in rows)]
    return found if len(found) > 1 and found == list(LETTERS[: len(found)]) else []


def _kind(golds: Sequence[str], options: bool) -> str:
    if options:
        return "choice"
    for kind in ("number", "yes_no"):
        if all(read(gold, kind) is not None for gold in golds):
            return kind
    return "string"


def _worked(solution: str, answer: str, kind: str, rows: Sequence[dict[str, Any]]) -> str:
    marker = EXTRACT[kind][0]["after"]
    told = f"{{{{ row[{solution!r}] }}}}"
    if all(re.search(re.escape(marker), str(row[solution]), re.I) for row in rows):
        return told
    return f"{told}\n{marker} {{{{ row[{answer!r}] }}}}."


def _splits(count: int) -> dict[str, Any]:
    """A fifth to test on, 100 at most; a tenth to choose checkpoints by; a twentieth to probe."""
    test, valid, probe = min(100, count // 5), min(40, count // 10), max(1, min(20, count // 20))
    return {
        "test": {"take": test, "seed": 1},
        "valid": {"take": valid, "seed": 1, "after": "test"},
        "probe": {"take": probe, "seed": 1, "after": "valid"},
        "train": {"seed": 1, "after": "probe"},
    }
