"""The rules by which other trainers take or refuse a chat row.

Sources: OpenAI, "Supervised fine-tuning" (formatting your data); TRL, "Dataset formats and types";
LLaMA-Factory, data/README.md, with the roles that its converter accepts; Axolotl, "Conversation".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

OPENAI_ROWS = 10
"""The fewest that a fine-tuning job takes."""
HUMAN = {"system": "system", "user": "human", "assistant": "gpt"}
"""Roles as ShareGPT names them."""


def messages_fault(row: Mapping[str, Any]) -> str | None:
    """What keeps ``{"messages": […]}`` from being trained on; None when nothing does.

    A system message may stand first, then user and assistant take turns, the assistant last; each
    content is a text that is not blank.
    """
    turns: Sequence[Mapping[str, Any]] = row["messages"]
    if any(set(turn) != {"role", "content"} for turn in turns):
        return "a message has other keys than role and content"
    if any(not isinstance(turn["content"], str) for turn in turns):
        return "a content is no text"
    if any(not turn["content"].strip() for turn in turns):
        return "a content is empty"
    rest = [turn["role"] for turn in turns]
    if rest[:1] == ["system"]:
        rest = rest[1:]
    if not rest or rest != ["user", "assistant"] * (len(rest) // 2):
        return "user and assistant do not take turns, the assistant last"
    return None


def sharegpt_fault(row: Mapping[str, Any]) -> str | None:
    """The same of ``{"conversations": [{"from": …, "value": …}]}``."""
    names = {name: role for role, name in HUMAN.items()}
    turns = row["conversations"]
    if any(set(turn) != {"from", "value"} or turn["from"] not in names for turn in turns):
        return "a turn is not from system, human or gpt"
    return messages_fault(
        {"messages": [{"role": names[t["from"]], "content": t["value"]} for t in turns]}
    )


def faults(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many rows of ``messages`` have which fault, OpenAI's minimum of rows among them."""
    found: dict[str, int] = {}
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        if fault := messages_fault(row):
            found[fault] = found.get(fault, 0) + 1
    if count < OPENAI_ROWS:
        found[f"OpenAI takes no fewer than {OPENAI_ROWS} rows"] = count
    return found
