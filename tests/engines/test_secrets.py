"""The key is planted, and then looked for wherever anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stages.core.errors import UserError
from stages.engines.request import Answers
from stages.engines.store import Store
from tests.engines.teacher_server import Raw, Teacher, asks, chat, engine, failed, run

ROOT = Path(__file__).parents[2]
KEY = "sk-planted/0123456789+abcdef"
PLANTED = "0123456789"


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTELAGE_KEY", KEY)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Every file that the test leaves behind, looked through when it ends."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found: list[Path] = []
    yield found
    found += [path for path in tmp_path.rglob("*") if path.is_file()]
    assert found
    for path in found:
        assert PLANTED.encode() not in path.read_bytes(), path


def told(error: BaseException) -> str:
    """All that a traceback, with the values in it, or a log would show."""
    shown = [*traceback.format_exception(error), repr(error), str(vars(error))]
    return "\n".join(shown)


def stopped(store: Store, to: Any, count: int = 1) -> UserError:
    with pytest.raises(UserError) as caught:
        run(store, to, asks(count))
    return caught.value


def test_the_key_is_sent_where_it_belongs(teacher: Teacher, store: Store) -> None:
    run(store, engine(teacher, key_env="TUTELAGE_KEY"), asks(1))
    assert f"Authorization: Bearer {KEY}".encode() in teacher.heads[0]


def test_a_refusal_that_quotes_the_key(
    teacher: Teacher, store: Store, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.reply = lambda n, body: failed(401, f"Incorrect API key provided: {KEY}.")
    error = stopped(store, engine(teacher, key_env="TUTELAGE_KEY"))
    assert str(error) == (
        f"{teacher.url}: E605 the server refused the key in TUTELAGE_KEY (HTTP 401: Incorrect API "
        "key provided: [key])\n"
        "    hint: 0 answers were stored: correct the key and run `dvc repro` again to go on"
    )
    assert PLANTED not in told(error) + "".join(capsys.readouterr())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    teacher: Teacher, store: Store, files: list[Path], status: int
) -> None:
    with Teacher() as other:
        to = f"http://me:{quote(KEY, safe='')}@127.0.0.1:{other.port}/v1/{KEY}/chat?key={KEY}#{KEY}"
        teacher.reply = lambda n, body: Raw(status, headers={"Location": to})
        error = stopped(store, engine(teacher, key_env="TUTELAGE_KEY"), 20)
        assert str(error) == (
            f"{teacher.url}: E605 this base URL leads elsewhere (HTTP {status}: "
            f"http://127.0.0.1:{other.port}/v1/[key]/chat)\n"
            "    hint: 0 answers were stored: correct the base URL and run `dvc repro` again to "
            "go on"
        )
        assert PLANTED not in told(error)
        assert other.calls == 0
        assert teacher.calls <= 8


@pytest.mark.parametrize("where", ["", "//[oops", "/elsewhere"])
def test_redirects_that_lead_to_no_server(teacher: Teacher, store: Store, where: str) -> None:
    headers = {"Location": where} if where else {}
    teacher.reply = lambda n, body: Raw(303, headers=headers)
    error = stopped(store, engine(teacher, key_env="TUTELAGE_KEY"))
    told = "HTTP 303: /elsewhere" if where == "/elsewhere" else "HTTP 303"
    assert str(error).startswith(f"{teacher.url}: E605 this base URL leads elsewhere ({told})\n")


@pytest.mark.usefixtures("impatient")
def test_a_header_that_breaks_the_protocol_and_quotes_the_key(
    teacher: Teacher, store: Store, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.reply = lambda n, body: Raw(headers={f"Echo {KEY}": f"Bearer {KEY}\x00"})
    error = stopped(store, engine(teacher, key_env="TUTELAGE_KEY", retries=1))
    assert "E606 a request failed in 2 attempts (400, message=" in str(error)
    assert "Echo [key]" in str(error)
    assert PLANTED not in told(error) + "".join(capsys.readouterr())


@pytest.mark.usefixtures("impatient")
def test_a_server_that_fails_and_quotes_the_key(
    teacher: Teacher, store: Store, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.reply = lambda n, body: failed(500, f"boom {KEY}") if n <= 6 else chat()
    run(store, engine(teacher, key_env="TUTELAGE_KEY", concurrency=8), asks(20))
    out, err = capsys.readouterr()
    assert "fails (HTTP 500: boom [key]); asking it again now and then" in out
    assert PLANTED not in out + err


def test_what_is_rescued_holds_no_key(
    teacher: Teacher, store: Store, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put_many

    def full(to: Store, pairs: Answers) -> None:
        if to.path == store.path:
            to.db.execute("PRAGMA max_page_count = 1")
        put(to, pairs)

    monkeypatch.setattr(Store, "put_many", full)
    teacher.reply = lambda n, body: failed(400, f"not {KEY}") if n == 2 else chat("x" * 10_000)
    error = stopped(store, engine(teacher, key_env="TUTELAGE_KEY"), 8)
    assert "E601 no space left on the disk" in str(error)
    assert "make store IMPORT=" in str(error)
    assert PLANTED not in told(error)


BUG = """
import asyncio, sys
from pathlib import Path
from stages.core.console import entry
from stages.engines import outcomes, pool
from stages.engines.store import Store
from tests.engines.teacher_server import asks, engine, run

def broken(*_, **__):
    raise RuntimeError("a bug")

where = sys.argv[3]
if where == "answer":
    outcomes.Outcomes.answered = broken
elif where == "send":
    pool.Pool._send = broken
elif where == "ended":
    pool.Pool._ended = broken
else:
    Store.put_many = broken

def main():
    with Store(Path(sys.argv[2])) as store:
        run(store, engine(sys.argv[1], key_env="TUTELAGE_KEY"), asks(3))

entry(main)
"""


@pytest.mark.parametrize("where", ["answer", "send", "store"])
def test_a_bug_tells_no_key(
    teacher: Teacher, tmp_path: Path, files: list[Path], where: str
) -> None:
    (tmp_path / "any").write_text("")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", BUG, teacher.url, "s", where],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "RuntimeError: a bug" in done.stderr
    assert "never retrieved" not in done.stderr
    assert PLANTED not in done.stdout + done.stderr


def test_no_part_of_the_engine_shows_the_key(teacher: Teacher, store: Store) -> None:
    to = engine(teacher, key_env="TUTELAGE_KEY")
    run(store, to, asks(3))
    assert PLANTED not in repr(to) + repr(vars(to)) + repr(to.flow) + repr(to.purse)
