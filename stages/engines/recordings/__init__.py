"""Answers that a teacher gave earlier, read from files of three kinds into one shape.

``rationales``: JSON Lines with `question`, `rationale` (or `completion`), `answer_completion` where
there was a second call, and `finish_reason` where it is known; other fields are not looked at.

``openai_batch``: output and error files of OpenAI's Batch API and of servers that write the same,
such as ``vllm run-batch``. Source: OpenAI API reference, "The request output object"; the reason
for a refusal is in `response.body`, not in `error` (github.com/openai/openai-openapi/issues/302).

``reasoning_teacher``: what the authors of "Large Language Models Are Reasoning Teachers" publish
as ``completion_data/B_<model>__C_<key>/D_<dataset>.json``. Source: itsnamgyu/reasoning-teacher on
GitHub at a2ca4d2: ``src/data/completion_dataset.py`` (the format), ``src/oai/inference.py`` and
``src/custom/model.py`` (who writes which field), ``src/data/format.py`` (the prompts).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from stages.core.errors import nearest, user_error
from stages.engines.recordings.authors import document
from stages.engines.recordings.batch_output import asked, batch
from stages.engines.recordings.lines import Bad, Recording, Row, get, lines, sound

KINDS = {
    "openai_batch": "give the output or error file of a batch as it was downloaded",
    "rationales": "write an object with the texts `question` and `rationale` on each line",
    "reasoning_teacher": "give a file of the authors' completion_data as they publish it",
}
"""Kinds of files, each with what to do about one that cannot be read."""


def recordings(path: Path, kind: str, requests: Path | None = None) -> Iterator[Recording]:
    """The answers of a file in its order; several to one question or key are several samples.

    The file is read through before the first answer is handed out, so nothing of a bad file is
    ever used. Memory does not grow with a JSON Lines file; a single JSON document is held whole.

    Args:
        path: Where the file lies.
        kind: One of `KINDS`.
        requests: Input file of an ``openai_batch``, for its messages; it must hold every key.

    Raises:
        UserError: E607, with a problem for each bad line.
    """
    if kind not in KINDS:
        message = f"there is no kind {kind!r} of recordings"
        raise user_error(path.as_posix(), "E607", message, nearest(kind, KINDS))
    stream: Callable[[], Iterator[Recording | Bad]]
    if kind == "reasoning_teacher":
        stream = list(document(path)).__iter__
    elif kind == "rationales":
        stream = partial(lines, path, _rationale)
    else:
        stream = partial(lines, path, partial(batch, asked(requests) if requests else None))
    deque(sound(path, stream(), KINDS[kind]), maxlen=0)
    return sound(path, stream(), KINDS[kind])


def _rationale(row: Row, _: int) -> Iterator[Recording]:
    question, rationale = get(row, "question"), get(row, "rationale", "completion")
    answer = get(row, "answer_completion", default="")
    finish = get(row, "finish_reason", default="") or "stop"
    if not question.strip():
        raise Bad("'question' is empty")
    yield Recording(question, (), "", rationale, answer, finish, 0, 0, "")
