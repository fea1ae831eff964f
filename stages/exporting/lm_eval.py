"""A run's test rows as tasks of lm-evaluation-harness, asked and scored as here.

Source of the fields: lm-evaluation-harness, ``docs/task_guide.md`` and ``docs/new_task_guide.md``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.core.jsonl import atomic, read_json, read_rows, write_json, write_rows
from stages.exporting import harness
from stages.exporting.card import pairs, plain, table, write_card
from stages.exporting.facts import Facts
from stages.exporting.texts import storable

TASK = """\
task: {task}
custom_dataset: !function utils.rows
dataset_kwargs: {{task: {name}}}
test_split: test
output_type: generate_until
description: system
doc_to_text: user
doc_to_target: gold
target_delimiter: ""
generation_kwargs: {{until: {until}, max_gen_toks: {limit}, do_sample: false}}
process_results: !function utils.process_results
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""
GROUP = """\
group: {group}
task: {tasks}
aggregate_metric_list: [{{metric: acc, aggregation: mean, weight_by_size: false}}]
metadata: {{version: 1.0}}
"""


def write(facts: Facts, run: str, folder: Path) -> str:
    """Write the folder; returns what it holds, in words.

    Raises:
        UserError: E552 for a run that is asked in several calls, or in turns that the harness
            cannot put.
    """
    source = facts.file(f"build/compiled/runs/{run}")
    calls = read_json(source / "calls.json")["calls"]
    if calls:
        raise user_error(
            f"build/compiled/runs/{run}", "E552",
            f"the run {run!r} is asked in several calls ({', '.join(sorted(calls))}), "
            "which the harness cannot do", "choose another run",
        )  # fmt: skip
    tasks = read_json(source / "tasks.json")
    chosen = next(read_rows(facts.file(f"build/mix/{run}.jsonl")))["strategies"]
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    chat, escaped = True, 0
    for row in read_rows(source / "test.jsonl"):
        chat = chat and "api" not in row
        made, count = storable(_row(row, chosen, run))
        groups[row["task"]].append(made)
        escaped += count
    write_json(folder / "scoring.json", {n: {"answer": t["answer"]} for n, t in tasks.items()})
    shutil.copyfile(Path(harness.__file__), folder / "utils.py")
    for name, rows in groups.items():
        write_rows(folder / f"{name}.jsonl", rows)
        stop = tasks[name]["answer"].get("stop")
        values = {
            "task": f"tutelage_{run}_{name}", "name": name,
            "until": json.dumps([stop] if stop else []),
            "limit": facts.params.evaluate["max_tokens"],
        }  # fmt: skip
        with atomic(folder / f"{name}.yaml") as file:
            file.write(TASK.format(**values))
    group = f"tutelage_{run}"
    members = json.dumps([f"{group}_{name}" for name in groups])
    with atomic(folder / f"_{run}.yaml") as file:
        file.write(GROUP.format(group=group, tasks=members))
    rows_by_task = {name: len(rows) for name, rows in groups.items()}
    _card(facts, run, folder, rows_by_task, chat)
    told = f"the {sum(rows_by_task.values())} test rows of run {run} as {len(groups)} tasks"
    return f"{told}; {escaped} texts have lone surrogates written out" if escaped else told


def _row(row: Mapping[str, Any], chosen: Mapping[str, str], run: str) -> dict[str, Any]:
    asked = row["prompts"][chosen[row["task"]]] if "prompts" in row else row
    turns = asked["messages"]
    system = turns[0]["content"] if turns[0]["role"] == "system" else ""
    rest = turns[1:] if turns[0]["role"] == "system" else turns
    if [turn["role"] for turn in rest] != ["user"]:
        raise user_error(
            f"build/compiled/runs/{run}/test.jsonl", "E552",
            f"the row {row['id']} is asked in more turns than one of the user",
            "choose another run",
        )  # fmt: skip
    return {
        "id": row["id"], "task": row["task"], "system": system, "user": rest[0]["content"],
        "gold": row["gold"], "options": row["options"],
    }  # fmt: skip


def _card(facts: Facts, run: str, folder: Path, rows: Mapping[str, int], chat: bool) -> None:
    flag = " --apply_chat_template" if chat else ""
    command = "lm_eval --model hf --model_args pretrained=STUDENT --include_path . --tasks"
    write_card(
        folder,
        {"tags": ["lm-evaluation-harness"]},
        [
            f"# Test rows of run {plain(run)}",
            f"    {command} tutelage_{run}{flag}",
            "`utils.py` finds and verifies answers with the `stages.scoring` of Tutelage, so that "
            "Tutelage must be importable. "
            + (
                "The system message goes through the chat template."
                if chat
                else "The rows are plain text, without a chat template."
            ),
            table(
                ("task", "rows", "licence"),
                [(name, count, facts.license_of(name)) for name, count in rows.items()],
            ),
            pairs({"commit": facts.commit}),
            "## Digests (SHA-256)",
            pairs(facts.digests([f"build/compiled/runs/{run}/test.jsonl"])),
        ],
    )
