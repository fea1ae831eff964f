"""Task specs whose rows come from the Hub, compiled on made-up rows in the data sets' layouts."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.compiler.build import write
from stages.compiler.check import check, checked
from stages.compiler.overlap import template_of
from stages.compiler.prompts import Renderer
from stages.compiler.rows import SPLITS, Rows, task_rows
from stages.core.jsonl import read_json, read_rows
from stages.data import hub
from stages.scoring.extract import extract
from stages.scoring.verify import stated, verify
from stages.spec.model import Task
from stages.spec.read import load_project, load_specs
from tests.projects import REPOSITORY, Copy
from tests.spec.hub_rows import Made, load, load_few, made

SPECS = load_specs(REPOSITORY)[0]
TASKS = [key for key, task in SPECS.tasks.items() if "hub" in task.source]
SUITES = list(dict.fromkeys(suite for suite, _ in TASKS))
# train, probe, valid, test. The first three are the published train rows, or 900 of thousands.
SIZES = {
    ("benchmarks", "aime_2024"): (30, 24, 6, 30),
    ("benchmarks", "aime_2025"): (0, 0, 0, 30),
    ("benchmarks", "amc_2023"): (15, 24, 4, 40),
    ("benchmarks", "arc_challenge"): (1119, 48, 100, 1172),
    ("benchmarks", "commonsense_qa"): (900 - 148, 48, 100, 1221),
    ("benchmarks", "olympiadbench"): (0, 0, 0, 674),
    ("benchmarks", "strategy_qa"): (1603 - 148, 48, 100, 687),
    ("orca2", "drop"): (1000, 48, 100, 300),
    ("orca2", "gsm8k"): (900 - 148, 48, 100, 1319),
    ("orca2", "race_high"): (1000, 48, 100, 300),
    ("orca2_agieval", "aqua_rat"): (10_000 - 148, 48, 100, 254),
    ("orca2_agieval", "logiqa_en"): (0, 0, 0, 651),
    ("orca2_agieval", "lsat_ar"): (0, 0, 0, 230),
    ("orca2_agieval", "lsat_lr"): (0, 0, 0, 510),
    ("orca2_agieval", "lsat_rc"): (0, 0, 0, 269),
    ("orca2_agieval", "sat_en"): (0, 0, 0, 206),
    ("orca2_agieval", "sat_en_without_passage"): (0, 0, 0, 206),
    ("orca2_agieval", "sat_math"): (0, 0, 0, 220),
    ("orca2_bbh", "causal_judgement"): (0, 0, 0, 187),
    ("orca2_bbh", "movie_recommendation"): (0, 0, 0, 249),
    ("orca2_bbh", "penguins_in_a_table"): (0, 0, 0, 146),
    ("orca2_bbh", "ruin_names"): (0, 0, 0, 248),
    ("orca2_bbh", "snarks"): (0, 0, 0, 178),
    ("paper_arithmetic", "aqua"): (10_000 - 148, 48, 100, 254),
    ("paper_arithmetic", "gsm8k"): (900 - 148, 48, 100, 1319),
    ("paper_arithmetic", "multiarith"): (420 - 66, 24, 42, 180),
    ("paper_arithmetic", "svamp"): (700 - 94, 24, 70, 300),
    ("paper_commonsense", "commonsense_qa"): (900 - 148, 48, 100, 1221),
    ("paper_commonsense", "strategy_qa"): (1603 - 148, 48, 100, 687),
    ("paper_other", "date_understanding"): (175 - 41, 24, 17, 75),
    ("paper_other", "tracking_shuffled_objects"): (175 - 41, 24, 17, 75),
}
BBH_SIZE = (0, 0, 0, 250)
MADE: dict[str, dict[str, Rows]] = {}
BY_TEMPLATE = {"multiarith_template": 600, "date_understanding_template": 250}


def test_the_suites_are_whole() -> None:
    assert Counter(suite for suite, _ in TASKS) == {
        "benchmarks": 7, "orca2": 3, "orca2_agieval": 8, "orca2_bbh": 27,
        "paper_arithmetic": 5, "paper_commonsense": 2, "paper_other": 3,
    }  # fmt: skip


def _rows(key: tuple[str, str]) -> dict[str, Rows]:
    """The task's rows; those of tasks that differ in their names alone are made once."""
    document = SPECS.task_document(SPECS.tasks[key]).data
    like = json.dumps({name: document[name] for name in ("data", "row")}, sort_keys=True)
    if like not in MADE:
        task = SPECS.tasks[key]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hub, "load", load)
            MADE[like] = task_rows(task, REPOSITORY, SPECS.task_document(task))
    return MADE[like]


def _expected(task: Task) -> dict[str, Made]:
    """By question, what each row of the splits that the spec names must come to."""
    source = task.source
    rows = [
        row
        for split in {split["from"] for split in task.splits.values()}
        for row in made(source["hub"], source.get("config"), split)
    ]
    if task.id == "sat_en_without_passage":
        rows = [row._replace(question=row.question.rpartition("Q: ")[2]) for row in rows]
    return {row.question: row for row in rows}


@pytest.mark.parametrize("key", TASKS)
def test_rows_become_questions(key: tuple[str, str]) -> None:
    found, expected = _rows(key), _expected(SPECS.tasks[key])
    for row in (row for split in SPLITS for row in found[split]):
        wanted = expected[row.question]
        assert row[2:5] == (wanted.question, wanted.gold, wanted.options)
    sizes = tuple(len(found[split]) for split in SPLITS)
    if key[1] in BY_TEMPLATE:
        _templates_are_apart(found, BY_TEMPLATE[key[1]])
    else:
        assert sizes == SIZES.get(key, BBH_SIZE)
    assert [s for s, size in zip(SPLITS, sizes, strict=True) if size] == [
        split for split in SPLITS if split in SPECS.tasks[key].splits
    ]


def _templates_are_apart(found: dict[str, Rows], total: int) -> None:
    templates = {split: {template_of(row.question) for row in found[split]} for split in SPLITS}
    assert sum(map(len, templates.values())) == len(set().union(*templates.values()))
    sizes = [len(found[split]) for split in SPLITS]
    assert total * 0.8 <= sum(sizes) <= total


@pytest.mark.parametrize("key", TASKS)
def test_golds_are_met_by_their_statement_alone(key: tuple[str, str]) -> None:
    task, tested = SPECS.tasks[key], _rows(key)["test"][:8]
    for row in tested:
        said = f"Because of that. {task.marker} {stated(row.gold, task.answer_type)}."
        answer = extract(said, task.extract, task.answer_type, row.options).answer
        if row.gold != "no answer on record":
            assert verify(answer, row.gold, task.answer_type, row.options), (said, answer)
        for other in tested:
            same = verify(other.gold, row.gold, task.answer_type, row.options)
            assert verify(answer, other.gold, task.answer_type, row.options) == same


@pytest.fixture
def suites(project: Copy) -> Copy:
    """The copy with the suites here as well, three rows a split."""
    for suite in SUITES:
        folder = f"specs/tasks/{suite}"
        shutil.copytree(REPOSITORY / folder, project.root / folder)
        for path in (project.root / folder).glob("*.yaml"):
            path.write_text(re.sub(r"take: \d+", "take: 3", path.read_text("utf-8")), "utf-8")
    return project


def is_taught(key: tuple[str, str]) -> bool:
    return "train" in SPECS.tasks[key].splits


def _run(project: Copy, suite: str) -> None:
    """Names the suite in params.yaml, with a teacher that may be asked for every strategy."""
    params: dict[str, Any] = yaml.safe_load(project.read("params.yaml"))
    params |= {
        "suites": [suite],
        "tasks": {},
        "teacher": {"engine": "openai", "model": "m", "base_url": "http://localhost:1/v1"},
        "probe": {"strategies": "all", "max_tokens": 64},
        "runs": {"measured": {"method": "zero_shot"}},
    }
    taught = [name for key, name in TASKS if key == suite and is_taught((key, name))]
    if taught:
        for kind in ("answers", "selected"):
            params["runs"][kind] = {"train_on": kind, "tasks": list(taught)}
    project.write("params.yaml", yaml.safe_dump(params))


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_compiles(suite: str, suites: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "load", load_few)
    _run(suites, suite)
    manifest = write(*checked(suites.root), suites.root / "out")
    names = [name for key, name in TASKS if key == suite]
    assert list(manifest["tasks"]) == [f"{suite}/{name}" for name in names]
    folder = suites.root / f"out/suites/{suite}"
    assert list(read_json(folder / "tasks.json")) == names
    asked = {row["task"]: row for row in read_rows(folder / "probe.jsonl")}
    taught = {row["task"]: row for row in read_rows(folder / "train.jsonl")}
    tested = {row["task"] for row in read_rows(suites.root / "out/runs/measured/test.jsonl")}
    assert tested == set(names)
    assert set(asked) == set(taught) == {name for name in names if is_taught((suite, name))}
    for name in taught:
        task = SPECS.tasks[suite, name]
        assert list(asked[name]["prompts"]) == sorted(task.strategies)
        for row in (asked[name], taught[name]):
            for strategy, prompt in row["prompts"].items():
                said = prompt["messages"][-1]["content"]
                assert row["question"] in said, (name, strategy)
        assert taught[name]["student"]["answers"][-1]["content"] == taught[name]["question"]


@pytest.mark.parametrize("key", TASKS)
def test_few_shot_prompts_show_the_exemplars(key: tuple[str, str]) -> None:
    task = SPECS.tasks[key]
    if "few_shot_cot" not in task.strategies:
        assert not task.exemplars
        return
    project, problems = load_project(SPECS)
    assert project and problems == []
    row = _rows(key)["test"][0]
    messages = Renderer(project).asked(SPECS.strategies["few_shot_cot"], task, row)
    said = messages[-1]["content"]
    assert said.endswith(f"Q: {row.question}\nA:")
    for exemplar in task.exemplars:
        worked = f"{exemplar['rationale']} {task.marker} {exemplar['answer']}."
        assert f"Q: {exemplar['question']}\nA: {worked}" in said
        options = _lettered(exemplar["question"]) if task.answer_type == "choice" else ()
        answer = extract(worked, task.extract, task.answer_type, options).answer
        assert verify(answer, exemplar["answer"], task.answer_type, options)


def _lettered(question: str) -> tuple[str, ...]:
    parts = question.replace("\n(", " (").split(" (")[1:]
    return tuple(part.partition(") ")[2] for part in parts)


@pytest.mark.parametrize("key", TASKS)
def test_examples_show_an_answer_and_none(key: tuple[str, str]) -> None:
    examples = SPECS.tasks[key].examples
    assert len(examples) >= 3
    assert {example["answer"] is None for example in examples} == {True, False}


def test_nothing_is_fetched_for_a_suite_that_is_not_run(
    suites: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> Any:
        raise AssertionError(f"the hub was asked for {arguments}")

    monkeypatch.setattr(hub, "load", refuse)
    assert check(suites.root)


def test_the_hub_s_library_reads_slices_and_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "repo"
    folder.mkdir()
    for split, numbers in (("train", range(6)), ("test", range(6, 9))):
        lines = "".join(json.dumps({"n": n}) + "\n" for n in numbers)
        (folder / f"{split}.jsonl").write_text(lines)

    def numbers_of(split: str) -> list[int]:
        return [row["n"] for row in hub.load(str(folder), None, "0" * 40, split)]

    assert numbers_of("train[4:]") == [4, 5]
    assert numbers_of("train+test") == list(range(9))
    assert numbers_of("train[:2]+train[3:5]+train[5:]") == [0, 1, 3, 4, 5]
