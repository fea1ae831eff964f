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

import codecs
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from stages.core.errors import Problem, UserError, nearest, user_error
from stages.engines.reply import Again, clean, read
from stages.engines.request import Completion

KINDS = {
    "openai_batch": "give the output or error file of a batch as it was downloaded",
    "rationales": "write an object with the texts `question` and `rationale` on each line",
    "reasoning_teacher": "give a file of the authors' completion_data as they publish it",
}
"""Kinds of files, each with what to do about one that cannot be read."""
SHOWN = 20
"""Bad lines reported one by one; the others are counted."""

Row = dict[str, Any]
Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Recording:
    """One answer, or why there is none. Texts are as in the file and may hold lone surrogates.

    Args:
        question: As the row states it; empty when the file has only messages or keys.
        messages: (role, content) pairs that were asked, a plain prompt as one of the user; empty
            when not known.
        key: `custom_id` of a batch; empty otherwise.
        rationale: The reasoning, or the whole completion when the answer is not apart.
        answer: Reply of a second call that asked for the answer; empty when there was none.
        finish_reason: ``stop`` when the file does not say. Of two calls, the first that is not
            ``stop``: a rationale that was cut short stays so when an answer was then forced.
        prompt_tokens: 0 when unknown.
        completion_tokens: 0 when unknown.
        error: Why there is no answer; empty for an answer.
        reasoning: What a reasoning model thought before it wrote, where the file says.
    """

    question: str
    messages: Messages
    key: str
    rationale: str
    answer: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error: str
    reasoning: str = ""


class _Bad(Exception):
    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line, self.column = line, column


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
    stream: Callable[[], Iterator[Recording | _Bad]]
    if kind == "reasoning_teacher":
        stream = list(_document(path)).__iter__
    elif kind == "rationales":
        stream = partial(_lines, path, _rationale)
    else:
        stream = partial(_lines, path, partial(_batch, _asked(requests) if requests else None))
    deque(_sound(path, stream(), KINDS[kind]), maxlen=0)
    return _sound(path, stream(), KINDS[kind])


def _sound(path: Path, items: Iterable[Recording | _Bad], hint: str) -> Iterator[Recording]:
    """The recordings among the items; what is bad is raised behind the last."""
    problems: list[Problem] = []
    sound = more = 0
    for item in items:
        if isinstance(item, Recording):
            sound += 1
            yield item
        elif len(problems) <= SHOWN:
            place = path.as_posix(), item.line, item.column
            problems.append(Problem(*place, "E607", str(item), hint))
        else:
            more += 1
    if len(problems) > SHOWN:
        problems[-1] = replace(problems[-1], message=f"and {more + 1} more from here on")
    if not sound and not problems:
        problems.append(Problem(path.as_posix(), 0, 0, "E607", "the file holds nothing", hint))
    if problems:
        raise UserError(problems)


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise user_error(path.as_posix(), "E607", message, "correct its path") from None


def _lines(
    path: Path, take: Callable[[Row, int], Iterator[Recording]]
) -> Iterator[Recording | _Bad]:
    """What `take` makes of each line's object and its offset in bytes."""
    offset = 0
    with _open(path) as file:
        for number, raw in enumerate(file, start=1):
            try:
                if (text := _text(raw)).strip():
                    yield from take(_object(text), offset)
            except _Bad as bad:
                yield _Bad(str(bad), number, bad.column)
            offset += len(raw)


def _text(raw: bytes) -> str:
    try:
        # Windows programs put a byte order mark in front; it is no part of the text
        return raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise _Bad("this is not UTF-8", raw.count(b"\n", 0, error.start) + 1) from None


def _object(text: str) -> Row:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _Bad(f"this is not JSON: {error.msg}", error.lineno, error.colno) from None
    except RecursionError:
        raise _Bad("this is nested too deep") from None
    except ValueError:
        raise _Bad("a number has too many digits") from None
    if not isinstance(value, dict):
        raise _Bad("this is not a JSON object")
    return value


def _get(row: Row, *names: str, default: str | None = None) -> str:
    """The text under the first name that is there; null is as good as absent."""
    found = next((name for name in names if row.get(name) is not None), "")
    value = row[found] if found else default
    if value is None:
        raise _Bad(f"there is no {' or '.join(map(repr, names))}")
    if not isinstance(value, str):
        raise _Bad(f"{found!r} is not a text")
    return value


def _rationale(row: Row, _: int) -> Iterator[Recording]:
    question, rationale = _get(row, "question"), _get(row, "rationale", "completion")
    answer = _get(row, "answer_completion", default="")
    finish = _get(row, "finish_reason", default="") or "stop"
    if not question.strip():
        raise _Bad("'question' is empty")
    yield Recording(question, (), "", rationale, answer, finish, 0, 0, "")


def _batch(asked: Callable[[str], Messages] | None, row: Row, _: int) -> Iterator[Recording]:
    key = _get(row, "custom_id")
    messages = asked(key) if asked else ()
    for made in _completions(row):
        about = made.finish_reason, made.prompt_tokens, made.completion_tokens, made.error
        yield Recording("", messages, key, made.text, "", *about, made.reasoning)


def _completions(row: Row) -> Iterator[Completion]:
    """One a choice; the first carries the usage, which was counted over all of them."""
    response, error = row.get("response"), row.get("error")
    if error:
        yield _failed(_said(error))
        return
    if not isinstance(response, dict):
        raise _Bad("there is neither a 'response' nor an 'error'")
    status, body = response.get("status_code"), response.get("body")
    if type(status) is not int:
        raise _Bad("'response' has no 'status_code'")
    if status != 200:
        yield _failed(f"HTTP {status}: {_said(body)}")
        return
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        raise _Bad("'body' has no 'choices', as replies to chats and to plain prompts have")
    for at, choice in enumerate(body["choices"] or [None]):
        if isinstance(choice, dict):
            choice = {**choice, "finish_reason": choice.get("finish_reason") or "stop"}
        alone = {**body, "choices": [choice], "usage": None if at else body.get("usage")}
        try:
            yield read(json.dumps(alone).encode(), "")
        except Again as again:
            yield again.final or _failed(str(again))
        except RecursionError:
            raise _Bad("this is nested too deep") from None


def _failed(reason: str) -> Completion:
    return Completion("", "error", 0, 0, clean(reason, ""))


def _said(error: object) -> str:
    if isinstance(error, dict):
        error = error.get("error") or error
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        code = error.get("code")
        return f"{code}: {error['message']}" if code else str(error["message"])
    return error if isinstance(error, str) else json.dumps(error)


def _asked(path: Path) -> Callable[[str], Messages]:
    """Finds messages by key; they stay in the file, as those of one batch can be 200 MB."""
    offsets: dict[str, int] = {}

    def note(row: Row, offset: int) -> Iterator[Recording]:
        key = _get(row, "custom_id")
        if offsets.setdefault(key, offset) != offset:
            raise _Bad(f"the custom_id {clean(key, '')!r} is there twice")
        yield Recording("", _messages(row), key, "", "", "", 0, 0, "")

    def find(key: str) -> Messages:
        if key not in offsets:
            raise _Bad(f"{path.as_posix()} has no request with the custom_id {clean(key, '')!r}")
        with _open(path) as file:
            file.seek(offsets[key])
            return _messages(_object(_text(file.readline())))

    hint = "give the input file of the batch as it was uploaded"
    deque(_sound(path, _lines(path, note), hint), maxlen=0)
    return find


def _messages(row: Row) -> Messages:
    body = row.get("body")
    messages = body.get("messages") if isinstance(body, dict) else None
    if isinstance(messages, list) and messages:
        return tuple(map(_message, messages))
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str):
        raise _Bad("'body' has neither 'messages' nor a 'prompt' that is one text")
    return (("user", body["prompt"]),)


def _message(message: object) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise _Bad("one of the 'messages' is not an object")
    parts = message.get("content")
    if isinstance(parts, list) and all(isinstance(part, dict) for part in parts):
        return _get(message, "role"), "".join(_get(part, "text") for part in parts)
    return _get(message, "role"), _get(message, "content")


def _document(path: Path) -> Iterator[Recording | _Bad]:
    try:
        with _open(path) as file:
            text = _text(file.read())
        if not isinstance(_object(text).get("data"), dict):
            raise _Bad("there is no 'data' with the completions of each sample")
    except _Bad as bad:
        yield bad
        return
    line, begin, seen = 1, -1, 0
    data = dict(_members(text, _next(text, 0)))["data"]
    for _, sample in _members(text, data):
        for _, at in _members(text, sample) if text[sample] == "[" else [("", sample)]:
            line += text.count("\n", seen, at)
            begin, seen = max(begin, text.rfind("\n", seen, at)), at
            try:
                yield _completed(_DECODER.raw_decode(text, at)[0])
            except _Bad as bad:
                yield _Bad(str(bad), line, at - begin)


_DECODER = json.JSONDecoder()


def _members(text: str, at: int) -> Iterator[tuple[str, int]]:
    """Key and offset of each value in the object or list at `at` of a text known to be JSON.

    The parser of the standard library does not say where a value stood.
    """
    key, keyed = "", text[at] == "{"
    at = _next(text, at + 1)
    while text[at] not in "]}":
        if keyed:
            key, at = _DECODER.raw_decode(text, at)
            at = _next(text, at)
        yield key, at
        at = _next(text, _DECODER.raw_decode(text, at)[1])


def _next(text: str, at: int) -> int:
    while text[at] in " \t\r\n,:":
        at += 1
    return at


def _completed(row: object) -> Recording:
    """A completion as the authors save it.

    Of two calls (zero-shot), `reasoning_completion` answers `reasoning_prompt`, and `completion`
    answers `prompt`, which repeats both and asks for the answer. Of one call (few-shot and
    fine-tuned), `completion` is all there is. A run that was broken off leaves prompts without a
    completion; local models leave no `finish_reason`.
    """
    if not isinstance(row, dict):
        raise _Bad("this is not an object with a completion")
    two = any(row.get(f"reasoning_{name}") is not None for name in ("prompt", "completion"))
    steps = ("reasoning_", "") if two else ("",)
    question, prompt = _get(row, "question"), _get(row, f"{steps[0]}prompt", default="")
    rationale, *answer = (_get(row, f"{step}completion", default="") for step in steps)
    reasons = [_get(row, f"{step}finish_reason", default="") for step in steps]
    finish, error = next((reason for reason in reasons if reason not in ("", "stop")), "stop"), ""
    if row.get(f"{steps[0]}completion") is None:
        if not prompt or row.get("completion") is not None:
            raise _Bad(f"there is no '{steps[0]}completion'")
        finish, error = "error", "the run was broken off before this completion"
    messages = (("user", prompt),) if prompt else ()
    return Recording(question, messages, "", rationale, "".join(answer), finish, 0, 0, error)
