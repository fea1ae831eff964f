"""Sweeps as they are written, and every mistake in them by its whole message."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.spec.load import load
from stages.sweeping.check import projects
from stages.sweeping.design import Sweep, load_sweep, sweep_files
from tests.projects import REPOSITORY, Copy

FILE = "specs/sweeps/mine.yaml"
PLAIN = """spec: 1
title: Rows
set:
  teach.samples: 2
  runs: {steps: {train_on: step_by_step}}
vary:
  teach.rows: [1, 2]
  train.learning_rate: [0.01, 0.02]
seeds: [3, 4]
x: {label: training rows, scale: log}
"""


def told(project: Copy, name: str = "mine") -> list[str]:
    try:
        projects(project.root, load_sweep(project.root, name))
    except UserError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("file", sweep_files(REPOSITORY), ids=lambda file: file.stem)
def test_shipped_sweeps_are_sound(file: Path) -> None:
    sweep = load_sweep(REPOSITORY, file.stem)
    assert sweep.title.isascii()
    if file.stem == "teacher_quality" and not (REPOSITORY / "data/reasoning-teacher").is_dir():
        pytest.skip("the published rows are not here")
    assert len(projects(REPOSITORY, sweep)) == len(sweep.points)


def test_points_are_whole_parameters(project: Copy) -> None:
    project.write(FILE, PLAIN)
    sweep = load_sweep(project.root, "mine")
    base = load(project.root / "params.yaml", project.root).data
    assert (sweep.seeds, sweep.axis, sweep.log) == ((3, 4), "training rows", True)
    assert [(point.name, point.slug, point.x) for point in sweep.points] == [
        ("1", "1", 1.0),
        ("2", "2", 2.0),
    ]
    expected = {
        **base,
        "teach": {**base["teach"], "samples": 2, "rows": 2},
        "runs": {"steps": {"train_on": "step_by_step"}},
        "train": {**base["train"], "learning_rate": 0.02, "seed": 4},
    }
    assert sweep.points[1].seeded(4) == expected
    assert sweep.points[0].seeded(3)["train"]["learning_rate"] == 0.01
    assert told(project) == []


def test_defaults(project: Copy) -> None:
    project.write(
        FILE, "spec: 1\ntitle: T\nvary: {student.model: [embedded, Org/M-1.5B, 'x/b c']}\n"
    )
    sweep = load_sweep(project.root, "mine")
    assert (sweep.seeds, sweep.axis, sweep.log) == ((1,), "student.model", False)
    assert [(point.name, point.slug, point.x) for point in sweep.points] == [
        ("embedded", "embedded", None),
        ("M-1.5B", "m-1-5b", None),
        ("b c", "b-c", None),
    ]


def test_a_recipe_stands_in_for_params(project: Copy) -> None:
    recipe = project.read("params.yaml").replace("epochs: 1", "epochs: 7")
    project.write("specs/recipes/long.yaml", recipe.replace("concurrency: 32", "concurrency: 1"))
    project.write(FILE, "spec: 1\ntitle: T\nrecipe: long\nvary: {teach.rows: [1]}\n")
    sweep: Sweep = load_sweep(project.root, "mine")
    made = sweep.points[0].seeded(1)
    assert made["train"]["epochs"] == 7
    assert made["runtime"]["concurrency"] == 32


CASES = [
    (
        "lists of unlike length",
        "  train.learning_rate: [0.01, 0.02]",
        "  »train.learning_rate: [0.01]",
        "E542 train.learning_rate has 1 values and teach.rows has 2",
        "lists go in step: give each path a value for every point",
    ),
    (
        "too few names",
        "seeds: [3, 4]",
        "»points: [one]",
        "E542 there are 1 names for 2 points",
        "name each point, or leave `points` out",
    ),
    (
        "a path twice",
        "  teach.samples: 2",
        "  teach.samples: 2\n  »teach.samples.x: 2",
        "E542 teach.samples.x is given twice, here and by teach.samples",
        "keep one",
    ),
    (
        "a path that is varied in part",
        "  teach.rows: [1, 2]",
        "  »teach: [{samples: 1}, {samples: 2}]",
        "E542 teach is given twice, here and by teach.samples",
        "keep one",
    ),
    (
        "the seed as a path",
        "  teach.samples: 2",
        "  »train.seed: 2",
        "E542 train.seed is what `seeds` gives",
        "take it out",
    ),
    (
        "all of train",
        "  train.learning_rate: [0.01, 0.02]",
        "  »train: [{}, {}]",
        "E542 train is what `seeds` gives",
        "name the keys under train",
    ),
    (
        "what cannot change a result",
        "  teach.samples: 2",
        "  »runtime.retries: 2",
        "E542 runtime.retries cannot change a result",
        "take it out",
    ),
    (
        "a path into a value",
        "  teach.samples: 2",
        "  »suites.first: 2",
        "E542 suites is no mapping, so it has no first",
        "",
    ),
    (
        "two points of one name",
        "  teach.rows: [1, 2]",
        "  teach.rows: [2, »2]",
        "E542 '2' and '2' make the same name of an experiment",
        "give each point a name of its own with `points`",
    ),
    (
        "a name without letters",
        "seeds: [3, 4]",
        "points: [one, »'…']",
        "E542 '…' makes no name of an experiment",
        "give each point a name of its own with `points`",
    ),
    (
        "an unknown key",
        "seeds: [3, 4]",
        "»seed: [3, 4]",
        "E111 unknown key 'seed' in the file",
        "did you mean 'seeds'?",
    ),
    (
        "a path with capitals",
        "  teach.samples: 2",
        "  »Teach.samples: 2",
        "E115 the key 'Teach.samples' of set does not match "
        r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$",
        "",
    ),
    (
        "no recipe of that name",
        "title: Rows",
        "title: Rows\nrecipe: »orca",
        "E541 there is no recipe 'orca'",
        "did you mean 'orca2'?",
    ),
    (
        "an unknown parameter",
        "  teach.samples: 2",
        "  »teach.sample: 2",
        "E111 unknown key 'sample' in teach",
        "did you mean 'samples'?",
    ),
    (
        "a value of another type",
        "  teach.rows: [1, 2]",
        "  teach.rows: [1, »two]",
        "E114 teach.rows must be of type integer or null, not string",
        "",
    ),
    (
        "a name that nothing has",
        "  teach.samples: 2",
        "  tasks: {symbolic: [»coin_flop]}",
        "E202 there is no task 'coin_flop'",
        "did you mean 'coin_flip'?",
    ),
    (
        "a section that is replaced lacks a key",
        "  teach.samples: 2",
        "  student: »{revision: null}",
        "E112 student lacks the key 'model'",
        "",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [case[1:] for case in CASES],
    ids=[case[0].replace(" ", "-") for case in CASES],
)
def test_one_mistake_is_one_whole_message(
    project: Copy, old: str, new: str, message: str, hint: str
) -> None:
    text = PLAIN.replace("\nx: {label: training rows, scale: log}", "")
    project.write(FILE, text)
    spot = project.edit(FILE, old, new)
    assert told(project) == [spot.says(message, hint)]


def test_a_log_scale_needs_numbers(project: Copy) -> None:
    text = "spec: 1\ntitle: T\nvary: {teach.rows: [1, null]}\nx: {scale: log}\n"
    project.write(FILE, text)
    spot = project.edit(FILE, "null", "»null")
    assert told(project) == [
        spot.says("E542 a log scale needs numbers above 0", "take x.scale out")
    ]


def test_more_solutions_than_the_rows_hold_are_found_before_anything_runs(project: Copy) -> None:
    project.write(FILE, PLAIN.replace("  teach.samples: 2\n", "  teach.samples: 9\n"))
    spot = project.edit(FILE, "samples: 9", "samples: »9")
    # each point uses another number of rows
    assert told(project) == [
        spot.says(
            f"E503 the recorded teacher has fewer than 9 step_by_step rationales for {rows} of "
            f"{rows} train rows of {task}, the first is {task}/train/0 with 8",
            "set teach.samples to 8, drop the strategy for this task, or put an LLM endpoint in "
            "the recorded teacher's place",
        )
        for rows in (1, 2)
        for task in ("coin_flip", "last_letter")
    ]


def test_no_sweep_of_that_name(project: Copy) -> None:
    assert told(project, "sample") == [
        "specs/sweeps: E541 there is no sweep 'sample'\n    hint: did you mean 'samples'?"
    ]


def test_mistakes_of_params_stand_where_they_are(project: Copy) -> None:
    project.write(FILE, PLAIN)
    spot = project.edit("params.yaml", "  batch_size: 4", "  batch_size: »0")
    assert told(project) == [spot.says("E116 train.batch_size: 0 is less than 1")]
