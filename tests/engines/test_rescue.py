"""A store that cannot take what was paid for."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import pytest

from stages.core.errors import UserError, user_error
from stages.engines import intake
from stages.engines.fulfil import fulfil
from stages.engines.prices import Price
from stages.engines.request import Answers, Completion, Job, Request
from stages.engines.rescue import rescue
from stages.engines.store import Store
from stages.engines.terms import Purse
from tests.engines.helpers import silent
from tests.engines.teacher_server import Teacher, asks, chat, engine, held, run

PRICE = Price(1.0, 2.0, "stated")
LONG = "x" * 20_000


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def pages(store: Store, count: int) -> None:
    """A disk that has room for so many more pages."""
    used = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {used + count}")


def test_what_a_full_disk_cannot_take_is_rescued(
    teacher: Teacher, store: Store, temporary: Path
) -> None:
    made = chat(LONG)
    made["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": 0, "top_logprobs": []}]}
    teacher.reply, teacher.latency = lambda n, body: made, lambda in_flight: 0.05
    pages(store, 300)
    wanted = asks(500, about="suite/task/plan", row="row-1", top_logprobs=1)
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher, concurrency=8), wanted, PRICE, 100.0)
    [path] = temporary.glob("tutelage-*/answers.jsonl")
    stored, asked = held(store), teacher.calls
    assert 0 < stored < asked < 500
    count = asked - stored
    assert str(caught.value) == (
        f"{store.path}: E601 no space left on the disk that holds the response store\n"
        "    hint: free some space and run `dvc repro` again; everything stored before is kept; "
        f"{count} more answers are in {path}: take them in with `make store IMPORT={path}` before "
        "anything is asked again"
    )
    # what was under way was waited for: the last batch that did not fit, and what was in flight
    assert count <= 32 + 8 + 8
    header, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert header["count"] == count == len(lines)
    by_key = {request.key: request for request in wanted}
    for line in lines:
        request = by_key[line["key"]]
        assert line["request"] == request.identity()
        assert (line["max_tokens"], line["top_logprobs"]) == (64, 1)
        assert (line["about"], line["row"]) == ("suite/task/plan", "row-1")
        assert (line["text"], line["finish_reason"]) == (LONG, "stop")
        assert line["logprobs"] == '[["x",0,[]]]'
        assert (line["prompt_tokens"], line["completion_tokens"]) == (5, 3)
        assert line["usd"] == pytest.approx(11e-6)
    assert sorted(item.name for item in path.parent.iterdir()) == ["answers.jsonl"]
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_size > 20_000 * count) == (
        0o700,
        True,
    )

    store.db.execute("PRAGMA max_page_count = 1000000")
    intake.load(store, [path])
    assert held(store) == asked
    teacher.bodies.clear()
    result = run(store, engine(teacher, concurrency=8), wanted, PRICE, 100.0)
    assert (result.held, result.generated, teacher.calls) == (asked, 500 - asked, 500 - asked)
    # nothing was paid for twice, and nothing is booked for the run that had to stop
    assert store.spent() == pytest.approx(500 * 11e-6)


def test_what_finds_room_in_the_end_is_stored(
    teacher: Teacher, store: Store, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first commit fails, and while what is under way is waited for, space is freed."""
    teacher.latency = lambda in_flight: 0.0 if teacher.calls == 1 else 0.5
    put, full = Store.put_many, user_error("s", "E601", "no space left", "free some space")

    def once(to: Store, pairs: Answers) -> None:
        monkeypatch.setattr(Store, "put_many", put)
        raise full

    monkeypatch.setattr(Store, "put_many", once)
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher, concurrency=8), asks(500), PRICE, 100.0)
    assert str(caught.value) == "s: E601 no space left\n    hint: free some space"
    assert held(store) == teacher.calls >= 4
    assert list(temporary.iterdir()) == []
    assert store.spent() == pytest.approx(teacher.calls * 11e-6)


def test_a_temporary_folder_that_is_full_as_well(
    teacher: Teacher, store: Store, temporary: Path
) -> None:
    teacher.reply = lambda n, body: chat(LONG)
    pages(store, 300)
    temporary.rmdir()
    with pytest.raises(UserError) as caught:
        run(store, engine(teacher, concurrency=8), asks(500), PRICE, 100.0)
    stored, asked = held(store), teacher.calls
    assert str(caught.value) == (
        f"{store.path}: E601 no space left on the disk that holds the response store\n"
        "    hint: free some space and run `dvc repro` again; everything stored before is kept; "
        f"{asked - stored} more answers are lost, as {temporary} cannot be written either "
        "(No such file or directory)"
    )
    # their money is not forgotten
    assert store.spent() >= asked * 11e-6
    store.db.execute("PRAGMA max_page_count = 1000000")
    before = teacher.calls
    assert run(store, engine(teacher), asks(500), PRICE, 100.0).generated == 500 - stored
    assert teacher.calls - before == 500 - stored


def test_a_store_that_is_locked_for_too_long(
    teacher: Teacher, store: Store, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.db.execute("PRAGMA busy_timeout = 200")
    with Store(store.path) as beside:
        beside.db.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError) as caught:
            run(store, engine(teacher), asks(8))
        beside.db.execute("ROLLBACK")
    [path] = temporary.glob("tutelage-*/answers.jsonl")
    assert re.sub("[1-8] more", "8 more", str(caught.value)) == (
        f"{store.path}: E602 another process kept the response store locked for 60 s\n"
        "    hint: wait for it or stop it, then run `dvc repro` again; 8 more answers are in "
        f"{path}: take them in with `make store IMPORT={path}` before anything is asked again"
    )
    asked = teacher.calls
    intake.load(store, [path])
    assert run(store, engine(teacher), asks(8)).held == asked


def test_nothing_is_asked_where_no_money_can_be_set_aside(teacher: Teacher, store: Store) -> None:
    pages(store, 0)
    store.lose("filler", "e", "m", 1.0, "x" * 3_000)
    with pytest.raises(UserError, match="E601 no space left on the disk"):
        store.lose("more", "e", "m", 1.0, "x" * 10_000)
    pages(store, 0)
    while True:  # to the last byte of the last page
        try:
            store.lose(f"filler {held(store)} {store.spent()}", "e", "m", 1.0, "")
        except UserError:
            break
    with pytest.raises(UserError, match="E601 no space left on the disk"):
        run(store, engine(teacher), asks(8), PRICE, 1e9)
    assert teacher.calls == 0


def fine(text: str = "fine") -> Completion:
    return Completion(text, "stop", 5, 3, usd=0.25)


def test_only_what_is_not_held_is_rescued(store: Store, temporary: Path) -> None:
    pairs = [(request, fine()) for request in asks(3)]
    store.put_many(pairs[:2])
    rescued = rescue(store, pairs)
    assert rescued.path and rescued.count == 1
    assert str(rescued) == (
        f"1 more answers are in {rescued.path}: take them in with `make store "
        f"IMPORT={rescued.path}` before anything is asked again"
    )
    assert (rescue(store, pairs[:2]).count, rescue(store, []).count) == (0, 0)
    assert len(list(temporary.iterdir())) == 1


def test_texts_that_are_half_characters_are_rescued(store: Store) -> None:
    [request] = asks(1)
    odd = Request(request.endpoint, request.model, (("user", "half \ud83d"),), 64)
    rescued = rescue(store, [(odd, fine("other \udc80 half"))])
    assert rescued.path
    intake.load(store, [rescued.path])
    assert store.get_many([odd]) == [fine("other \udc80 half")]


def test_answers_outlive_a_bug(
    teacher: Teacher,
    store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put = Store.put_many

    def broken(to: Store, pairs: Answers) -> None:
        if to.path == store.path:
            raise RuntimeError("a bug")
        put(to, pairs)

    monkeypatch.setattr(Store, "put_many", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(store, engine(teacher), asks(8))
    monkeypatch.setattr(Store, "put_many", put)
    path = next(Path(item) for item in re.findall(r"IMPORT=(\S+?)`", capsys.readouterr().out))
    asked = teacher.calls
    assert asked >= 1
    intake.load(store, [path])
    assert held(store) == asked


def test_a_later_call_that_cannot_be_made_loses_nothing(
    teacher: Teacher, store: Store, temporary: Path
) -> None:
    def job(request: Request) -> Job[str]:
        yield request
        raise ValueError("a bug in a template")

    to = engine(teacher)
    to.purse = Purse(store, PRICE, 100.0)
    with pytest.raises(ValueError, match="a bug in a template"):
        fulfil(map(job, asks(8)), 8, to, store, silent)
    assert held(store) == teacher.calls >= 1
    assert list(temporary.iterdir()) == []
    assert store.spent() == pytest.approx(held(store) * 11e-6)
