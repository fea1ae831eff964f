"""`make store`: what is held, and answers out of the store and into it."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from stages import compile as compile_stage
from stages import store as tool
from stages.core.errors import UserError
from stages.core.jsonl import read_json, read_rows, write_json, write_rows
from stages.engines.ask import sampling, teacher_engine
from stages.engines.desk import StoreDesk, replay
from stages.engines.request import Completion, Request
from stages.engines.store import Store, default_path
from stages.spec.read import load_params
from stages.teaching.chain import Asking
from stages.teaching.rationales import jobs, wanted
from tests.projects import REPOSITORY, Copy

PATH = ".cache/responses/responses.sqlite3"
URL = "http://127.0.0.1:9/v1"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def ask(question: str, about: str, model: str = "m@1") -> Request:
    return Request("https://api", model, (("user", question),), 64, about=about, row="r")


def fill() -> None:
    about = "symbolic/coin_flip/direct"
    with Store(default_path()) as store:
        store.put_many(
            [
                (ask("1", about), Completion("a", "stop", 1000, 20, usd=0.25)),
                (ask("2", about), Completion("b", "length", 1000, 64, usd=0.5)),
                (ask("3", "symbolic/last_letter/direct"), Completion("c", "stop", 10, 3)),
                (ask("4", about), Completion("", "error", 0, 0, "HTTP 400")),
                (ask("5", about, "[n]"), Completion("", "content_filter", 5, 5)),
                (ask("6", ""), Completion("d", "stop", 5, 5)),
            ]
        )
        store.lose("x", "https://api", "m@1", 0.125, "attempts that failed")
        store.lose("y", "https://api", "m@1", 0.125, "attempts that failed")
        store.lose("z", "https://api", "m@1", 1, "a run that was killed")
        columns = [column[1] for column in store.db.execute("PRAGMA table_info(batches)")]
        for state in ("open", "ended", "intended"):
            row = [state if column == "state" else f"{column} {state}" for column in columns]
            store.db.execute(f"INSERT INTO batches VALUES ({', '.join('?' * len(row))})", row)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> list[str]:
    monkeypatch.setattr("sys.argv", ["store", *arguments])
    tool.main()
    return capsys.readouterr().out.splitlines()


def cells(lines: list[str]) -> list[list[str]]:
    return [re.split(r"\s*│\s*", line.strip("│ ")) for line in lines if line.startswith("│")]


def refused(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.argv", ["store", *arguments])
    with pytest.raises(UserError) as caught:
        tool.main()
    return str(caught.value)


def test_before_there_is_a_store(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    none = [f"store: there is none yet at {PATH}"]
    assert run(monkeypatch, capsys) == none
    assert run(monkeypatch, capsys, "check") == none
    assert json.loads("\n".join(run(monkeypatch, capsys, "--format", "json"))) == {
        "path": PATH, "bytes": 0, "answers": 0, "spent_usd": 0.0, "open_batches": 0, "lines": [],
        "lost": [],
    }  # fmt: skip
    assert refused("export", "a", monkeypatch=monkeypatch) == (
        f"{PATH}: E514 this does not exist yet\n    hint: run `dvc repro`, which makes it"
    )
    assert [path.name for path in place.iterdir()] == ["params.yaml"]


def test_what_is_held(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill()
    lines = run(monkeypatch, capsys)
    assert cells(lines) == [
        ["[n]", "direct", "1", "5", "5", "0", "1", "0.0000"],
        ["m@1", "?", "1", "5", "5", "0", "0", "0.0000"],
        ["m@1", "direct", "4", "2,010", "87", "1", "1", "0.7500"],
    ]
    size = default_path().stat().st_size
    assert lines[-3:] == [
        "  lost: a run that was killed (1), 1.0000 USD",
        "  lost: attempts that failed (2), 0.2500 USD",
        f"store: {PATH}, {size / 1e6:.1f} MB; 6 answers, 2.0000 USD spent in all; "
        "2 batches under way",
    ]
    assert [line[1:5] for line in cells(run(monkeypatch, capsys, "--all"))] == [
        ["symbolic", "coin_flip", "direct", "1"],
        ["?", "?", "?", "1"],
        ["symbolic", "coin_flip", "direct", "3"],
        ["symbolic", "last_letter", "direct", "1"],
    ]
    told = json.loads("\n".join(run(monkeypatch, capsys, "--all", "--format", "json")))
    assert told["lines"][2] == {
        "model": "m@1", "suite": "symbolic", "task": "coin_flip", "strategy": "direct",
        "answers": 3, "prompt_tokens": 2000, "completion_tokens": 84, "cut_short": 1, "refused": 1,
        "usd": 0.75,
    }  # fmt: skip
    assert told["lost"][1] == {"reason": "attempts that failed", "entries": 2, "usd": 0.25}
    assert [told[key] for key in ("path", "bytes", "answers", "spent_usd", "open_batches")] == [
        PATH, size, 6, 2.0, 2,
    ]  # fmt: skip


def test_out_in_merged_and_checked(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill()
    assert run(monkeypatch, capsys, "export", "a.jsonl.gz") == [
        "export: 6 answers and lost money (3) in a.jsonl.gz"
    ]
    assert run(
        monkeypatch, capsys, "export", "b", "--about", "symbolic/last", "--model", "m@1"
    ) == ["export: 1 answers and lost money (3) in b"]
    assert run(monkeypatch, capsys, "export", "c", "--model", "[n]") == ["export: 1 answers in c"]
    (place / ".cache").rename(place / "old")
    assert run(monkeypatch, capsys, "import", "b", "c") == [
        "import: 2 answers added, 0 held already; 1.2500 USD spent in all"
    ]
    assert run(monkeypatch, capsys, "import", "a.jsonl.gz") == [
        "import: 4 answers added, 2 held already; 2.0000 USD spent in all"
    ]
    assert run(monkeypatch, capsys, "export", "d.gz") == [
        "export: 6 answers and lost money (3) in d.gz"
    ]
    assert Path("d.gz").read_bytes() == Path("a.jsonl.gz").read_bytes()
    assert run(monkeypatch, capsys, "check") == ["check: 6 answers, all sound"]

    other = Path("old/responses/responses.sqlite3")
    with Store(other) as store:
        store.db.execute("UPDATE completions SET created = 'elsewhere'")
    assert run(monkeypatch, capsys, "merge", str(other)) == [
        "merge: 0 answers added, 6 held already, 2 of these bought twice; 2.7500 USD spent in all"
    ]
    assert run(monkeypatch, capsys, "merge", str(other)) == [
        "merge: 0 answers added, 6 held already; 2.7500 USD spent in all"
    ]


def test_damage_is_told_and_ends_with_2(place: Path) -> None:
    fill()
    with Store(default_path()) as store:
        store.db.execute("UPDATE completions SET prompt = '0' WHERE about = ''")
        key = store.db.execute("SELECT key FROM completions WHERE about = ''").fetchone()[0]
    done = Copy(place).run("-m", "stages.store", "check")
    damage = (
        f"{PATH}: E616 answer {key[:12]}… ( r): 'prompt' is not that of the request\n    hint: "
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(damage + "move the store aside")
    (place / ".cache").rename(place / "old")
    done = Copy(place).run("-m", "stages.store", "merge", "old/responses/responses.sqlite3")
    assert (done.returncode, done.stdout) == (
        2,
        "merge: 5 answers added, 0 held already, 1 damaged entries left out; "
        "2.0000 USD spent in all\n",
    )
    assert done.stderr.startswith(damage.replace(".cache", "old") + "it was left out")
    assert Copy(place).run("-m", "stages.store", "check").stdout == "check: 5 answers, all sound\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exprt"], "argument COMMAND: invalid choice: "),
        (["export"], "the following arguments are required: file"),
        (["import"], "the following arguments are required: file"),
        (["merge", "a", "b"], "unrecognized arguments: b"),
        (["--format", "xml"], "argument --format: invalid choice: "),
    ],
)
def test_wrong_arguments(
    place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    told = refused(*arguments, monkeypatch=monkeypatch)
    assert told.startswith(f"command line: E513 {message}")
    assert told.endswith("\n    hint: see `python -m stages.store --help`")


def test_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(monkeypatch=monkeypatch) == (
        "params.yaml: E511 there is no params.yaml in this folder\n"
        "    hint: run from the top of the repository"
    )


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ([], ""),
        (["EXPORT=a.gz"], "export a.gz"),
        (["IMPORT=a b.gz"], "import a b.gz"),
        (["MERGE=../x/s"], "merge ../x/s"),
        (["CHECK=1"], "check"),
        (["REFILL=1"], "refill"),
    ],
)
def test_make_store(variables: list[str], arguments: str) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--assume-old=setup",
         "--assume-old=.venv/.installed", "store", *variables],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    command = done.stdout[done.stdout.index("python -m stages.store") :].replace("\\\n", " ")
    assert " ".join(command.split()) == f"python -m stages.store {arguments}".strip()


@pytest.fixture
def taught(project: Copy, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A project whose teacher was asked on another machine."""
    project.edit("params.yaml", "engine: recorded", "engine: openai")
    project.edit("params.yaml", "model: null", "model: some-model")
    project.edit("params.yaml", "base_url: null", f"base_url: {URL}")
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return project


def made(top: Path) -> Any:
    """The jobs of the suite, anew at each call."""
    params, folder = load_params(top), top / "build/compiled/suites/symbolic"
    engine = teacher_engine(params.teacher, params.runtime, top / "build/teacher", None)
    asking = Asking(engine, "symbolic", read_json(folder / "calls.json"), sampling(params.teacher))
    tasks = read_json(folder / "tasks.json")
    selected = read_json(top / "build/selected/symbolic.json")
    strategies = {name: wanted(task, selected[name]) for name, task in tasks.items()}
    return lambda: jobs(read_rows(folder / "train.jsonl"), tasks, strategies, params.teach, asking)


def test_refill_takes_the_answers_of_the_last_output(
    taught: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused("refill", monkeypatch=monkeypatch) == (
        "build/compiled/suites/symbolic/tasks.json: E514 this does not exist yet\n"
        "    hint: run `dvc repro`, which makes it"
    )
    compile_stage.run(check_only=False, quiet=True)
    choice = {task: {"strategy": "step_by_step"} for task in ("coin_flip", "last_letter")}
    write_json(taught.root / "build/selected/symbolic.json", choice)
    assert run(monkeypatch, capsys, "refill") == ["refill symbolic: 0 answers added"]

    asked = made(taught.root)
    with Store(taught.root / "elsewhere") as store:
        desk, count = StoreDesk(asked(), store), 0
        while request := desk.next():
            count += 1
            desk.deliver([(request, Completion(f"half \ud83d {count}", "stop", 9, 4, usd=1.0))])
        records = list(chain.from_iterable(replay(asked(), store)))
    write_rows(taught.root / "build/rationales/symbolic.jsonl", records)
    assert count == len(records) == 6

    assert run(monkeypatch, capsys, "refill") == ["refill symbolic: 6 answers added"]
    assert run(monkeypatch, capsys, "refill") == ["refill symbolic: 0 answers added"]
    with Store(default_path()) as store:
        assert list(chain.from_iterable(replay(asked(), store))) == records
        assert store.spent() == 0
    assert run(monkeypatch, capsys, "check") == ["check: 6 answers, all sound"]


def test_refill_of_a_recorded_teacher_and_of_a_bad_project(
    project: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    assert run(monkeypatch, capsys, "refill") == [
        "refill: the recorded teacher answers from the rows themselves; nothing to store"
    ]
    project.edit("params.yaml", "engine: recorded", "engine: openai")
    assert "E502" in refused("refill", monkeypatch=monkeypatch)
    assert not (project.root / ".cache").exists()
