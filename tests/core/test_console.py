from __future__ import annotations

import contextlib
import errno
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.core.console import Progress, argument, clock, entry, root, watch
from stages.core.errors import Problem, UserError


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def _exit(error: BaseException) -> object:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        entry(main)
    return caught.value.code


def test_every_problem_is_printed_and_the_exit_code_is_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    problems = [Problem("b", 0, 0, "E2", "second"), Problem("a", 0, 0, "E1", "first")]
    assert _exit(UserError(problems)) == 2
    assert capsys.readouterr().err == "a: E1 first\nb: E2 second\n"


def test_being_stopped_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit(KeyboardInterrupt()) == 130
    assert "in the store" in capsys.readouterr().err


def test_a_full_disk(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit(OSError(errno.ENOSPC, "full", "build/x")) == 2
    assert capsys.readouterr().err == (
        "build/x: E601 no space left on the device\n"
        "    hint: free some space and run `dvc repro` again; finished work is kept\n"
    )


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    def main() -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        entry(main)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "this stage takes the name of one suite\n    hint: allowed: symbolic, words"),
        (
            ["words", "x"],
            "this stage takes the name of one suite\n    hint: allowed: symbolic, words",
        ),
        (["symbolc"], "params.yaml names no suite 'symbolc'\n    hint: did you mean 'symbolic'?"),
        (["--help"], "params.yaml names no suite '--help'\n    hint: allowed: symbolic, words"),
    ],
)
def test_the_argument_of_a_stage(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["probe.py", *words])
    with pytest.raises(UserError) as caught:
        argument("suite", ["symbolic", "words"])
    assert str(caught.value) == f"command line: E513 {message}"
    monkeypatch.setattr("sys.argv", ["probe.py", "words"])
    assert argument("suite", ["symbolic", "words"]) == "words"


def test_the_root_holds_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="E511 there is no params"):
        root()
    (tmp_path / "params.yaml").touch()
    assert root() == tmp_path


def test_progress_through_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("probe x", every=0.0)
    progress(0, 4)
    progress(2, 4, tokens=10)
    progress(4, 4, note="done")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"  probe x: {done} of 4 rows" for done in (0, 2, 4)
    ]
    assert "tokens/s" in lines[1]
    assert "left" in lines[1]
    assert lines[2].endswith("took 0:00, done")


def test_progress_on_a_terminal_is_a_bar_that_goes_away() -> None:
    code = (
        "import time\n"
        "from stages.core.console import Progress, say\n"
        "first, second = Progress('probe [red]x'), Progress('valid', 'steps')\n"
        "for done in range(3):\n"
        "    time.sleep(0.12); first(done, 3, tokens=done); second(done, 3, note='n')\n"
        "say('between')\n"
        "second(3, 3); first(3, 3)\n"
    )
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=follower, env=environment, cwd=Path(__file__).parents[2],
    ) as process:  # fmt: skip
        os.close(follower)
        seen = b""
        with contextlib.suppress(OSError):  # Linux ends a closed terminal so
            while part := os.read(leader, 4096):
                seen += part
        assert process.wait(60) == 0
    os.close(leader)
    text = seen.decode()
    assert "probe [red]x" in text and "━" in text and "2/3" in text
    assert text.index("between") < text.index("valid: 3 of 3 steps, took")
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back
    assert re.search(r"probe \[red\]x: 3 of 3 rows, took 0:0\d\r\n$", text)


def test_what_is_watched_is_passed_on_and_short_work_says_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(watch(iter("abc"), 2, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""


def test_clock() -> None:
    assert [clock(s) for s in (0, 61, 3600, 3725.6)] == ["0:00", "1:01", "1:00:00", "1:02:06"]


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    code = (
        "from stages.core.console import entry, say\n"
        "entry(lambda: [say('x' * 1000) for _ in range(10_000)] and None)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"x" * 1000 + b"\n"
        process.stdout.close()
        assert process.wait(20) == 1
        assert process.stderr.read() == b""
