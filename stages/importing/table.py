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

QUESTION = ("question", "problem", "input", "prompt", "text")
ANSWER = ("answer", "gold", "target", "label", "output")
SOLUTION = ("solution", "rationale", "worked", "explanation", "reasoning", "steps")
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
    question = _column("question", columns, QUESTION, rows)
    answer = _column("answer", columns, ANSWER, rows)
    options = _options(rows)
    kind = _kind([str(row.get(answer, "")) for row in rows], bool(options))
    row: dict[str, Any] = {"question": {"get": question}, "gold": {"get": answer}}
    if options:
        row["options"] = {"lines": "\n".join(f"{{{{ row.{it} }}}}" for it in options)}
        listed = " ".join(f"({it}) {{{{ row.{it} }}}}" for it in options)
        row["question"] = {"render": f"{{{{ row[{question!r}] }}}}\nOptions: {listed}"}
    solution = _solution(columns, rows)
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


def _column(
    role: str, columns: Mapping[str, Any], usual: Sequence[str], rows: Sequence[dict[str, Any]]
) -> str:
    named = columns.get(role)
    there = list(dict.fromkeys(key for row in rows for key in row))
    found = named or next((key for key in there if key.strip().casefold() in usual), None)
    if found not in there:
        what = f"no column {named!r}" if named else f"no column that looks like the {role}"
        raise NotCarriedError(f"it has {what}: name one with --{role}, of {', '.join(there)}")
    empty = [number for number, row in enumerate(rows, start=1) if row.get(found) in (None, "")]
    if empty:
        raise NotCarriedError(
            f"row {empty[0]} has no {found!r}, and {len(empty) - 1} more have none"
        )
    return str(found)


def _solution(columns: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> str | None:
    if columns.get("solution"):
        return _column("solution", columns, SOLUTION, rows)
    there = {key for row in rows for key in row if key.strip().casefold() in SOLUTION}
    return _column("solution", {"solution": sorted(there)[0]}, (), rows) if there else None


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
