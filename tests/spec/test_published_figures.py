"""The shipped published figures against the project's facts, and mistakes in such files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.spec.published import Figures, load_published
from tests.projects import REPOSITORY, Copy

FACTS = Path(__file__).resolve().parents[3] / "shared" / "facts.md"
FILE = "specs/published/orca2.yaml"
COLUMNS = {
    "Single": "single_eq", "Add": "addsub", "Multi": "multiarith", "GSM8K": "gsm8k",
    "AQUA": "aqua", "SVAMP": "svamp", "Date": "date_understanding",
    "Shuf": "tracking_shuffled_objects", "Last": "last_letter_concatenation", "Coin": "coin_flip",
    "CSQA": "commonsense_qa", "Strat": "strategy_qa", "AGIEval": "agieval", "BBH": "bbh",
    "DROP": "drop", "CRASS": "crass", "RACE": "race",
}  # fmt: skip
# the facts' names of rows: ours
ROWS = {
    "chance": ("chance", ""),
    "teacher, zero-shot-CoT 175B": ("zero-shot-CoT", "the teacher 175B"),
    "GPT-2 zero-shot 124M": ("zero-shot", "GPT-2 124M"),
    "GPT-2 few-shot-CoT 124M": ("few-shot-CoT", "GPT-2 124M"),
    "GPT-2 plain fine-tune 124M": ("plain fine-tuning", "GPT-2 124M"),
    "GPT-2 Fine-tune-CoT 124M": ("Fine-tune-CoT", "GPT-2 124M"),
    "GPT-2 + diverse 124M": ("Fine-tune-CoT, diverse", "GPT-2 124M"),
    "GPT-2 Fine-tune-CoT 774M": ("Fine-tune-CoT", "GPT-2 774M"),
    "ada Fine-tune-CoT 0.3B": ("Fine-tune-CoT", "ada 0.3B"),
    "ada + diverse 0.3B": ("Fine-tune-CoT, diverse", "ada 0.3B"),
    "curie Fine-tune-CoT 6.7B": ("Fine-tune-CoT", "curie 6.7B"),
    "curie + diverse 6.7B": ("Fine-tune-CoT, diverse", "curie 6.7B"),
    "Orca-2-13B": ("Orca 2", "Orca-2-13B"),
    "Orca-2-7B": ("Orca 2", "Orca-2-7B"),
    "LLaMA-2-Chat-70B": ("as it came", "LLaMA-2-Chat-70B"),
    "WizardLM-13B": ("as it came", "WizardLM-13B"),
}


def tables() -> list[list[dict[str, str]]]:
    """The tables of the facts, each row by the names of its columns."""
    found, rows = [], list[list[str]]()
    for line in [*FACTS.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            head, _, *body = rows
            found.append([dict(zip(head, row, strict=True)) for row in body])
            rows = []
    return found


@pytest.mark.skipif(not FACTS.is_file(), reason="the list of known figures is not at ../shared")
def test_every_figure_is_as_it_is_known() -> None:
    cot, orca = load_published(REPOSITORY)
    held = {(row.method, row.who): row for row in (*cot.rows, *orca.rows)}
    known = {}
    sizes, accuracies, benchmarks = (
        table for table in tables() if {"SingleEq", "Single", "AGIEval"} & table[0].keys()
    )
    for row in (*accuracies, *benchmarks):
        name = f"{row.get('method', '')}{row.get('model', '')} {row.get('size', '')}".strip()
        if name == "GPT-3.5 Turbo / GPT-4":
            means = [held["as it came", who].mean for who in ("GPT-3.5 Turbo", "GPT-4")]
            assert " / ".join(map(str, means)) == row["mean"]
            continue
        figures = held[ROWS[name]]
        known[ROWS[name]] = {
            COLUMNS[column]: float(cell)
            for column, cell in row.items() if column in COLUMNS and re.match("[0-9]", cell)
        }  # fmt: skip
        mean = re.match(r"[0-9.]+", row.get("mean", ""))
        assert figures.mean == (float(mean[0]) if mean else None)
        beside = re.search(r"\((.*)\)", row.get("mean", ""))
        assert not beside or beside[1].replace(" with", "") in figures.note.replace(" with", "")
    files = held.pop(("zero-shot-CoT", "the teacher of the six published files 175B"))
    unnamed = {("as it came", "GPT-3.5 Turbo"), ("as it came", "GPT-4")}
    assert held.keys() - unnamed == known.keys()
    assert {key: row.accuracy for key, row in held.items() if key in known} == known
    # the publisher's reading of the six files, which tests/scoring/test_calibration.py counts
    assert files.accuracy == {
        "single_eq": 77.95, "addsub": 69.62, "multiarith": 78.67, "svamp": 62.10,
        "tracking_shuffled_objects": 52.40, "coin_flip": 91.40,
    }  # fmt: skip
    assert [f"{task['train']}/{task['test']}" for task in cot.tasks.values()] == list(
        sizes[0].values()
    )


def test_what_the_files_say_of_themselves() -> None:
    cot, orca = load_published(REPOSITORY)
    assert (cot.id, cot.beside, orca.id, orca.beside) == (
        "fine_tune_cot", ("published_", "paper_"), "orca2", ("orca2",),
    )  # fmt: skip
    assert [(row.method, row.who) for row in cot.rows if row.reference] == [
        ("Fine-tune-CoT", "GPT-2 124M")
    ]
    assert not any(row.reference for row in orca.rows)
    assert {row.source for row in orca.rows} == {orca.source}
    assert cot.holds("published_symbolic")
    assert not cot.holds("symbolic")
    assert orca.rows[3] == Figures("as it came", "WizardLM-13B", {}, orca.source, 50.32)


CASES = [
    ("beside: [orca2]", "»besides: [orca2]\nbeside: [orca2]",
     "E111 unknown key 'besides' in the file", "did you mean 'beside'?"),
    ("id: orca2", "id: »orca_2", "E201 the id is 'orca_2' but the file is called orca2.yaml",
     "write id: orca2, or rename the file"),
    ("drop: 57.97, crass: 86.86", "»dorp: 57.97, crass: 86.86", "E202 there is no task 'dorp'",
     "did you mean 'drop'?"),
    ("drop: 57.97, crass: 86.86", "drop: »570, crass: 86.86",
     "E116 rows.0.accuracy.drop: 570 is more than 100", ""),
    ("  bbh: {suite: orca2_bbh}", "  bbh: »{suite: orca2_bbh, task: bbh}",
     "E116 tasks.bbh: holds keys that exclude each other", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message", "hint"), CASES)
def test_mistakes(project: Copy, old: str, new: str, message: str, hint: str) -> None:
    spot = project.edit(FILE, old, new)
    with pytest.raises(UserError) as caught:
        load_published(project.root)
    assert [str(problem) for problem in caught.value.problems] == [spot.says(message, hint)]


def test_a_project_without_figures(project: Copy) -> None:
    for path in (project.root / "specs/published").glob("*"):
        path.unlink()
    assert load_published(project.root) == []
