"""What a stored completion takes on disk: ``python -m benchmarks.disk [ANSWERS]``.

The store, its export, and a line of rationales, with texts cut out of this repository's
documentation: by size of the prompt and of the answer, so that a plan can be made for others.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from stages.core.jsonl import write_rows
from stages.engines.request import Completion, Request
from stages.engines.shards import export
from stages.engines.store import Store

ROOT = Path(__file__).parents[1]
SIZES = [(0, 0), (1000, 0), (0, 1000), (1600, 1000), (4000, 2000)]
"""Bytes of the prompt and of the answer."""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    text = "\n".join(path.read_text(encoding="ascii", errors="ignore") for path in documents())
    print(f"{count} answers; bytes an answer")
    print(f"{'prompt':>7} {'answer':>7} {'store':>7} {'.jsonl':>7} {'.gz':>7} {'rationales':>11}")
    for prompt, answer in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            sizes = measured(Path(folder), text, count, prompt, answer)
        print(f"{prompt:7} {answer:7} " + " ".join(f"{size / count:7.0f}" for size in sizes))


def documents() -> list[Path]:
    return sorted((ROOT / "docs").glob("*.md"))


def measured(folder: Path, text: str, count: int, prompt: int, answer: int) -> list[int]:
    """Bytes of the store, its export, its export gzipped, and the rationales."""
    draw = random.Random(1)

    def cut(size: int) -> str:
        at = draw.randrange(len(text) - size)
        return text[at : at + size]

    pairs = []
    for at in range(count):
        # an index in front, as a question differs from the next
        messages = (("system", ""), ("user", f"{at}{cut(prompt)}"))
        about, row = "suite/task_of_a_suite/step_by_step", f"task_of_a_suite/train/{at}"
        where = "https://api.openai.com/v1", "gpt-4.1-mini"
        asked = Request(*where, messages, 512, about=about, row=row)
        pairs.append((asked, Completion(cut(answer), "stop", 400, 250, seconds=4.2, usd=0.00056)))
    with Store(folder / "store") as store:
        store.put_many(pairs)
    with Store(folder / "store") as store:
        export(store, folder / "all.jsonl", None, "")
        export(store, folder / "all.jsonl.gz", None, "")
    write_rows(folder / "rationales.jsonl", (line(asked, done) for asked, done in pairs))
    files = [folder / name for name in ("store", "all.jsonl", "all.jsonl.gz", "rationales.jsonl")]
    return [file.stat().st_size for file in files]


def line(asked: Request, done: Completion) -> dict[str, object]:
    """A line as `teach` writes it, for a strategy of one call."""
    return {
        "id": asked.row, "task": "task_of_a_suite", "strategy": "step_by_step", "sample": 0,
        "completion": done.text, "finish_reason": "stop", "completion_tokens": 250, "error": "",
        "calls": [{
            "key": asked.key, "max_tokens": 512, "finish_reason": "stop", "prompt_tokens": 400,
            "completion_tokens": 250, "error": "",
        }],
    }  # fmt: skip


if __name__ == "__main__":
    main()
