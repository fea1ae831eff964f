"""What a run was trained on, as JSON Lines for other trainers.

``messages.jsonl``: TRL, OpenAI's fine-tuning, Axolotl. ``prompt_completion.jsonl``: TRL, with the
loss on the completion alone, as here. ``conversations.jsonl`` with ``dataset_info.json``:
LLaMA-Factory, and Axolotl.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.core.jsonl import read_rows, write_json, write_rows
from stages.exporting.card import pairs, plain, settings_table, table, write_card
from stages.exporting.dataset import NOTE
from stages.exporting.facts import Facts, license_tag
from stages.exporting.formats import HUMAN, faults
from stages.exporting.texts import storable

AXOLOTL = """\
datasets:
  - path: messages.jsonl
    ds_type: json
    type: chat_template
    roles_to_train: [assistant]
"""


def write(facts: Facts, run: str, folder: Path) -> str:
    """Write the folder; returns what it holds, in words.

    Raises:
        UserError: E552 for a run that trains on nothing or on plain text.
    """
    rows = list(_rows(facts, run))
    escaped = sum(count for _, _, count in rows)
    turns = [row for _, row, _ in rows]
    write_rows(folder / "messages.jsonl", ({"messages": row} for row in turns))
    write_rows(
        folder / "prompt_completion.jsonl",
        ({"prompt": row[:-1], "completion": row[-1:]} for row in turns),
    )
    write_rows(folder / "conversations.jsonl", map(sharegpt, turns))
    info = {"file_name": "conversations.jsonl", "formatting": "sharegpt"}
    name = f"tutelage_{run}"
    write_json(
        folder / "dataset_info.json", {name: {**info, "columns": {"messages": "conversations"}}}
    )
    with (folder / "axolotl.yaml").open("w", encoding="utf-8") as file:
        file.write(AXOLOTL)
    found = faults({"messages": row} for row in turns)
    _card(facts, run, folder, [mixed for mixed, _, _ in rows], found, escaped)
    notes = [f"{count} rows: {fault}" for fault, count in found.items()]
    notes += [f"{escaped} {NOTE}"] if escaped else []
    return "; ".join([f"the {len(rows)} rows of run {run} as chats", *notes])


def _rows(facts: Facts, run: str) -> Iterator[tuple[dict[str, Any], list[dict[str, str]], int]]:
    name = f"build/mix/{run}.jsonl"
    rows = read_rows(facts.file(name))
    next(rows)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        if row.get("api"):
            raise user_error(
                name, "E552", f"the run {run!r} is trained on plain text, not on chat turns",
                "choose a run without `format: text`",
            )  # fmt: skip
        answer = {"role": "assistant", "content": row["completion"]}
        turns, escaped = storable([*row["messages"], answer])
        yield row, turns, escaped
    if not count:
        raise user_error(
            name, "E552", f"the run {run!r} is trained on no row", "choose another run"
        )


def sharegpt(turns: list[dict[str, str]]) -> dict[str, Any]:
    """Messages as ShareGPT writes them."""
    return {
        "conversations": [{"from": HUMAN[turn["role"]], "value": turn["content"]} for turn in turns]
    }


def _card(
    facts: Facts,
    run: str,
    folder: Path,
    rows: list[dict[str, Any]],
    found: dict[str, int],
    escaped: int,
) -> None:
    counts = Counter((row["task"], row["strategy"]) for row in rows)
    licences = {task: facts.license_of(task) for task in sorted({task for task, _ in counts})}
    header = {
        "license": license_tag(licences.values()),
        "task_categories": ["text-generation"],
        "tags": ["reasoning", "distillation", "conversational"],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": f"{name}.jsonl"}]}
            for name in ("messages", "prompt_completion", "conversations")
        ],
    }
    write_card(
        folder,
        header,
        [
            f"# Training rows of run {plain(run)}",
            pairs({"teacher": facts.teacher, "commit": facts.commit, "rows": len(rows)}),
            table(
                ("file", "for"),
                [
                    ("messages.jsonl", "TRL, OpenAI fine-tuning, Axolotl (axolotl.yaml)"),
                    ("prompt_completion.jsonl", "TRL, loss on the completion alone"),
                    ("conversations.jsonl", "LLaMA-Factory (dataset_info.json), Axolotl"),
                ],
            ),
            "## Rows by task and strategy",
            table(("task", "strategy", "rows"), [(*key, counts[key]) for key in sorted(counts)]),
            "## Rules of the formats",
            table(("rows", "fault"), [(count, fault) for fault, count in found.items()])
            if found
            else "No row breaks one.",
            *([f"{escaped} {plain(NOTE)}."] if escaped else []),
            "## Licences",
            pairs(licences),
            "## Training here",
            settings_table(facts, run),
            "## Seeds",
            pairs(facts.seeds),
            "## Digests (SHA-256)",
            pairs(facts.digests([f"build/mix/{run}.jsonl"])),
        ],
    )
