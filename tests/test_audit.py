"""`make audit`: whole pages of a suite with recorded solutions and of a teacher's rationales."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages import audit
from stages.core.errors import UserError
from stages.core.jsonl import write_json, write_rows
from tests.pipeline import edited
from tests.projects import REPOSITORY, Copy

DATA = REPOSITORY.parent / "shared" / "data" / "reasoning-teacher"
Run = Callable[..., str]

SPEC = """\
spec: 1
id: sums
title: Sums
data:
  source: {{file: data/sums.jsonl, sha256: {sha256}}}
  splits:
    test: {{from: test}}
    valid: {{from: train, take: 1, seed: 1}}
    probe: {{from: train, take: 1, seed: 1, after: valid}}
    train: {{from: train, seed: 1, after: probe}}
row:
  question: {{get: question}}
  gold: {{get: answer}}
  worked: {{step_by_step: {{get: rationale}}}}
answer:
  type: number
  extract: [{{after: The answer is}}, {{last: number}}]
strategies: [step_by_step]
examples:
  - {{completion: "The answer is 5.", answer: "5"}}
"""
ROWS = [
    ("a", "test", "0.75", "Half and a half of it. The answer is 3/4.", "3/4.", "3"),
    ("b", "train", "11", "9 and 2 make 11. The answer is eleven.", "eleven.", ""),
    ("c", "train", "5", "`2 + 3`\n```\n# 6\nThe answer is 6.", "6.", "6"),
    ("d", "train", "7", "I do not know.", "", ""),
    ("e", "train", "8", "The answer is 8.", "8.", "8"),
    ("e", "train", "8", "The answer is 8.", "8.", "8"),
]


@pytest.fixture
def run(project: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the stage in the project; returns what it said."""
    monkeypatch.chdir(project.root)

    def called(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["audit", *arguments])
        audit.main()
        return capsys.readouterr().out

    return called


def task(project: Copy, suite: str, rows: Any = ROWS) -> None:
    """A suite of one task whose file holds what its publisher read."""
    names = ("id", "split", "answer", "rationale", "answer_completion", "predicted")
    lines = [
        {**dict(zip(names, row, strict=False)), "question": f"Question {number}?"}
        for number, row in enumerate(rows, start=1)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    project.write("data/sums.jsonl", text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    project.write(f"specs/tasks/{suite}/sums.yaml", SPEC.format(sha256=sha256))


PAGE = """\
# Audit of the verifier: published_sums

The rationales are recorded with the tasks: every row of their sources, whatever split it is in. Of each task up to 2 accepted and 2 rejected ones are drawn with seed 3, each reason in its turn. Tick under each whether the verifier was right. Text in a box was written by a model or comes with the data: judge it, follow nothing in it.

| task | strategy | rationales | accepted | by the first rule | accuracy | publisher's accuracy | its statements read as numbers | rows that differ |
|---|---|---|---|---|---|---|---|---|
| sums | step_by_step | 6 | 4 | 50.00 % | 66.67 % (LOW to HIGH) | 33.33 % | 50.00 % | 2 |

Accuracy: rationales that are whole and whose answer verifies, with a 95 % interval. By the first rule: those of them whose answer stands where the task asks for it, as a share of all.

## Where the publisher reads otherwise

| row | stated | read here | by the publisher | gold | right for | why |
|---|---|---|---|---|---|---|
| `a` | `3/4.` | `0.75` | `3` | `0.75` | us | fraction |
| `b` | `eleven.` | `11` | - | `11` | us | words |

- fraction (1): a fraction, of which the publisher reads the numerator: 3 of 3/4 for 0.75
- words (1): the statement has no digits, so that another rule of the task read a number in the rationale: look whether it is what the words say

"""  # noqa: E501
REJECTED = """\
## sums: rejected

### 1. `d`, step_by_step, sample 1

Question:

```text
Question 4?
```

Rationale:

```text
I do not know.
```

Read: nothing. Gold: `7`. Verdict: rejected, `no answer found`. Publisher's reading: -.

[ ] right / [ ] wrong

### 2. `c`, step_by_step, sample 1

Question:

```text
Question 3?
```

Rationale:

````text
`2 + 3`
```
# 6
The answer is 6.
````

Read: `6`. Gold: `5`. Verdict: rejected, `wrong answer`. Publisher's reading: `6`.

[ ] right / [ ] wrong

"""


def test_recorded_solutions_of_every_row(project: Copy, run: Run) -> None:
    task(project, "published_sums")
    assert run("published_sums", "--rows", "2", "--seed", "3") == (
        "audit published_sums: 6 rationales, 4 accepted, 2 that the publisher reads otherwise; "
        "build/audit/published_sums.md\n"
    )
    page = (project.root / "build/audit/published_sums.md").read_text(encoding="utf-8")
    # rows of one name count as one question
    head, accepted, rejected = re.split("(?=^## sums)", page, flags=re.MULTILINE)
    low, high = re.findall(r"66\.67 % \((.*) to (.*)\)", head)[0]
    assert head == PAGE.replace("LOW", low).replace("HIGH", high)
    assert rejected == REJECTED
    reasons = re.findall(r"Verdict: accepted, `(.*)`\. ", accepted)
    assert reasons == ["rule 1 of 2, after: The answer is", "rule 2 of 2, last: number"]
    assert run("published_sums", "--rows", "2", "--seed", "3")
    assert (project.root / "build/audit/published_sums.md").read_text(encoding="utf-8") == page


def test_only_published_suites_have_a_publisher(project: Copy, run: Run) -> None:
    task(project, "shop")
    assert run("shop") == "audit shop: 6 rationales, 4 accepted; build/audit/shop.md\n"
    page = (project.root / "build/audit/shop.md").read_text(encoding="utf-8")
    assert "publisher" not in page
    assert page.count("\n[ ] right / [ ] wrong\n") == 6


def taught(project: Copy) -> None:
    """A teacher that is no record, and what it wrote for two rows."""
    with edited(project.root / "params.yaml") as params:
        params["teacher"] = {"engine": "openai", "model": "m", "base_url": "http://localhost"}
    folder = project.root / "build/compiled/suites/symbolic"
    rule = {"type": "yes_no", "extract": [{"after": "The answer is"}]}
    write_json(folder / "tasks.json", {"coin_flip": {"answer": rule}})
    names = [f"coin_flip/train/{number}" for number in range(2)]
    write_rows(folder / "train.jsonl", (
        {"id": name, "task": "coin_flip", "question": "Heads?", "gold": "yes", "options": [],
         "answer": "yes", "worked": {}, "prompts": {}, "student": {}, "variables": {}}
        for name in names
    ))  # fmt: skip
    common = {"task": "coin_flip", "strategy": "direct", "finish_reason": "stop", "error": ""}
    write_rows(project.root / "build/rationales/symbolic.jsonl", [
        {**common, "id": names[0], "sample": 0, "completion": "The answer is yes."},
        {**common, "id": names[0], "sample": 1, "completion": "The answer is no."},
        {**common, "id": names[1], "sample": 0, "completion": "The answer is yes",
         "finish_reason": "length"},
        {**common, "id": names[1], "sample": 1, "completion": "", "error": "content filter"},
    ])  # fmt: skip


def test_rationales_of_a_teacher(project: Copy, run: Run) -> None:
    taught(project)
    assert run("symbolic") == "audit symbolic: 4 rationales, 1 accepted; build/audit/symbolic.md\n"
    page = (project.root / "build/audit/symbolic.md").read_text(encoding="utf-8")
    assert "The rationales are those that the teacher wrote for the train rows. " in page
    assert "| coin_flip | direct | 4 | 1 | 25.00 % | 25.00 % (" in page
    verdicts = re.findall(
        r"### \d\. `([^`]*)`, direct, sample (\d).*?Verdict: (.*?)\.\n", page, re.S
    )
    assert verdicts == [
        ("coin_flip/train/0", "1", "accepted, `rule 1 of 1, after: The answer is`"),
        ("coin_flip/train/1", "1", "rejected, `cut short`"),
        ("coin_flip/train/1", "2", "rejected, `refused by the endpoint`"),
        ("coin_flip/train/0", "2", "rejected, `wrong answer`"),
    ]


def failure(run: Run, *arguments: str) -> str:
    with pytest.raises(UserError) as caught:
        run(*arguments)
    return "\n".join(map(str, caught.value.problems))


def test_mistakes(project: Copy, run: Run) -> None:
    assert failure(run, "symbolc") == (
        "command line: E513 there is no suite 'symbolc'\n    hint: did you mean 'symbolic'?"
    )
    assert failure(run, "symbolic", "--rows", "0") == (
        "command line: E513 --rows is 0\n    hint: ask for 1 or more"
    )
    task(project, "shop", [("a", "train", "5")])
    assert failure(run, "shop") == (
        "specs/tasks/shop/sums.yaml: E410 a: there is no field rationale\n"
        "    hint: run `make check`, which shows where"
    )
    project.edit("specs/tasks/shop/sums.yaml", "  worked: {step_by_step: {get: rationale}}\n", "")
    assert failure(run, "shop") == (
        "specs/tasks/shop: E514 no task of this suite has recorded solutions\n"
        "    hint: name the suite in params.yaml and run `dvc repro`, so that a teacher is asked"
    )
    with edited(project.root / "params.yaml") as params:
        params["teacher"] = {"engine": "openai", "model": "m", "base_url": "http://localhost"}
    assert failure(run, "symbolic") == (
        "build/rationales/symbolic.jsonl: E514 this does not exist yet\n"
        "    hint: run `dvc repro`, which makes it"
    )


def test_a_file_that_is_not_there_is_left_out(project: Copy, run: Run) -> None:
    task(project, "shop")
    (project.root / "data/sums.jsonl").unlink()
    assert failure(run, "shop").startswith("specs/tasks/shop: E514 ")
    told = project.run("-m", "stages.audit", "shop").stdout
    assert told == "left out: sums, as data/sums.jsonl is not there\n"


# suite: by task rows, accuracy by the first rule, the publisher's, that with its statements read
# as numbers, rows that differ
FIGURES = {
    "published_arithmetic": {
        "addsub": ("395", "73.67 %", "69.62 %", "73.67 %", "16"),
        "multiarith": ("600", "78.67 %", "78.67 %", "78.67 %", "0"),
        "single_eq": ("508", "81.30 %", "77.95 %", "81.30 %", "17"),
        "svamp": ("1,000", "62.10 %", "62.10 %", "62.10 %", "0"),
    },
    "published_other": {"tracking_shuffled_objects": ("750", "52.40 %", "52.40 %", "52.40 %", "0")},
    "published_symbolic": {"coin_flip": ("500", "91.40 %", "91.40 %", "91.40 %", "0")},
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the published completions are not at ../shared/data")
@pytest.mark.parametrize("suite", FIGURES)
def test_the_published_teacher(project: Copy, run: Run, suite: str) -> None:
    """The known figures, which tests/scoring/test_calibration.py has by the rules themselves."""
    for path in (REPOSITORY / f"specs/tasks/{suite}").glob("*.yaml"):
        project.write(f"specs/tasks/{suite}/{path.name}", path.read_text(encoding="utf-8"))
    (project.root / "data").mkdir()
    (project.root / "data/reasoning-teacher").symlink_to(DATA)
    run(suite)
    page = (project.root / f"build/audit/{suite}.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\w+) \| zero_shot_cot \| ([\d,]+) \| [\d,]+ \| ([\d.]+ %) \| .*? \| ([\d.]+ %) "
        r"\| ([\d.]+ %) \| (\d+) \|$", page, re.MULTILINE,
    )  # fmt: skip
    assert {task: tuple(rest) for task, *rest in rows} == FIGURES[suite]
    whys = re.findall(r"^- (\w+) \((\d+)\)", page, re.MULTILINE)
    if suite == "published_arithmetic":
        assert dict(whys) == {
            "spelling": "4", "rounding": "11", "fraction": "16", "point": "2",
        }  # fmt: skip
    else:
        assert whys == []


def test_the_page_is_not_written_when_something_is_wrong(project: Copy, run: Run) -> None:
    task(project, "shop", [("a", "train", "5")])
    failure(run, "shop")
    assert not Path(project.root / "build/audit").exists()
