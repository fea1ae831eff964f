"""Answers out of a store and into another: files, other stores, and what is damaged in them."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.core.jsonl import canonical, digest
from stages.engines import intake, shards
from stages.engines.intake import LEFT, load, merge
from stages.engines.request import Completion, Request
from stages.engines.shard_lines import AGAIN
from stages.engines.shards import MEND, check, export
from stages.engines.store import Store

ROOT = Path(__file__).parents[2]
WHEN = "2026-01-02T03:04:05+00:00"


def ask(question: str, limit: int = 64, **values: Any) -> Request:
    fields = {"endpoint": "https://api", "model": "m@1", "about": "suite/task/direct", "row": "r/0"}
    return Request(
        messages=(("system", "Think."), ("user", question)),
        max_tokens=limit,
        **{**fields, **values},
    )


VARIED = [
    (ask("plain"), Completion("fine", "stop", 5, 3, usd=0.25, seconds=1.5)),
    (ask("plain", 128), Completion("cut", "length", 5, 128, usd=0.5)),
    (ask("plain", top_logprobs=2), Completion("a", "stop", 5, 1, logprobs='[["a",-0.1,[]]]')),
    (ask("half \ud83d pair"), Completion("\ude00 nul \0", "stop", 0, 0, reasoning="\ud83d…")),
    (ask("Grüße", model="n@1", about="other/t/steps"), Completion("", "error", 0, 0, "🙂 400")),
    (ask("odd", api="completions", extra='{"seed":7,"x":[1.5]}', sample=3, temperature=0.7),
     Completion('\u2028"\\\n', "content_filter", 2**40, 1, usd=1e-9)),
]  # fmt: skip


def filled(path: Path, pairs: list[tuple[Request, Completion]] = VARIED) -> Path:
    with Store(path) as store:
        store.put_many(pairs)
        store.db.execute("UPDATE completions SET created = ?", (WHEN,))
        store.lose("one", "https://api", "m@1", 0.125, "attempts that failed")
        store.lose("two", "https://api", "n@1", 0.5, "a run that was killed")
        store.db.execute("UPDATE lost SET created = ?", (WHEN,))
    return path


def rows(path: Path) -> list[list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        return [
            db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            for table in ("completions", "lost")
        ]


def exported(store: Path, shard: Path, model: str | None = None, about: str = "") -> bytes:
    with Store(store) as held:
        export(held, shard, model, about)
    return shard.read_bytes()


def loaded(store: Path, *shards: Path) -> dict[str, int]:
    with Store(store) as held:
        return dict(+load(held, shards))


def merged(store: Path, other: Path) -> dict[str, int]:
    with Store(store) as held:
        counts, left = merge(held, other)
    assert not left
    return dict(+counts)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        act()
    return str(caught.value)


def spent(path: Path) -> float:
    with Store(path) as store:
        return store.spent()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_out_and_in_again_gives_the_same_rows_and_bytes(tmp_path: Path, name: str) -> None:
    first = filled(tmp_path / "first")
    data = exported(first, tmp_path / name)
    assert loaded(tmp_path / "second", tmp_path / name) == {"added": 6}
    assert rows(tmp_path / "second") == rows(first)
    assert exported(tmp_path / "second", tmp_path / "x" / name) == data
    with Store(tmp_path / "second") as store:
        assert store.get_many([request for request, _ in VARIED]) == [done for _, done in VARIED]

    assert loaded(tmp_path / "second", tmp_path / name, tmp_path / name) == {"held": 12}
    assert rows(tmp_path / "second") == rows(first)


def test_what_a_line_looks_like(tmp_path: Path) -> None:
    pairs = [(ask("é"), Completion("A", "stop", 5, 3, usd=0.25, seconds=1.5))]
    lines = exported(filled(tmp_path / "s", pairs), tmp_path / "a").decode().split("\n")
    key = hashlib.sha256(
        b'{"endpoint":"https://api","messages":[["system","Think."],["user","\xc3\xa9"]],'
        b'"model":"m@1","sample":0,"temperature":0.0,"top_p":1.0}'
    ).hexdigest()
    answer = (
        '{"about":"suite/task/direct","completion_tokens":3,"created":"2026-01-02T03:04:05+00:00",'
        f'"error":"","finish_reason":"stop","key":"{key}","logprobs":"","max_tokens":64,'
        '"prompt_tokens":5,"reasoning":"","request":{"endpoint":"https://api","messages":'
        '[["system","Think."],["user","é"]],"model":"m@1","sample":0,"temperature":0.0,"top_p":1.0}'
        ',"row":"r/0","seconds":1.5,"text":"A","top_logprobs":0,"usd":0.25}'
    )
    lost = (
        '{"created":"2026-01-02T03:04:05+00:00","endpoint":"https://api","id":"one","model":"m@1",'
        '"reason":"attempts that failed","usd":0.125}'
    )
    assert lines[0] == '{"count":1,"lost":2,"tutelage":"responses","version":1}'
    for line, body in ((lines[1], answer), (lines[2], lost)):
        seal = hashlib.sha256(body.encode()).hexdigest()[:16]
        assert line == f'{body[:-1]},"verify":"{seal}"}}'
    assert lines[4:] == [""]


def test_one_model_and_one_suite(tmp_path: Path) -> None:
    store = filled(tmp_path / "s")

    def kept(model: str | None, about: str) -> tuple[list[str], list[str]]:
        exported(store, tmp_path / "a", model, about)
        (tmp_path / "t").unlink(missing_ok=True)
        loaded(tmp_path / "t", tmp_path / "a")
        answers, lost = rows(tmp_path / "t")
        return sorted({row[11] for row in answers}), [row[0] for row in lost]

    assert kept("n@1", "") == (["other/t/steps"], ["two"])
    assert kept(None, "suite/") == (["suite/task/direct"], ["one", "two"])
    assert kept("n@1", "suite/") == ([], ["two"])
    assert kept("no such model", "") == ([], [])


def test_an_export_shows_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(ask(f"q{i}"), Completion("a", "stop", 1, 1)) for i in range(300)]
    path = filled(tmp_path / "s", pairs)
    with Store(path) as other:

        def late(row: dict[str, Any]) -> tuple[Any, Any]:
            other.put_many([(ask(f"late {row.get('key')}"), Completion("b", "stop", 1, 1))])
            return sound(row)

        sound = shards.sound
        monkeypatch.setattr(shards, "sound", late)
        exported(path, tmp_path / "a")
        monkeypatch.undo()
        assert other.count() == {("https://api", "m@1"): 300 + 301}
    assert loaded(tmp_path / "t", tmp_path / "a") == {"added": 300}


def test_an_export_overwrites_nothing_but_an_export(tmp_path: Path) -> None:
    store = filled(tmp_path / "s")
    before = rows(store)
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"mine\n"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    filled(tmp_path / "t")
    own = "it is a file of the store itself"
    there = "it is there already, and holds no exported answers"
    with Store(store) as held:
        held.put_many(VARIED)
        for name, why in (
            *((name, own) for name in ("s", "s-wal", "s-shm", "s.buying")),
            *((name, there) for name in ("notes.gz", "folder", "t")),
            ("s/below", "File exists"),
        ):
            with pytest.raises(UserError) as caught:
                export(held, tmp_path / name, None, "")
            assert str(caught.value) == (
                f"command line: E513 '{tmp_path}/{name}' cannot be written: {why}\n"
                "    hint: name another file"
            )
    assert rows(store) == before
    data = exported(store, tmp_path / "empty")
    assert exported(store, tmp_path / "empty") == data
    assert not list(tmp_path.glob(".*"))


def line_of(**changes: Any) -> bytes:
    """A line with a sound checksum, whatever else is wrong with it."""
    request = ask("q")
    fields = {
        "key": request.key, "max_tokens": 64, "top_logprobs": 0, "finish_reason": "stop",
        "prompt_tokens": 1, "completion_tokens": 1, "seconds": 0.0, "usd": 0.0, "created": WHEN,
        "about": "a/b/c", "row": "r", "error": "", "text": "t", "reasoning": "", "logprobs": "",
        "request": request.identity(), **changes,
    }  # fmt: skip
    fields = {name: value for name, value in fields.items() if value is not ...}
    try:
        body = canonical(fields)
    except ValueError:  # not a number
        body = ""
    seal = hashlib.sha256(body.encode()).hexdigest()[:16]
    return json.dumps({**fields, "verify": fields.get("verify", seal)}).encode()


def asked(**changes: Any) -> bytes:
    """A line whose key is that of its request, whatever is wrong with the request."""
    identity = {**ask("q").identity(), **changes}
    identity = {name: value for name, value in identity.items() if value is not ...}
    key = digest(identity)
    return line_of(request=identity, key=key)


NONE_ASKED = "'request' is none that Tutelage asks"


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        (b"", 1, "this is not JSON: Expecting value"),
        (b'{"key": 1,}', 11, "this is not JSON: Expecting property name enclosed in double quotes"),
        (b"[1]", 1, "this is not a JSON object"),
        (b"[" * 99999, 1, "this is nested too deep"),
        (b'{"usd": ' + b"9" * 9999 + b"}", 1, "a number has too many digits"),
        (b'{"key": "\xff"}', 10, "this is not UTF-8"),
        (line_of(verify="0" * 16), 1, "the line is not as it was exported"),
        (line_of(verify=None), 1, "the line is not as it was exported"),
        (line_of(key="0" * 64), 1, "the key is not that of the request"),
        (line_of(text=...), 1, "there is no 'text'"),
        (line_of(key=...), 1, "there is no 'id'"),
        (line_of(more=1), 1, "there is a field that no exported line has"),
        (line_of(text=None), 1, "'text' is not a text"),
        (line_of(about="\ud83d"), 1, "'about' is not a text that UTF-8 can write"),
        (line_of(max_tokens=True), 1, "'max_tokens' is not a whole number of 64 bits"),
        (line_of(max_tokens=2.0), 1, "'max_tokens' is not a whole number of 64 bits"),
        (line_of(prompt_tokens=2**63), 1, "'prompt_tokens' is not a whole number of 64 bits"),
        (line_of(usd=-0.1), 1, "'usd' is not a number from 0"),
        (line_of(usd=float("nan")), 1, "'usd' is not a number from 0"),
        (line_of(usd=float("inf")), 1, "'usd' is not a number from 0"),
        (line_of(usd="1"), 1, "'usd' is not a number from 0"),
        (line_of(request=[]), 1, "'request' is not an object"),
        (asked(messages=...), 1, NONE_ASKED),
        (asked(model=...), 1, NONE_ASKED),
        (asked(model=5), 1, NONE_ASKED),
        (asked(model="\ud83d"), 1, NONE_ASKED),
        (asked(endpoint=None), 1, NONE_ASKED),
        (asked(messages=["ab"]), 1, NONE_ASKED),
        (asked(messages=[["user", 5]]), 1, NONE_ASKED),
        (asked(messages=[["user"]]), 1, NONE_ASKED),
        (asked(messages=3), 1, NONE_ASKED),
        (asked(temperature=0), 1, NONE_ASKED),
        (asked(temperature="0.0"), 1, NONE_ASKED),
        (asked(sample=True), 1, NONE_ASKED),
        (asked(api="chat"), 1, NONE_ASKED),
        (asked(extra={}), 1, NONE_ASKED),
        (asked(seed=1), 1, NONE_ASKED),
        (asked(max_tokens=1), 1, NONE_ASKED),
        (line_of(request={"temperature": float("nan")}), 1, NONE_ASKED),
    ],
)
def test_a_bad_line(tmp_path: Path, line: bytes, column: int, message: str) -> None:
    shard = tmp_path / "a.jsonl"
    header = b'{"count":2,"lost":0,"tutelage":"responses","version":1}'
    shard.write_bytes(b"\n".join((header, line_of(), line, b"")))
    assert refused(lambda: loaded(tmp_path / "s", shard)) == (
        f"{shard}:3:{column}: E615 {message}\n    hint: {AGAIN}"
    )
    assert rows(tmp_path / "s") == [[], []]


def test_that_line_is_good_otherwise(tmp_path: Path) -> None:
    shard = tmp_path / "a.jsonl"
    header = b'{"lost": 0, "count": 2, "tutelage": "responses", "version": 1}'
    shard.write_bytes(b"\r\n".join((header, line_of(), asked(sample=7))))
    assert loaded(tmp_path / "s", shard) == {"added": 2}


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"", "", "the file is empty"),
        (b"SQLite format 3\0\xff", ":1:1",
         "this is a whole store, which `make store MERGE=…` takes over"),
        (b"{}\n", ":1:1", "this is no file that `make store EXPORT=…` writes"),
        (b"\x89PNG", ":1:1", "this is not UTF-8"),
        (b'{"tutelage": "responses", "version": 2}', ":1:1",
         "this version of Tutelage knows version 1 of such files, and no other"),
        (b'{"tutelage": "responses", "version": 1, "count": 1}', ":1:1",
         "the header does not say how many lines follow"),
        (b'{"tutelage": "responses", "version": 1, "count": 3, "lost": 1}\n' + line_of(), ":1:1",
         "the header promises 4 lines, and 1 follow"),
        (b"\x1f\x8bnot gzip", ":1:1", "the file cannot be read on: Unknown compression method"),
    ],
)  # fmt: skip
def test_a_file_that_is_none(tmp_path: Path, data: bytes, place: str, message: str) -> None:
    shard = tmp_path / "a"
    shard.write_bytes(data)
    told = f"{shard}{place}: E615 {message}\n    hint: {AGAIN}"
    assert refused(lambda: loaded(tmp_path / "s", shard)) == told
    assert rows(tmp_path / "s") == [[], []]


def test_all_files_are_read_before_anything_is_added(tmp_path: Path) -> None:
    good, bad, gone = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    exported(filled(tmp_path / "s"), good)
    lines = good.read_bytes().split(b"\n")
    bad.write_bytes(b"\n".join([lines[0], b"x", *lines[2:4], b"{}", *lines[5:]]))
    assert refused(lambda: loaded(tmp_path / "t", good, bad, gone)) == "\n".join(
        [
            f"{bad}:2:1: E615 this is not JSON: Expecting value\n    hint: {AGAIN}",
            f"{bad}:5:1: E615 there is no 'id'\n    hint: {AGAIN}",
            f"{gone}: E615 there is no such file\n    hint: correct its path",
        ]
    )
    assert rows(tmp_path / "t") == [[], []]


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    shard = tmp_path / "a"
    header = '{"count":30,"lost":0,"tutelage":"responses","version":1}\n'
    shard.write_text(header + "{}\n" * 30)
    told = refused(lambda: loaded(tmp_path / "s", shard)).split("\n")
    assert len(told) == 42
    assert told[38] == f"{shard}:21:1: E615 there is no 'id'"
    assert told[40] == f"{shard}:22:1: E615 … and 10 more from here on"


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_no_flipped_bit_gets_in(tmp_path: Path, name: str) -> None:
    shard, draw = tmp_path / name, random.Random(1)
    data = exported(filled(tmp_path / "first"), shard)
    good = rows(tmp_path / "first")
    for at in sorted(draw.sample(range(len(data)), 150)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << draw.randrange(8)
        shard.write_bytes(flipped)
        (tmp_path / "s").unlink(missing_ok=True)
        try:
            loaded(tmp_path / "s", shard)
        except UserError as error:
            assert {problem.code for problem in error.problems} == {"E615"}
            assert rows(tmp_path / "s") == [[], []]
        else:  # gzip has bits that say nothing
            assert name.endswith(".gz")
            assert rows(tmp_path / "s") == good


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_no_cut_file_gets_in(tmp_path: Path, name: str) -> None:
    shard = tmp_path / name
    data = exported(filled(tmp_path / "first"), shard)
    ends = {at + 1 for at, byte in enumerate(data) if byte == 10} - {len(data)}
    for end in sorted({*range(0, len(data) - 1, 23), *ends, len(data) - 2}):
        shard.write_bytes(data[:end])
        assert "E615" in refused(lambda: loaded(tmp_path / "s", shard))
    assert rows(tmp_path / "s") == [[], []]
    if name.endswith(".gz"):
        assert refused(lambda: loaded(tmp_path / "s", shard)) == (
            f"{shard}:10:1: E615 the file cannot be read on: Compressed file ended before the "
            f"end-of-stream marker was reached\n    hint: {AGAIN}"
        )


def bought(question: str, text: str, usd: float, when: str, **values: Any) -> tuple[Any, ...]:
    return ask(question, **values), Completion(text, "stop", 1, 1, usd=usd), when


def store_of(path: Path, *purchases: tuple[Any, ...]) -> Path:
    with Store(path) as store:
        for request, done, when in purchases:
            store.put_many([(request, done)])
            change = "UPDATE completions SET created = ? WHERE key = ? AND max_tokens = ?"
            store.db.execute(change, (when, request.key, request.max_tokens))
    return path


HERE = bought("q", "mine", 0.25, "2026-01-01")
THERE = bought("q", "theirs", 0.5, "2026-01-02")


def test_what_was_bought_twice_is_held_once_and_paid_twice(tmp_path: Path) -> None:
    here = store_of(tmp_path / "here", HERE, bought("only here", "a", 1, "1"))
    there = store_of(
        tmp_path / "there", THERE, bought("only there", "b", 2, "1"), bought("free", "c", 0, "1")
    )
    with Store(there) as store:
        store.lose("x", "https://api", "m@1", 4, "attempts that failed")
    assert merged(here, there) == {"added": 2, "held": 1, "twice": 1}
    key = HERE[0].key
    digest = hashlib.sha256(b'[64,0,"2026-01-02","\\"theirs\\""]').hexdigest()[:16]
    answers, lost = rows(here)
    assert [row[16] for row in answers if row[0] == key] == ['"mine"']
    assert len(answers) == 4
    assert [(row[0], *row[2:]) for row in lost] == [
        (f"bought twice {key} {digest}", "https://api", "m@1", 0.5, "bought twice"),
        ("x", "https://api", "m@1", 4, "attempts that failed"),
    ]
    assert spent(here) == 0.25 + 0.5 + 1 + 2 + 4
    before = rows(here)
    assert merged(here, there) == {"held": 3}
    assert merged(here, here) == {"held": 4}
    exported(there, tmp_path / "a")
    assert loaded(here, tmp_path / "a") == {"held": 3}
    assert rows(here) == before


def test_other_limits_are_other_answers(tmp_path: Path) -> None:
    here = store_of(tmp_path / "here", HERE)
    there = store_of(
        tmp_path / "there", bought("q", "long", 1, "2", limit=128),
        bought("q", "log", 2, "2", top_logprobs=3),
    )  # fmt: skip
    assert merged(here, there) == {"added": 2}
    assert merged(there, here) == {"added": 1, "held": 2}
    assert rows(here) == rows(there)
    assert spent(here) == 3.25


@pytest.mark.parametrize("by_file", [False, True])
def test_money_is_the_same_in_whatever_order_stores_meet(tmp_path: Path, by_file: bool) -> None:
    draw = random.Random(3)
    for case in range(6):
        folder = tmp_path / str(case)
        purchases = [
            bought(f"q{draw.randrange(4)}", f"a{draw.randrange(3)}", 2.0 ** -n, f"{n}")
            for n in range(9)
        ]  # fmt: skip
        samples = [draw.sample(purchases, 5) for _ in range(4)]
        parts = [
            list({request.key: (request, *rest) for request, *rest in s}.values()) for s in samples
        ]
        stores = [store_of(folder / str(n), *part) for n, part in enumerate(parts)]
        for n, path in enumerate(stores):
            with Store(path) as store:
                store.lose(f"own {n}", "https://api", "m@1", 16.0 * 2**n, "attempts that failed")
        paid = {(request.key, when): done.usd for part in parts for request, done, when in part}
        for _ in range(14):
            one, other = draw.sample(stores, 2)
            if by_file:
                about = draw.choice(["", "", "nothing"])
                exported(other, folder / "shard", None, about)
                loaded(one, folder / "shard")
            else:
                merged(one, other)
        for one, other in itertools.permutations(stores, 2):
            merged(one, other)
        for path in stores:
            assert spent(path) == sum(paid.values()) + 16 * 15
            with Store(path) as store:
                assert check(store) == len({key for key, _ in paid})


def folder_state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())
    }


LAYOUT_1 = """
CREATE TABLE completions (key TEXT NOT NULL, max_tokens INTEGER NOT NULL, endpoint TEXT NOT NULL,
    model TEXT NOT NULL, request TEXT NOT NULL, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, error TEXT NOT NULL,
    created TEXT NOT NULL, PRIMARY KEY (key, max_tokens));
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


def test_a_store_of_layout_1_is_merged_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old, request = tmp_path / "old" / "s", ask("q", about="", row="")
    with closing(sqlite3.connect(old)) as db:
        db.executescript(LAYOUT_1)
        identity = canonical(request.identity())
        values = (request.key, 64, request.endpoint, request.model, identity, canonical("\ud83d"))
        marks = ", ".join("?" * 11)
        db.execute(
            f"INSERT INTO completions VALUES ({marks})", (*values, "stop", 7, 3, '""', "then")
        )
        db.commit()
    before = folder_state(tmp_path / "old")
    assert merged(tmp_path / "new", old) == {"added": 1}
    assert folder_state(tmp_path / "old") == before
    with Store(tmp_path / "new") as store:
        assert store.get_many([request]) == [Completion("\ud83d", "stop", 7, 3)]
        assert check(store) == 1
        assert store.db.execute("SELECT created, usd FROM completions").fetchall() == [("then", 0)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def test_an_unused_store_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a b?#%").mkdir()
    other = filled(tmp_path / "a b?#%" / "s")
    before = folder_state(other.parent)
    assert merged(tmp_path / "new", other) == {"added": 6}
    assert folder_state(other.parent) == before
    assert rows(tmp_path / "new") == rows(other)


def test_a_store_in_use_is_merged_with_what_was_just_added(tmp_path: Path) -> None:
    with Store(tmp_path / "other") as other:
        other.put_many(VARIED)
        assert (tmp_path / "other-wal").stat().st_size
        assert merged(tmp_path / "new", tmp_path / "other") == {"added": 6}
        other.put_many([(ask("more"), Completion("a", "stop", 1, 1))])
    assert merged(tmp_path / "new", tmp_path / "other") == {"added": 1, "held": 6}


def test_a_store_that_comes_into_use_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = filled(tmp_path / "other")
    copy = intake._Original.copy

    def late(self: Any, path: Path) -> None:
        copy(self, path)
        filled(other, [(ask("late"), Completion("a", "stop", 1, 1))])

    monkeypatch.setattr(intake._Original, "copy", late)
    assert refused(lambda: merged(tmp_path / "new", other)) == (
        f"{other}: E602 another process began to use this store while it was read\n"
        "    hint: run the same again"
    )
    assert rows(tmp_path / "new") == [[], []]


COPY = (
    "put a good copy in its place, or move it aside without deleting it, as it may hold paid "
    "answers; a new one is made on the next run"
)
CLONE = "give the path of another clone's .cache/responses/responses.sqlite3"


def foreign(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda path: None, "there is no such file", "correct its path"),
        (Path.mkdir, "there is no such file", "correct its path"),
        (Path.touch, "this is no response store", CLONE),
        (lambda path: foreign(path, "CREATE TABLE t (x)"), "this is no response store", CLONE),
        (lambda path: path.write_text("words " * 999),
         "the response store cannot be read: file is not a database", COPY),
        (lambda path: foreign(path, "PRAGMA user_version = 2"),
         "the response store cannot be read: no such table: completions", COPY),
        (lambda path: foreign(path, "CREATE TABLE completions (x)", "PRAGMA user_version = 2"),
         "the response store cannot be read: no such column: key", COPY),
        (lambda path: foreign(path, "PRAGMA user_version = 9"),
         "the response store has layout 9, and this version of Tutelage knows layouts up to 2",
         "update Tutelage; the store was left as it is"),
    ],
)  # fmt: skip
def test_what_is_no_store(
    tmp_path: Path, make: Callable[[Path], object], message: str, hint: str
) -> None:
    other = tmp_path / "other"
    make(other)
    told = f"{other}: E602 {message}\n    hint: {hint}"
    assert refused(lambda: merged(tmp_path / "new", other)) == told
    assert rows(tmp_path / "new") == [[], []]
    assert not list(tmp_path.glob(".*"))


def test_a_cut_store_is_merged_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    pairs = [(ask(f"q{i}"), Completion("x" * 900, "stop", 1, 1)) for i in range(900)]
    other = filled(tmp_path / "other", pairs)
    with other.open("r+b") as file:
        file.truncate(other.stat().st_size * 3 // 4)
    told = refused(lambda: merged(tmp_path / "new", other))
    assert told.startswith(f"{other}: E602 the response store cannot be read: database disk image")
    with Store(tmp_path / "new") as store:
        assert check(store) == sum(store.count().values())


DAMAGE = [
    ("key = 'f' || substr(key, 2)", "the key is not that of the request"),
    ("model = 'm@2'", "'model' is not that of the request"),
    ("prompt = '0'", "'prompt' is not that of the request"),
    ("system = '0'", "'system' is not that of the request"),
    ("text = 'fine'", "'text' is not JSON"),
    ("logprobs = x'00'", "'logprobs' is not JSON"),
    ("reasoning = CAST(x'22ff22' AS TEXT)", "'reasoning' is not JSON"),
    ("error = '1'", "'error' is not a text"),
    ("request = '[]'", "'request' is not an object"),
    ("request = '{}'", NONE_ASKED),
    ("request = replace(request, 'plain', 'plein')",
     "the key is not that of the request"),
    ("usd = 9e999", "'usd' is not a number from 0"),
    ("max_tokens = 'many'", "'max_tokens' is not a whole number of 64 bits"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), DAMAGE)
def test_a_damaged_row_is_found_left_out_and_not_exported(
    tmp_path: Path, change: str, message: str
) -> None:
    path, key = filled(tmp_path / "s"), VARIED[0][0].key
    where = "key = ? AND max_tokens = 64 AND top_logprobs = 0"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"UPDATE completions SET {change} WHERE {where}", (key,))
    shown = "f" + key[1:12] if change.startswith("key") else key[:12]
    name = f"answer {shown}… (suite/task/direct r/0): {message}"
    with Store(path) as store:
        assert refused(lambda: check(store)) == f"{path}: E616 {name}\n    hint: {MEND}"
    if "CAST" not in change:
        told = refused(lambda: exported(path, tmp_path / "a"))
        assert told == f"{path}: E616 {name}\n    hint: {MEND}"
    assert not (tmp_path / "a").exists()
    with Store(tmp_path / "new") as store:
        counts, left = merge(store, path)
        assert dict(counts) == {"added": 5, "left": 1}
        assert [str(problem) for problem in left] == [f"{path}: E616 {name}\n    hint: {LEFT}"]
        assert check(store) == 5


def test_a_sound_store(tmp_path: Path) -> None:
    with Store(filled(tmp_path / "s")) as store:
        assert check(store) == 6


def test_a_damaged_entry_of_lost_money(tmp_path: Path) -> None:
    path = filled(tmp_path / "s")
    foreign(path, "UPDATE lost SET usd = 'much' WHERE id = 'one'")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE lost SET usd = 'much' WHERE id = 'one'")
    with Store(path) as store:
        assert refused(lambda: check(store)) == (
            f"{path}: E616 lost money 'one': 'usd' is not a number from 0\n    hint: {MEND}"
        )


def test_a_damaged_index(tmp_path: Path) -> None:
    path = filled(tmp_path / "s", VARIED[:1])
    data, word = path.read_bytes(), VARIED[0][0].prompt.encode()
    assert data.count(word) == 2  # in the table and in the index
    at = data.rindex(word)
    with closing(sqlite3.connect(path)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'by_prompt'").fetchone()
    assert at // 4096 + 1 == page[0]
    path.write_bytes(data[:at] + b"0" * 16 + data[at + 16 :])
    with Store(path) as store:
        assert refused(lambda: check(store)) == (
            f"{path}: E616 SQLite finds: row 1 missing from index by_prompt\n    hint: {MEND}"
        )


def test_a_file_that_sqlite_gives_up(tmp_path: Path) -> None:
    pairs = [(ask(f"q{i}"), Completion("x" * 900, "stop", 1, 1)) for i in range(300)]
    path = filled(tmp_path / "s", pairs)
    broken = bytearray(path.read_bytes())
    for page in range(9, 60, 9):
        broken[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(broken)
    with Store(path) as store:
        assert refused(lambda: check(store)) == (
            f"{path}: E616 the response store cannot be read: database disk image is malformed\n"
            f"    hint: {MEND}"
        )


PROCESS = """
import sys
from pathlib import Path
from stages.engines.request import Completion, Request
from stages.engines.intake import load, merge
from stages.engines.store import Store

print("ready", flush=True)
sys.stdin.readline()
path, what, other = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
with Store(path) as store:
    if what == "load":
        load(store, [other])
    elif what == "merge":
        merge(store, other)
    else:
        for i in range(60):
            item = Request("https://api", "m@1", (("user", f"bought {i}"),), 64)
            store.put_many([(item, Completion("a", "stop", 1, 1, usd=1.0))])
"""


def test_processes_that_import_merge_and_buy_at_once(tmp_path: Path) -> None:
    pairs = [
        (ask(f"q{i}"), Completion(f"a{i}", "stop", 1, 1, usd=1.0)) for i in range(1000)
    ]  # fmt: skip
    exported(filled(tmp_path / "one", pairs[:600]), tmp_path / "one.gz")
    filled(tmp_path / "two", pairs[400:])
    target = tmp_path / "target"
    work = [("load", "one.gz"), ("load", "one.gz"), ("merge", "two"), ("buy", "")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(target), what, str(tmp_path / other)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for what, other in work
    ]  # fmt: skip
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with Store(target) as store:
        assert check(store) == 1060
        assert store.spent() == 1060 + 0.625


def test_a_copy_of_the_file_merges_like_the_store(tmp_path: Path) -> None:
    shutil.copy(filled(tmp_path / "s"), tmp_path / "copy")
    assert merged(tmp_path / "s", tmp_path / "copy") == {"held": 6}
    assert spent(tmp_path / "s") == 0.75 + 1e-9 + 0.625
