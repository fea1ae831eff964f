"""The stage as a whole, on files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from stages.core.errors import UserError
from stages.core.jsonl import canonical, read_json, read_rows, write_json, write_rows
from stages.curate import curate
from stages.curation import stream
from stages.curation.settings import Settings
from stages.scoring.judge import judge
from tests.curation.making import TASKS, TEXTS, item, row
from tests.projects import REPOSITORY, Copy

ALL = {
    "filter": "none",
    "max_tokens": 200,
    "decontaminate": {"ngram": 8},
    "near_duplicates": 0.7,
    "keep": {"shortest": 2},
    "floor": 2,
}


def taught(project: Copy) -> Path:
    """The shipped project up to the recorded teacher's rationales."""
    for stage in ("compile", "teacher"):
        done = project.run("-m", f"stages.{stage}")
        assert done.returncode == 0, done.stderr
    choice = {task: {"strategy": "step_by_step"} for task in ("coin_flip", "last_letter")}
    write_json(project.root / "build/selected/symbolic.json", choice)
    done = project.run("-m", "stages.teach", "symbolic")
    assert done.returncode == 0, done.stderr
    return project.root


def test_the_answer_filter_alone_writes_what_it_always_wrote(project: Copy) -> None:
    """The right ones in their order, the gold answer behind them, and no other key."""
    top = taught(project)
    source = top / "build/rationales/symbolic.jsonl"
    items = list(read_rows(source))
    items[1]["completion"] = "It is odd. The answer is perhaps."
    items[2]["finish_reason"] = "length"
    write_rows(source, items)
    done = project.run("-m", "stages.curate", "symbolic")
    assert done.stdout == (
        "curate symbolic: kept 4 of 6 rationales (dropped: 1 no answer found, 1 cut short), "
        "nothing kept of 2 of 6 rows\n"
    )
    suite = top / "build/compiled/suites/symbolic"
    rows = {line["id"]: line for line in read_rows(suite / "train.jsonl")}
    tasks = read_json(suite / "tasks.json")
    wanted = ""
    for each in items:
        verdict = judge(each["completion"], rows[each["id"]], tasks[each["task"]])
        if verdict.correct and each["finish_reason"] != "length":
            place = {key: each[key] for key in ("id", "task", "strategy", "sample")}
            answer = rows[each["id"]]["answer"]
            wanted += canonical({**place, "rationale": verdict.rationale, "answer": answer}) + "\n"
    assert (top / "build/curated/symbolic.jsonl").read_text(encoding="utf-8") == wanted
    header, *dropped = read_rows(top / "build/yield/symbolic.jsonl")
    assert header["counts"]["coin_flip"] == {
        "step_by_step": {"kept": 1, "no answer found": 1, "cut short": 1}
    }
    assert [line["reason"] for line in dropped] == ["no answer found", "cut short"]
    assert all(len(line) == 8 for line in dropped)


def test_the_default_loads_neither_torch_nor_the_tokenizer_nor_numpy(project: Copy) -> None:
    taught(project)
    code = (
        "import sys, stages.curate; sys.argv = ['', 'symbolic']; stages.curate.main()\n"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'numpy'} & set(sys.modules)))"
    )
    assert project.run("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.fixture
def suite(tmp_path: Path, tiny: Path) -> Path:
    """A suite of two tasks with four samples a row, some wrong, alike, long or of a test row."""
    folder = tmp_path / "build/compiled/suites/s"
    rows = [
        row(number, task=task, gold=gold, worked={"steps": f"By hand. The answer is {gold}."})
        for task, gold in (("sums", "4"), ("coins", "yes"))
        for number in range(300)
    ]
    rows[3]["question"] = TEXTS[2]
    write_json(folder / "tasks.json", TASKS)
    write_rows(folder / "train.jsonl", ({**each, "prompts": {}} for each in rows))
    write_rows(
        tmp_path / "build/rationales/s.jsonl",
        (
            item(
                each,
                sample,
                f"{TEXTS[(number + sample) % 5]} It is {number} then. {'Long. ' * (number % 40)}",
                each["gold"] if (number + sample) % 3 else "5",
            )
            for number, each in enumerate(rows)
            for sample in range(4)
        ),
    )
    tests = [{"id": "t/test/0", "task": "t", "question": TEXTS[2]}]
    write_rows(tmp_path / "build/compiled/tests.jsonl", tests)
    (tmp_path / "build/student").mkdir()
    shutil.copy(tiny / "tokenizer.json", tmp_path / "build/student")
    return tmp_path


def outputs(top: Path) -> list[bytes]:
    return [(top / f"build/{kind}/s.jsonl").read_bytes() for kind in ("curated", "yield")]


def test_every_rationale_is_kept_or_has_one_reason(suite: Path) -> None:
    summary = curate(suite, "s", Settings.of(ALL, suite))
    header, *dropped = read_rows(suite / "build/yield/s.jsonl")
    kept = list(read_rows(suite / "build/curated/s.jsonl"))
    samples = [line for line in kept if line["sample"] != "worked" and "copy" not in line]
    names = [(line["id"], line["sample"]) for line in (*samples, *dropped)]
    assert sorted(names) == sorted(
        (line["id"], line["sample"]) for line in read_rows(suite / "build/rationales/s.jsonl")
    )
    told = sum((Counter(header["counts"][task]["steps"]) for task in ("sums", "coins")), Counter())
    assert told == Counter(line["reason"] for line in dropped) + Counter(kept=len(samples))
    assert set(told) >= {"near-duplicate", "too long", "overlaps a test row"}
    assert summary.startswith(f"kept {len(samples)} of 2400 rationales (dropped: ")
    assert set(Counter(line["id"] for line in kept).values()) == {2}


def test_processes_write_the_same_bytes(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = curate(suite, "s", Settings.of(ALL, suite))
    alone = outputs(suite)
    monkeypatch.setattr(stream, "MANY", 0)
    monkeypatch.setattr(stream, "CHUNK", 100)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert curate(suite, "s", Settings.of(ALL, suite)) == summary
    assert outputs(suite) == alone


def test_processes_end_with_a_parent_that_is_killed(suite: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from stages.curation import stream\n"
        "from stages.curation.cases import Case\n"
        "from stages.curation.settings import Settings\n"
        "from stages.curation.measure import Measure\n"
        "if __name__ == '__main__':\n"
        "    stream.MANY, os.cpu_count = 0, lambda: 2\n"
        "    measure = Measure(Settings(), {}, None, Path())\n"
        "    row = dict.fromkeys(('id', 'task', 'question', 'gold', 'answer'), '')\n"
        "    cases = (Case({**row, 'options': [], 'worked': {}}, []) for _ in range(9))\n"
        "    cases = stream.measured(cases, Measure(Settings(), {'': {}}, None, Path()), 1)\n"
        "    next(cases)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(300)\n"
    )
    script = suite / "killed.py"
    script.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(child.is_running() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(children) >= 1


def test_rationales_of_other_rows_are_refused(suite: Path) -> None:
    source = suite / "build/rationales/s.jsonl"
    items = list(read_rows(source))
    write_rows(source, [*items[4:], items[0]])
    with pytest.raises(UserError) as caught:
        curate(suite, "s", Settings())
    assert str(caught.value) == (
        "build/rationales/s.jsonl: E515 there is no train row 'sums/train/0', or it is out of "
        "order\n    hint: run `dvc repro`, which writes it anew for the rows of today"
    )
    assert not (suite / "build/curated/s.jsonl").exists()
    assert list((suite / "build/yield").iterdir()) == []


def test_the_tokenizer_is_asked_for_where_tokens_count(suite: Path) -> None:
    (suite / "build/student/tokenizer.json").unlink()
    curate(suite, "s", Settings())
    with pytest.raises(UserError, match=r"build/student/tokenizer.json: E514 this does not exist"):
        curate(suite, "s", Settings(max_tokens=5))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            None,
            "sound.jsonl: E401 there is no such file\n    hint: paths start at the repository root",
        ),
        (
            [{"id": "a", "strategy": "s"}],
            "sound.jsonl: E403 row 1 has no 'sample'\n"
            "    hint: copy lines of build/curated, which have id, strategy and sample",
        ),
        (
            [
                {"id": "a", "strategy": "s", "sample": 0},
                {"id": "a", "strategy": "s", "sample": "x"},
            ],
            "sound.jsonl: E403 row 2 has the sample 'x', which is no number\n"
            "    hint: copy lines of build/curated, which have id, strategy and sample",
        ),
    ],
)
def test_a_file_of_sound_rationales_that_cannot_be_used(
    lines: list[Any] | None, problem: str, tmp_path: Path
) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines or [])
    if lines is not None:
        (tmp_path / "sound.jsonl").write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    section = {"filter": "answer", "sound": {"file": "sound.jsonl", "sha256": digest}}
    with pytest.raises(UserError) as caught:
        Settings.of(section, tmp_path)
    assert str(caught.value) == problem


def test_lines_of_the_curated_file_name_the_sound_ones(suite: Path) -> None:
    curate(suite, "s", Settings())
    kept = list(read_rows(suite / "build/curated/s.jsonl"))
    write_rows(suite / "sound.jsonl", kept[::7])
    digest = hashlib.sha256((suite / "sound.jsonl").read_bytes()).hexdigest()
    section = {"filter": "answer", "sound": {"file": "sound.jsonl", "sha256": digest}}
    curate(suite, "s", Settings.of(section, suite))
    assert list(read_rows(suite / "build/curated/s.jsonl")) == kept[::7]
    (suite / "sound.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"sound\.jsonl: E402 the file's sha256 is"):
        Settings.of(section, suite)
