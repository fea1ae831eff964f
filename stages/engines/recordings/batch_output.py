"""Output and error files of OpenAI's Batch API, and what the input file says was asked."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from stages.engines.recordings.lines import (
    Bad,
    Messages,
    Recording,
    Row,
    get,
    lines,
    object_of,
    opened,
    sound,
    text_of,
)
from stages.engines.reply import Again, clean, read
from stages.engines.request import Completion


def batch(asked: Callable[[str], Messages] | None, row: Row, _: int) -> Iterator[Recording]:
    """The choices of one line; `asked` finds what was asked by its key."""
    key = get(row, "custom_id")
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
        raise Bad("there is neither a 'response' nor an 'error'")
    status, body = response.get("status_code"), response.get("body")
    if type(status) is not int:
        raise Bad("'response' has no 'status_code'")
    if status != 200:
        yield _failed(f"HTTP {status}: {_said(body)}")
        return
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        raise Bad("'body' has no 'choices', as replies to chats and to plain prompts have")
    for at, choice in enumerate(body["choices"] or [None]):
        if isinstance(choice, dict):
            choice = {**choice, "finish_reason": choice.get("finish_reason") or "stop"}
        alone = {**body, "choices": [choice], "usage": None if at else body.get("usage")}
        try:
            yield read(json.dumps(alone).encode(), "")
        except Again as again:
            yield again.final or _failed(str(again))
        except RecursionError:
            raise Bad("this is nested too deep") from None


def _failed(reason: str) -> Completion:
    return Completion("", "error", 0, 0, clean(reason, ""))


def _said(error: object) -> str:
    if isinstance(error, dict):
        error = error.get("error") or error
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        code = error.get("code")
        return f"{code}: {error['message']}" if code else str(error["message"])
    return error if isinstance(error, str) else json.dumps(error)


def asked(path: Path) -> Callable[[str], Messages]:
    """Finds messages by key; they stay in the file, as those of one batch can be 200 MB."""
    offsets: dict[str, int] = {}

    def note(row: Row, offset: int) -> Iterator[Recording]:
        key = get(row, "custom_id")
        if offsets.setdefault(key, offset) != offset:
            raise Bad(f"the custom_id {clean(key, '')!r} is there twice")
        yield Recording("", _messages(row), key, "", "", "", 0, 0, "")

    def find(key: str) -> Messages:
        if key not in offsets:
            raise Bad(f"{path.as_posix()} has no request with the custom_id {clean(key, '')!r}")
        with opened(path) as file:
            file.seek(offsets[key])
            return _messages(object_of(text_of(file.readline())))

    hint = "give the input file of the batch as it was uploaded"
    deque(sound(path, lines(path, note), hint), maxlen=0)
    return find


def _messages(row: Row) -> Messages:
    body = row.get("body")
    messages = body.get("messages") if isinstance(body, dict) else None
    if isinstance(messages, list) and messages:
        return tuple(map(_message, messages))
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str):
        raise Bad("'body' has neither 'messages' nor a 'prompt' that is one text")
    return (("user", body["prompt"]),)


def _message(message: object) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise Bad("one of the 'messages' is not an object")
    parts = message.get("content")
    if isinstance(parts, list) and all(isinstance(part, dict) for part in parts):
        return get(message, "role"), "".join(get(part, "text") for part in parts)
    return get(message, "role"), get(message, "content")
