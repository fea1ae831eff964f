from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.core.jsonl import canonical
from stages.engines import store as store_module
from stages.engines.request import Completion, Request
from stages.engines.store import Store, default_path

ROOT = Path(__file__).parents[2]


def ask(question: str, max_tokens: int = 64) -> Request:
    return Request("local", "m@1", (("user", question),), max_tokens)


def done(text: str, spent: int = 3) -> Completion:
    return Completion(text, "stop", 5, spent)


def test_default_path_is_shared_by_dvc_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", "/repo")
    assert default_path() == Path("/repo/.cache/responses/responses.sqlite3")
    monkeypatch.delenv("DVC_ROOT")
    assert default_path() == Path(".cache/responses/responses.sqlite3")


def test_put_then_get_from_a_new_connection(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "s.sqlite3"
    pairs = [(ask(f"q{i}"), done(f"a{i}")) for i in range(1203)]
    with Store(path) as store:
        store.put_many(pairs)
        assert store.count() == {("local", "m@1"): 1203}
    with Store(path) as store:
        held = store.get_many([request for request, _ in pairs] + [ask("never asked")])
    assert held == [*(completion for _, completion in pairs), None]


@pytest.mark.parametrize("text", ["", "Grüße 🙂", "half \ud83d pair", "nul \0 byte", '"\\\n'])
def test_any_text_survives(tmp_path: Path, text: str) -> None:
    odd = Completion(text, "stop", 0, 0, text)
    request = ask("say " + text)
    with Store(tmp_path / "s") as store:
        store.put_many([(request, odd)])
        assert store.get_many([request]) == [odd]


def test_a_paid_answer_is_never_overwritten(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.put_many([(ask("q"), done("first"))])
        store.put_many([(ask("q"), done("second")), (ask("r"), done("other"))])
        assert [item and item.text for item in store.get_many([ask("q")])] == ["first"]
        assert store.count() == {("local", "m@1"): 2}


@pytest.mark.parametrize(
    ("held", "limit", "wanted", "serves"),
    [
        (Completion("a", "stop", 5, 40), 64, 64, True),
        (Completion("a", "stop", 5, 40), 64, 128, True),
        (Completion("a", "stop", 5, 40), 64, 40, True),
        (Completion("a", "stop", 5, 40), 64, 39, False),
        (Completion("a", "content_filter", 5, 4), 64, 128, True),
        (Completion("a", "length", 5, 64), 64, 64, True),
        (Completion("a", "length", 5, 64), 64, 128, False),
        (Completion("a", "length", 5, 64), 64, 32, False),
        (Completion("", "error", 0, 0, "too long"), 64, 64, True),
        (Completion("", "error", 0, 0, "too long"), 64, 128, True),
        (Completion("", "error", 0, 0, "too long"), 64, 32, False),
    ],
)
def test_which_limits_an_answer_serves(
    tmp_path: Path, held: Completion, limit: int, wanted: int, serves: bool
) -> None:
    with Store(tmp_path / "s") as store:
        store.put_many([(ask("q", limit), held)])
        assert store.get_many([ask("q", wanted)]) == [held if serves else None]


def test_the_very_same_limit_is_preferred(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        for limit in (256, 64, 128):
            store.put_many([(ask("q", limit), done(f"under {limit}"))])
        limits = (64, 128, 256, 999)
        found = store.get_many([ask("q", wanted) for wanted in limits])
        texts = {wanted: item and item.text for wanted, item in zip(limits, found, strict=True)}
    assert texts == {64: "under 64", 128: "under 128", 256: "under 256", 999: "under 64"}


def test_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store(path) as store:
        store.put_many([(ask("paid"), done("kept"))])
        pages = store.db.execute("PRAGMA page_count").fetchone()[0]
        store.db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(UserError) as caught:
            store.put_many([(ask(f"q{i}"), done("x" * 9000)) for i in range(9)])
        assert str(caught.value) == (
            f"{path}: E601 no space left on the disk that holds the response store\n"
            "    hint: free some space and run `dvc repro` again; everything stored before is kept"
        )
        store.db.execute("PRAGMA max_page_count = 1000000")
        store.put_many([(ask("later"), done("kept too"))])
    with Store(path) as store:
        assert store.count() == {("local", "m@1"): 2}


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("not a database, but long enough to be looked at " * 50)
    with pytest.raises(UserError) as caught:
        Store(path)
    assert str(caught.value) == (
        f"{path}: E602 the response store cannot be read: file is not a database\n"
        "    hint: put a good copy in its place, or move it aside without deleting it, as it may "
        "hold paid answers; a new one is made on the next run"
    )
    assert path.read_text().startswith("not a database")


def test_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "s"
    requests = [ask(f"q{i}") for i in range(200)]
    with Store(path) as store:
        store.put_many([(request, done("x" * 500)) for request in requests])
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with Store(path) as store, pytest.raises(UserError) as caught:
        store.get_many(requests)
    assert str(caught.value) == (
        f"{path}: E602 the response store cannot be read: database disk image is malformed\n"
        "    hint: put a good copy in its place, or move it aside without deleting it, as it may "
        "hold paid answers; a new one is made on the next run"
    )


def test_a_newer_layout_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    before = path.read_bytes()
    with pytest.raises(UserError) as caught:
        Store(path)
    assert str(caught.value) == (
        f"{path}: E602 the response store has layout 7, and this version of Tutelage knows "
        "layouts up to 2\n    hint: update Tutelage; the store was left as it is"
    )
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "s"
    with pytest.raises(UserError) as caught:
        Store(path)
    assert str(caught.value) == (
        f"{path}: E602 the response store cannot be written: File exists\n"
        "    hint: make the file and its folder writable; nothing was lost"
    )


def test_a_store_that_another_process_keeps_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WAIT", 0.05)
    path = tmp_path / "s"
    with Store(path) as first, Store(path) as second:
        first.db.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError) as caught:
            second.put_many([(ask("q"), done("a"))])
        first.db.execute("ROLLBACK")
    assert str(caught.value) == (
        f"{path}: E602 another process kept the response store locked for 0 s\n"
        "    hint: wait for it or stop it, then run `dvc repro` again"
    )


WRITER = """
import sys
from pathlib import Path
from stages.engines.request import Completion, Request
from stages.engines.store import Store

who = sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
with Store(Path(sys.argv[1])) as store:
    for i in range(30):
        names = [f"{who}-{i}-{j}" for j in range(5)] + [f"both-{i}"]
        store.put_many([
            (Request("local", "m@1", (("user", name),), 64), Completion(who, "stop", 1, 1))
            for name in names
        ])
"""


def test_processes_share_one_store_from_its_first_second(tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen(
            [*command, who], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for who in ("a", "b", "c")
    ]
    for writer in writers:
        assert writer.stdout and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=30)
        assert writer.returncode == 0
    with Store(path) as store:
        assert store.count() == {("local", "m@1"): 3 * 30 * 5 + 30}


def test_a_copy_of_the_file_is_a_whole_store(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.put_many([(ask("q"), done("a"))])
    shutil.copy(tmp_path / "s", tmp_path / "copy")
    with Store(tmp_path / "copy") as store:
        assert store.count() == {("local", "m@1"): 1}


def layout_1(path: Path, request: str) -> None:
    """A store as the first version wrote it, with one answer."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE completions (key TEXT NOT NULL, max_tokens INTEGER NOT NULL, endpoint "
            "TEXT NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL, text TEXT NOT NULL, "
            "finish_reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens "
            "INTEGER NOT NULL, error TEXT NOT NULL, created TEXT NOT NULL, "
            "PRIMARY KEY (key, max_tokens))"
        )
        row = (
            ask("q").key, 64, "local", "m@1", request, '"paid \\ud83d"', "stop", 5, 3, '""',
            "2026-11-01T00:00:00+00:00",
        )  # fmt: skip
        db.execute(f"INSERT INTO completions VALUES ({', '.join('?' * 11)})", row)
        db.execute("PRAGMA user_version = 1")
        db.commit()


def test_a_store_of_the_first_layout_is_taken_over(tmp_path: Path) -> None:
    layout_1(tmp_path / "s", canonical(ask("q").identity()))
    with Store(tmp_path / "s") as store:
        assert store.get_many([ask("q")]) == [Completion("paid \ud83d", "stop", 5, 3)]
        assert store.spent() == 0.0
    with Store(tmp_path / "s") as store:
        assert store.count() == {("local", "m@1"): 1}


def test_a_damaged_store_of_the_first_layout_is_left_alone(tmp_path: Path) -> None:
    layout_1(tmp_path / "s", '{"model":"m@1"}')
    with pytest.raises(UserError, match=f"E602 .* the answer {ask('q').key} is damaged"):
        Store(tmp_path / "s")
    with closing(sqlite3.connect(tmp_path / "s")) as db:
        assert db.execute("SELECT COUNT(*) FROM completions").fetchone() == (1,)


def test_log_probabilities_serve_whoever_needs_none(tmp_path: Path) -> None:
    plain, rich = Completion("a", "stop", 5, 3), Completion("b", "stop", 5, 3, logprobs="[]")
    wants = replace(ask("q"), top_logprobs=3)
    with Store(tmp_path / "s") as store:
        store.put_many([(wants, rich)])
        assert store.get_many([ask("q"), replace(wants, top_logprobs=2)]) == [rich, rich]
        assert store.holds([ask("q"), wants, replace(wants, top_logprobs=4)]) == [True, True, False]
        store.put_many([(ask("q"), plain)])
        assert store.get_many([ask("q"), wants]) == [plain, rich]


def test_what_is_held_is_what_is_got(tmp_path: Path) -> None:
    kinds = ("stop", 10, ""), ("length", 64, ""), ("error", 0, "no")
    requests = [ask(f"q{i}", limit) for i in range(3) for limit in (8, 32, 64, 128)]
    with Store(tmp_path / "s") as store:
        store.put_many(
            [
                (ask(f"q{i}", 64), Completion("", finish, 5, spent, error))
                for i, (finish, spent, error) in enumerate(kinds)
            ]
        )
        assert store.holds(requests) == [found is not None for found in store.get_many(requests)]


def test_money_is_what_was_paid_and_what_was_lost(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.put_many([(ask("q"), Completion("a", "stop", 5, 3, usd=0.25))])
        store.put_many([(ask("q"), Completion("again", "stop", 5, 3, usd=0.25))])
        store.lose("run", "local", "m@1", 1.5, "under way")
        assert store.spent() == 1.75
        store.lose("run", "local", "m@1", 0.5, "under way")
        assert store.spent() == 0.75
        store.lose("run", "local", "m@1", 0.0, "under way")
        assert store.spent() == 0.25
