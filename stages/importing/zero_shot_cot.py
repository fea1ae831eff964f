"""Questions and logs as the repository kojima-takeshi188/zero_shot_cot holds them.

Source of the formats: its ``utils.py`` (``data_reader``) and ``main.py``.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from stages.core.errors import Problem, UserError

Row = dict[str, str]
T = TypeVar("T")

HINT = "take it as it was published"
BAR = re.compile(r"^\*{25}\n(?=\d+st data\n)", re.MULTILINE)
ENTRY = re.compile(
    r"\d+st data\n1_th_sampling\nQ: (?P<question>.*?)\nA: Let's think step by step\.(?P<said>.*)\n"
    r"pred_before : (?P<reply>.*)\npred_after : .*\npred_list : .*\npred_mode : (?P<read>.*)\n"
    r"GT : (?P<answer>[^\n]*)\n\*{25}\n.*",
    re.DOTALL,
)
SOLID = re.compile(r"\S")
OPTIONS = re.compile(r"\s+(?:Which choice is true \? )?Answer Choices:")


def text_of(path: Path) -> str:
    """A file's text.

    Raises:
        UserError: E101 when it cannot be read, E403 when it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        refuse(path, "the file is not UTF-8 text")
    except OSError as error:
        told = f"this file cannot be read: {error.strerror}"
        raise UserError([Problem(str(path), 0, 0, "E101", told)]) from None


def refuse(path: Path, told: str, line: int = 0, column: int = 1, source: str = "") -> NoReturn:
    """Raises `UserError` E403: the file is not as it was published."""
    place = (line, column) if line else (0, 0)
    raise UserError([Problem(str(path), *place, "E403", told, HINT, source)])


def read_log(path: Path) -> list[Row]:
    """What the teacher was asked and answered, in the order of the log.

    `answer_completion` is the log's `pred_before`: the reply as it went into the publisher's
    reading, which in the older logs had lost its colons.

    Raises:
        UserError: E403 when the log is cut short, or an entry is not as they all are.
    """
    text = text_of(path)
    size = re.search(r"^data size : (\d+)$", text, re.MULTILINE)
    trigger = re.search(r"direct_answer_trigger='\\n(Therefore, [^']*)'", text)
    if size is None or trigger is None:
        refuse(path, "this is not the log of a zero_shot_cot run")
    bounds = [*(bar.end() for bar in BAR.finditer(text)), len(text)]
    entries = [
        _entry(path, text, start, end, trigger[1]) for start, end in itertools.pairwise(bounds)
    ]
    if len(entries) != int(size[1]):
        refuse(path, f"the log holds {len(entries)} of its {size[1]} entries")
    return entries


def _entry(path: Path, text: str, start: int, end: int, trigger: str) -> Row:
    match = ENTRY.fullmatch(text, start, end)
    # A reply may go on and ask itself again, so the first trigger is the one that was sent.
    rationale, sent, _ = match["said"].partition(f" \n{trigger}") if match else ("", "", "")
    if match is None or not sent:
        line = text.count("\n", 0, start) + 1
        source = text[start:end].partition("\n")[0]
        refuse(path, "this entry is not complete", line, 1, source)
    return {
        "question": match["question"],
        "answer": match["answer"],
        "rationale": rationale.strip(),
        "answer_prompt": trigger,
        "answer_completion": match["reply"].strip(),
        "predicted": match["read"],
    }


def places(data: Path, log: Path, entries: Iterable[Row]) -> list[int]:
    """Where the data set holds the question of each entry; equal questions keep their order.

    Raises:
        UserError: E403 when the two do not hold the same questions.
    """
    held: dict[str, list[int]] = {}
    for place, stem in enumerate(read_data(data, _stem)):
        held.setdefault(stem, []).append(place)
    found = []
    for number, entry in enumerate(entries, start=1):
        # Options are left out of the comparison: some were shuffled before the teacher saw them.
        waiting = held.get(OPTIONS.split(entry["question"])[0].strip())
        if not waiting:
            refuse(log, f"the question of entry {number} is not in {data}")
        found.append(waiting.pop(0))
    left = sum(map(len, held.values()))
    if left:
        refuse(log, f"{left} of the questions in {data} are not in this log")
    return found


def _stem(row: Mapping[str, Any]) -> str:
    """The question without options."""
    if "Body" in row:
        return f"{row['Body'].strip()} {row['Question'].strip()}"
    held = next(row[key] for key in ("sQuestion", "input", "question") if key in row)
    stem: str = held["stem"] if isinstance(held, dict) else held
    return stem.strip()


def read_data(path: Path, read: Callable[[Any], T]) -> list[T]:
    """What `read` makes of each row.

    The file holds a list, an object with the list under `examples`, or, under any ending, one
    object a line.

    Raises:
        UserError: E403 when it is not JSON, or a row is not what `read` takes.
    """
    values = _values(path)
    rows = values[0] if len(values) == 1 else values
    if isinstance(rows, dict):
        rows = rows.get("examples", values)
    if not isinstance(rows, list):
        refuse(path, "the file holds no list of rows")
    made = []
    for number, row in enumerate(rows, start=1):
        try:
            made.append(read(row))
        except (KeyError, TypeError, AttributeError, StopIteration):
            refuse(path, f"row {number} is not a question as this data set holds them")
    return made


def _values(path: Path) -> list[Any]:
    text = text_of(path)
    decoder = json.JSONDecoder()
    values: list[Any] = []
    at = 0
    while begun := SOLID.search(text, at):
        try:
            value, at = decoder.raw_decode(text, begun.start())
        except json.JSONDecodeError as error:
            refuse(path, f"the file is not JSON: {error.msg}", error.lineno, error.colno)
        except (ValueError, RecursionError):
            refuse(path, "a value in the file is too deep or too long to be read")
        values.append(value)
    return values
