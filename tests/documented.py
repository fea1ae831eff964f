"""The shell commands that README.md and docs/ show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from tests.projects import REPOSITORY

FILES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"^(.*) <<'(\w+)'\n.*?^\2$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
HOLE = re.compile(r"<[a-z][^<>\n]*>")
PROGRAMS = {
    ".", "cp", "dvc", "git", "llama-server", "lm_eval", "make", "mkdir", "pip", "python", "vllm",
    ".venv/bin/pip", "cd",
}  # fmt: skip
SHELL = {"do", "done"}


class Shown(NamedTuple):
    """A command without its comment; `…` stands for what the reader fills in."""

    place: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def split(script: str) -> Iterator[tuple[str, ...]]:
    """The words of each simple command."""
    script = HEREDOC.sub(r"\1", script).replace("\\\n", " ")
    for line in HOLE.sub("…", script).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("();&|"):
                if words and words[0] != "for" and tuple(words) not in {("done",), ("do",)}:
                    yield tuple(words[words[0] in SHELL :])
                words = []
            else:
                words.append(word)


def loose(text: str) -> Iterator[str]:
    """Lines outside `sh` blocks that begin as a command does."""
    for kind, block in FENCE.findall(text):
        if kind not in ("sh", "text"):
            for line in block.splitlines():
                if line.split(" ")[0] in PROGRAMS - {"."}:
                    yield line


def commands() -> list[Shown]:
    """Those of `sh` blocks, of transcripts (`$ make check`) and between backticks."""
    found = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        scripts = [block for kind, block in FENCE.findall(text) if kind == "sh"]
        rest = FENCE.sub(lambda one: "" if one[1] == "sh" else one[2], text)
        scripts += re.findall(r"^\$ (.*)$", rest, re.MULTILINE)
        scripts += [
            code for code in INLINE.findall(rest)
            if code.split(" ")[0] in PROGRAMS - {"."} and " " in code
        ]  # fmt: skip
        name = file.relative_to(REPOSITORY).as_posix()
        found += [Shown(name, words) for script in scripts for words in split(script)]
    return found
