"""One row on one screen: all there is of it, and no character that does anything."""

from __future__ import annotations

import json

import pytest

from stages import show
from stages.tracing.visible import visible
from tests.repository import Repository
from tests.tracing.conftest import ASKED, TASK, other


def shown(
    row: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *more: str
) -> str:
    monkeypatch.setattr("sys.argv", ["show", TASK, row, *more])
    capsys.readouterr()
    show.main()
    return capsys.readouterr().out


def test_a_train_row(
    built: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shown("train/0", capsys, monkeypatch)
    assert all(char.isprintable() or char == "\n" for char in out)
    assert all(len(line) <= 100 for line in out.splitlines())
    assert "  <U+001B>[2Jone<U+202E>two [red]three[/red]<U+0007> The answer is " in out
    heads = [line.rstrip(" ─") for line in out.splitlines() if line.endswith("─")]
    assert heads[:2] == [f"{TASK}/train/0", "prompt as sent: teacher, step_by_step"]
    assert heads[2].startswith("step_by_step, sample 0: kept, read as ")
    assert heads[3:] == ["direct trains on", "best trains on"]
    assert f"  key {ASKED.key[:16]}\n" in "\n".join(map(str.rstrip, out.splitlines())) + "\n"


def test_a_dropped_rationale_says_why(
    built: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads(shown("train/1", capsys, monkeypatch, "--format", "json"))
    (one,) = told["rationales"]
    assert (one["verdict"], one["answer"]) == ("wrong answer", other(told["row"]["gold"]))
    assert list(told["targets"]) == ["direct"]
    assert told["prompts"]["teacher, step_by_step"][0]["role"] == "system"


def test_a_test_row_has_the_answer_of_each_run(
    built: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shown(f"{TASK}/test/0", capsys, monkeypatch)
    heads = [line.rstrip(" ─") for line in out.splitlines() if line.endswith("─")]
    assert heads == [
        f"{TASK}/test/0",
        "prompt as sent: student, direct; student, best",
        "answer of direct: right, read as yes",
        "answer of best: wrong, read as <U+202E>no",
    ]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("Größe 漢字 שלום", "Größe 漢字 שלום"),
        ("a\tb\nc", "a<U+0009>b<U+000A>c"),
        ("\x1b]0;x\x07\x9b1m\x7f", "<U+001B>]0;x<U+0007><U+009B>1m<U+007F>"),
        ("\u2066\u200f\u2028\ud800\ufeff", "<U+2066><U+200F><U+2028><U+D800><U+FEFF>"),
    ],
)
def test_visible(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible("a\r\n\tb", lines=True) == "a<U+000D>\n\tb"
