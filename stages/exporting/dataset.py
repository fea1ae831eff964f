"""The curated rationales as Parquet files with a card, one configuration a suite.

``datasets.load_dataset(folder, suite)`` loads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from stages.core.jsonl import read_json, read_rows
from stages.exporting.card import pairs, plain, size_category, table, write_card
from stages.exporting.facts import Facts, license_tag
from stages.exporting.texts import storable

ROWS = 1000
"""Rows held in memory at a time."""
NOTE = (
    "texts held lone surrogates, which UTF-8 cannot hold: they stand here as the six characters "
    "\\udxxx"
)


def write(facts: Facts, suites: Sequence[str], folder: Path) -> str:
    """Write the folder; returns what it holds, in words."""
    counts: Counter[tuple[str, str, str]] = Counter()
    dropped: Counter[tuple[str, str, str]] = Counter()
    escaped = 0
    for suite in suites:
        kept, texts = _write(facts, suite, folder / "data" / f"{suite}.parquet")
        counts.update(kept)
        escaped += texts
        header = next(read_rows(facts.file(f"build/yield/{suite}.jsonl")))
        for task, strategies in header["counts"].items():
            for strategy, reasons in strategies.items():
                left = sum(n for reason, n in reasons.items() if reason != "kept")
                dropped[suite, task, strategy] += left
    rows = counts.total()
    _card(facts, suites, folder, counts, dropped, escaped)
    told = f"{rows} rationales of {', '.join(suites)} as Parquet"
    return f"{told}; {escaped} {NOTE}" if escaped else told


def _write(facts: Facts, suite: str, path: Path) -> tuple[Counter[tuple[str, str, str]], int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    message = pa.struct([("role", text), ("content", text)])
    schema = pa.schema(
        [
            ("id", text), ("suite", text), ("task", text), ("strategy", text),
            ("sample", pa.int64()), ("copy", pa.int64()), ("question", text),
            ("options", pa.list_(text)), ("gold", text), ("prompt", pa.list_(message)),
            ("rationale", text), ("answer", text),
        ]
    )  # fmt: skip
    counts: Counter[tuple[str, str, str]] = Counter()
    escaped = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = curated(facts, suite)
    with pq.ParquetWriter(path, schema) as writer:
        while part := list(islice(rows, ROWS)):
            counts.update((suite, row["task"], row["strategy"]) for row in part)
            stored = [storable(row) for row in part]
            escaped += sum(changed for _, changed in stored)
            writer.write_table(pa.Table.from_pylist([row for row, _ in stored], schema))
    return counts, escaped


def curated(facts: Facts, suite: str) -> Iterator[dict[str, Any]]:
    """Every kept rationale with the question that it answers and the prompt that was answered."""
    train = read_rows(facts.file(f"build/compiled/suites/{suite}/train.jsonl"))
    rows = {row["id"]: row for row in train}
    for item in read_rows(facts.file(f"build/curated/{suite}.jsonl")):
        row = rows[item["id"]]
        yield {
            "suite": suite,
            "copy": 0,
            **item,
            "question": row["question"],
            "options": row["options"],
            "gold": row["gold"],
            "prompt": row["prompts"][item["strategy"]]["messages"],
        }


def _card(
    facts: Facts,
    suites: Sequence[str],
    folder: Path,
    counts: Counter[tuple[str, str, str]],
    dropped: Counter[tuple[str, str, str]],
    escaped: int,
) -> None:
    tasks = [task for task in facts.tasks if task.suite in suites]
    licences = {f"{task.suite}/{task.id}": facts.license_of(task.id) for task in tasks}
    header = {
        "license": license_tag(licences.values()),
        "task_categories": ["text-generation"],
        "tags": ["reasoning", "distillation", "synthetic"],
        "size_categories": [size_category(counts.total())],
        "configs": [
            {
                "config_name": suite,
                "data_files": [{"split": "train", "path": f"data/{suite}.parquet"}],
                **({"default": True} if suite == suites[0] else {}),
            }
            for suite in suites
        ],
    }
    manifest = read_json(facts.file("build/manifest.json"))
    specs = {name: manifest["tasks"][name]["sha256"] for name in licences}
    files = [f"build/curated/{suite}.jsonl" for suite in suites]
    strategies = {name: manifest["strategies"][name]["sha256"] for _, _, name in sorted(counts)}
    write_card(
        folder,
        header,
        [
            f"# Rationales for {plain(', '.join(suites))}",
            "Answers with reasoning whose answer was verified against the gold answer, curated by "
            "[Tutelage](https://pypi.org/project/tutelage) for fine-tuning a smaller model. "
            "`prompt` is what was asked, `rationale` the reasoning, `answer` as it is stated.",
            pairs({"teacher": facts.teacher, "commit": facts.commit, "rows": counts.total()}),
            "## Rows by task and strategy",
            table(
                ("suite", "task", "strategy", "kept", "dropped"),
                [(*key, counts[key], dropped[key]) for key in sorted({*counts, *dropped})],
            ),
            *([f"{escaped} {plain(NOTE)}."] if escaped else []),
            "## Licences\n\nAs the task specs state them (`data.license`).",
            pairs(licences),
            "## Curation",
            pairs(facts.params.curate),
            "## Seeds",
            pairs(facts.seeds),
            "## Digests (SHA-256)",
            pairs({**facts.digests(files), **specs, **strategies}),
        ],
    )
