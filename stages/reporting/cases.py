"""Every rationale and test answer with all that is known of it, as streams over ``build/``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.core.jsonl import read_json, read_rows
from stages.reporting.marks import Span, located
from stages.reporting.mistakes import kind
from stages.scoring.extract import extract
from stages.scoring.verify import agrees
from stages.spec.methods import ANSWERS, NOTHING

TEACHER, OWN = "teacher", "row's own solution"
RIGHT, WRONG, SILENT, CUT, REFUSED = "right", "wrong", "no answer", "cut short", "refused"
VERDICTS = (RIGHT, WRONG, SILENT, CUT, REFUSED)
KEPT, UNUSED, TESTED = "trained on", "kept, trained on by no run", "test answer"

Name = tuple[str, str, str]
"""A rationale: row, strategy, sample."""


@dataclass(slots=True)
class Case:
    """One text and what became of it.

    Args:
        writer: `TEACHER`, `OWN`, or the run whose student wrote it.
        messages: The first prompt as sent.
        text: What was written; all calls of a strategy joined.
        span: Of the extracted answer in it.
        kind: Of the mistake; empty where it is right.
        fate: `KEPT`, `UNUSED`, `TESTED`, or ``dropped: …`` with the reason.
        note: More on the fate: the runs, the row that it repeats.
        tokens: New ones, 0 where nobody counted.
        prompt_tokens: Of all its calls, likewise.
    """

    writer: str
    task: str
    strategy: str
    row: str
    sample: str
    question: str
    options: Sequence[str]
    gold: str
    messages: Sequence[Mapping[str, str]]
    text: str
    span: Span | None
    answer: str | None
    verdict: str
    kind: str = ""
    fate: str = TESTED
    note: str = ""
    tokens: int = 0
    prompt_tokens: int = 0


@dataclass
class Fates:
    """What `curate` made of a suite's rationales, and who is trained on them."""

    kept: dict[Name, Mapping[str, Any]] = field(default_factory=dict)
    copies: Counter[Name] = field(default_factory=Counter)
    dropped: dict[Name, Mapping[str, Any]] = field(default_factory=dict)
    own: dict[str, list[Name]] = field(default_factory=dict)

    @staticmethod
    def of(top: Path, suite: str) -> Fates:
        """From ``build/curated`` and ``build/yield``."""
        made = Fates()
        for line in read_rows(top / f"build/curated/{suite}.jsonl"):
            name = named(line)
            made.copies[name] += "copy" in line
            if "copy" not in line or name not in made.kept:
                made.kept[name] = line
        lines = read_rows(top / f"build/yield/{suite}.jsonl")
        next(lines)
        for line in lines:
            made.dropped[named(line)] = line
        for name in (*made.kept, *made.dropped):
            if not name[2].isdigit():
                made.own.setdefault(name[0], []).append(name)
        return made

    def told(self, name: Name, task: str, learners: Mapping[Name, str]) -> tuple[str, str]:
        """The fate and the note of a rationale."""
        if name in self.kept:
            runs = learners.get((task, name[1], ""), "")
            notes = [f"by {runs}"] if runs else []
            if self.copies[name]:
                notes.append(f"{self.copies[name] + 1} times, for `curate.floor`")
            return (KEPT if runs else UNUSED), ", ".join(notes)
        line = self.dropped.get(name, {})
        note = ""
        if "near" in line:
            note = f"nearly repeats {line['near']}"
        elif "overlap" in line:
            note = ", ".join(f"{key}: {value}" for key, value in sorted(line["overlap"].items()))
        return f"dropped: {line.get('reason', 'not in build/yield')}", note


def named(line: Mapping[str, Any]) -> Name:
    """The name of a line of ``build/rationales``, ``build/curated`` or ``build/yield``."""
    return line["id"], line["strategy"], str(line["sample"])


def learners(top: Path, runs: Iterable[str]) -> dict[Name, str]:
    """The runs that train on the rationales of (task, strategy, "")."""
    made: dict[Name, list[str]] = {}
    for run in runs:
        header = next(read_rows(top / f"build/mix/{run}.jsonl"))
        if header["train_on"] not in (NOTHING, ANSWERS):
            for task, strategy in header["strategies"].items():
                made.setdefault((task, strategy, ""), []).append(run)
    return {name: ", ".join(found) for name, found in made.items()}


def taught(top: Path, suite: str, learned: Mapping[Name, str]) -> Iterator[Case]:
    """The rationales of a suite, and the rows' own solutions that came beside them.

    Raises:
        UserError: E514 for what is not there, E515 for a rationale without its row.
    """
    folder, name = top / f"build/compiled/suites/{suite}", f"build/rationales/{suite}.jsonl"
    tasks, fates = read_json(folder / "tasks.json"), Fates.of(top, suite)
    for row, items in joined(read_rows(folder / "train.jsonl"), read_rows(top / name), name):
        for line in items:
            yield _taught(row, line, tasks[row["task"]], fates, learned)
        for own in fates.own.get(row["id"], ()):
            yield _own(row, own, fates, learned)


def _taught(
    row: Mapping[str, Any], line: Mapping[str, Any], task: Mapping[str, Any], fates: Fates,
    learned: Mapping[Name, str],
) -> Case:  # fmt: skip
    name = named(line)
    calls = line.get("calls", ())
    made = _case(TEACHER, row, line, task, line["strategy"], name[2])
    made.fate, made.note = fates.told(name, row["task"], learned)
    made.prompt_tokens = sum(call.get("prompt_tokens") or 0 for call in calls)
    if made.verdict == WRONG:
        kept, dropped = fates.kept.get(name), fates.dropped.get(name, {})
        # what was judged is not judged again: maths is slow
        if kept is not None and kept["answer"] == row["answer"]:
            made.verdict = RIGHT
        elif kept is None and dropped.get("reason") != "wrong answer":
            right = agrees(made.answer or "", row["gold"], task["answer"]["type"], row["options"])
            made.verdict = RIGHT if right else WRONG
    _classify(made, line, task)
    return made


def _own(
    row: Mapping[str, Any], name: Name, fates: Fates, learned: Mapping[Name, str]
) -> Case:  # fmt: skip
    line = fates.kept.get(name) or fates.dropped[name]
    fate, note = fates.told(name, row["task"], learned)
    text = line.get("rationale", line.get("completion", ""))
    return Case(
        OWN, row["task"], name[1], row["id"], name[2], row["question"], row["options"],
        row["gold"], (), text, None, line["answer"], RIGHT, "", fate, note,
    )  # fmt: skip


def examined(top: Path, run: str) -> Iterator[Case]:
    """A run's answers to the test rows.

    Raises:
        UserError: as `taught`.
    """
    folder, name = top / f"build/compiled/runs/{run}", f"build/evaluations/{run}/predictions.jsonl"
    tasks = read_json(folder / "tasks.json")
    chosen = next(read_rows(top / f"build/mix/{run}.jsonl"))["strategies"]
    for row, items in joined(read_rows(folder / "test.jsonl"), read_rows(top / name), name):
        for line in items:
            strategy = chosen.get(row["task"], "")
            made = _case(run, row, line, tasks[row["task"]], strategy, str(line.get("sample", 0)))
            made.verdict = RIGHT if line["correct"] else made.verdict
            _classify(made, line, tasks[row["task"]])
            yield made


def joined(
    rows: Iterable[Mapping[str, Any]], items: Iterable[Mapping[str, Any]], file: str
) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """The rows that have items, each with them; both in the order of the rows."""
    left = iter(rows)
    for name, found in groupby(items, key=itemgetter("id")):
        row = next((row for row in left if row["id"] == name), None)
        if row is None:
            raise user_error(
                file, "E515", f"there is no compiled row {name!r}, or it is out of order",
                "run `dvc repro`, which writes it anew for the rows of today",
            )  # fmt: skip
        yield row, list(found)


def _case(
    writer: str, row: Mapping[str, Any], line: Mapping[str, Any], task: Mapping[str, Any],
    strategy: str, sample: str,
) -> Case:  # fmt: skip
    """All but fate and mistake; what may be right is still called wrong."""
    rule, text = task["answer"], line["completion"]
    found = extract(_read(text, rule), rule["extract"], rule["type"], row["options"])
    verdict = WRONG if found.answer is not None else SILENT
    if line["error"]:
        verdict = REFUSED
    elif line["finish_reason"] == "length":
        verdict = CUT
    prompt = row.get("prompts", {}).get(strategy, {}).get("messages") or row.get("messages", ())
    return Case(
        writer, row["task"], strategy, row["id"], sample, row["question"], row["options"],
        row["gold"], prompt, text, located(_read(text, rule), found, rule["extract"], rule["type"]),
        found.answer, verdict, tokens=line["completion_tokens"],
    )  # fmt: skip


def _classify(made: Case, line: Mapping[str, Any], task: Mapping[str, Any]) -> None:
    if made.verdict == RIGHT:
        return
    rule = task["answer"]
    text = _read(made.text, rule)
    found = extract(text, rule["extract"], rule["type"], made.options)
    made.kind = kind(
        text, found, made.gold, rule["type"], made.options,
        error=line["error"], finish_reason=line["finish_reason"],
    )  # fmt: skip


def _read(text: str, rule: Mapping[str, Any]) -> str:
    return text.partition(rule["stop"])[0] if "stop" in rule else text
