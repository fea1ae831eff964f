"""Completion data of the authors of "Large Language Models Are Reasoning Teachers"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from stages.engines.recordings.lines import Bad, Recording, get, object_of, opened, text_of


def document(path: Path) -> Iterator[Recording | Bad]:
    """Every completion of the file, in its order, with what is wrong among them."""
    try:
        with opened(path) as file:
            text = text_of(file.read())
        if not isinstance(object_of(text).get("data"), dict):
            raise Bad("there is no 'data' with the completions of each sample")
    except Bad as bad:
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
            except Bad as bad:
                yield Bad(str(bad), line, at - begin)


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
        raise Bad("this is not an object with a completion")
    two = any(row.get(f"reasoning_{name}") is not None for name in ("prompt", "completion"))
    steps = ("reasoning_", "") if two else ("",)
    question, prompt = get(row, "question"), get(row, f"{steps[0]}prompt", default="")
    rationale, *answer = (get(row, f"{step}completion", default="") for step in steps)
    reasons = [get(row, f"{step}finish_reason", default="") for step in steps]
    finish, error = next((reason for reason in reasons if reason not in ("", "stop")), "stop"), ""
    if row.get(f"{steps[0]}completion") is None:
        if not prompt or row.get("completion") is not None:
            raise Bad(f"there is no '{steps[0]}completion'")
        finish, error = "error", "the run was broken off before this completion"
    messages = (("user", prompt),) if prompt else ()
    return Recording(question, messages, "", rationale, "".join(answer), finish, 0, 0, error)
