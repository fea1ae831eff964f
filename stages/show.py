"""One row on one screen: ``make show TASK=… ROW=…``, ``python -m stages.show TASK ROW``.

Its question, gold answer and prompts as sent; the rationales with their verdicts and what became
of them; the answers of each run. Nothing in these texts is executed or moves the cursor.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from stages.core.console import entry, root, say
from stages.spec.read import load_params
from stages.tracing.chain import Tracer
from stages.tracing.held import Held
from stages.tracing.sheet import Sheet, sheet
from stages.tracing.visible import visible

GOOD = ("kept", "right")


def main() -> None:
    """Print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", help="task or suite/task")
    parser.add_argument("row", help="split/number, such as train/0 or test/12")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    top = root()
    tracer = Tracer(Held(top), load_params(top))
    name = arguments.row
    if name.count("/") < 2:
        name = f"{arguments.task}/{name}"
    made = sheet(tracer, name)
    if arguments.format == "json":
        say(json.dumps(asdict(made), indent=2))
        return
    console = Console() if Console().is_terminal else Console(width=100)
    console.print(Group(*_parts(made)))


def _parts(made: Sheet) -> Iterator[RenderableType]:
    row = made.row
    yield Rule(Text(visible(row["id"]), style="bold"), align="left")
    yield from _text("question", row["question"])
    if row["options"]:
        yield from _text("options", "\n".join(map(str, row["options"])))
    yield from _text("gold", str(row["gold"]))
    yield from _prompts(made.prompts)
    for one in made.rationales:
        yield Rule(_heading(f"{one['strategy']}, sample {one['sample']}", one), align="left")
        yield _block(one["completion"])
        yield from _notes(one)
    for run, texts in made.targets.items():
        yield Rule(Text(f"{visible(run)} trains on"), align="left")
        yield from map(_block, texts)
    for one in made.answers:
        verdict = "right" if one["correct"] else "wrong"
        about = f"{one['run']}, sample {one['sample']}" if "sample" in one else one["run"]
        yield Rule(_heading(f"answer of {about}", {**one, "verdict": verdict}), align="left")
        yield _block(one["completion"])
        yield from _notes(one)


def _prompts(prompts: dict[str, Any]) -> Iterator[RenderableType]:
    """Each prompt once, under all who are asked it."""
    shown: dict[str, list[str]] = {}
    for who, messages in prompts.items():
        text = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
        shown.setdefault(text, []).append(who)
    for text, names in shown.items():
        yield Rule(Text(f"prompt as sent: {visible('; '.join(names))}"), align="left")
        yield _block(text)


def _heading(about: str, one: dict[str, Any]) -> Text:
    style = "green" if one["verdict"] in GOOD else "red"
    made = Text(f"{visible(about)}: ")
    made.append(visible(str(one["verdict"])), style=style)
    if one.get("answer") is not None:
        made.append(f", read as {visible(str(one['answer']))}")
    return made


def _notes(one: dict[str, Any]) -> Iterator[RenderableType]:
    keys = one.get("keys") or ([one["key"]] if "key" in one else [])
    notes = [
        f"cut short ({one['finish_reason']})" if one.get("finish_reason") == "length" else "",
        f"error: {one['error']}" if one.get("error") else "",
        f"nearly repeats {one['near']}" if one.get("near") else "",
        f"key {', '.join(key[:16] for key in keys)}" if keys else "",
    ]
    if told := "; ".join(filter(None, notes)):
        yield Padding(Text(visible(told), style="dim"), (0, 0, 0, 2))


def _text(name: str, text: str) -> Iterator[RenderableType]:
    yield Text(name, style="bold")
    yield _block(text)


def _block(text: str) -> RenderableType:
    # Text and not a string: brackets in it are no markup
    return Padding(Text(visible(text, lines=True), overflow="fold"), (0, 0, 0, 2))


if __name__ == "__main__":
    entry(main)
