"""One strategy on one row: its calls, each built on the reply to the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import TemplateError

from stages.engines.ask import request
from stages.engines.request import Completion, Engine, Job, Message, Request
from stages.spec.render import render_text

Record = dict[str, Any]


@dataclass(frozen=True)
class Asking:
    """Who is asked, and how.

    Args:
        engine: Teacher or student.
        suite: For the notes on each request.
        later: ``calls.json`` of the suite.
        values: Sampling values that alter the output.
        ceiling: A limit on every call's reply, in tokens, beside the strategy's own.
        forces: Whether the answer is asked for even behind a rationale that was cut short, as the
            authors of Fine-tune-CoT do; whoever pays for replies had better not.
    """

    engine: Engine
    suite: str
    later: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    ceiling: int | None = None
    forces: bool = False

    def chain(self, row: Mapping[str, Any], strategy: str, sample: int = 0) -> Job[Record]:
        """Ask call after call; makes one rationale with every reply beside it.

        A reply that was cut short, or that is none, ends the chain, unless it `forces` an answer:
        nothing good can be built on it, and each further call would be paid for.
        """
        prompt = row["prompts"][strategy]
        calls = self.later["calls"].get(strategy) or [{"max_tokens": prompt["max_tokens"]}]
        messages: list[Message] = prompt["messages"]
        asked: list[_Asked] = []
        failed = ""
        for index, call in enumerate(calls):
            if index:
                try:
                    messages = self._next(call, messages, asked[-1].text, row)
                except TemplateError as error:  # a reply can bring a template to its bounds
                    failed = f"call {index + 1} cannot be written after this reply: {error}"
                    break
            item = self._request(messages, call["max_tokens"], row, strategy, sample)
            done = yield item
            asked.append(_Asked(item, done, call.get("gives", "rationale"), call.get("stop")))
            if done.error or done.finish_reason == "content_filter":
                break
            forced = self.forces and calls[-1].get("gives") == "answer" and index + 2 == len(calls)
            if asked[-1].finish_reason == "length" and not forced:
                break
        return {
            "id": row["id"],
            "task": row["task"],
            "strategy": strategy,
            "sample": sample,
            **_joined(asked, row["variables"]["answer_marker"], failed),
        }

    def first(self, row: Mapping[str, Any], strategy: str, samples: int) -> Iterator[Request]:
        """The first request of each of so many chains; the only one of a strategy of one call."""
        calls = self.later["calls"].get(strategy)
        prompt = row["prompts"][strategy]
        limit = calls[0]["max_tokens"] if calls else prompt["max_tokens"]
        first = self._request(prompt["messages"], limit, row, strategy, 0)
        yield first
        for sample in range(1, samples):
            yield first.again(sample)

    def _request(
        self, messages: Sequence[Message], limit: int, row: Mapping[str, Any], strategy: str,
        sample: int,
    ) -> Request:  # fmt: skip
        about = f"{self.suite}/{row['task']}/{strategy}"
        most = min(limit, self.ceiling or limit)
        return request(
            self.engine, messages, most, sample=sample, about=about, row=row["id"], **self.values
        )

    def _next(
        self,
        call: Mapping[str, Any],
        before: Sequence[Message],
        reply: str,
        row: Mapping[str, Any],
    ) -> list[Message]:
        exemplars = self.later["exemplars"].get(row["task"], [])
        values = {**row["variables"], "exemplars": exemplars, "reply": reply}
        user = {"role": "user", "content": render_text(call["user"], values)}
        if call["continues"]:
            return [*before, {"role": "assistant", "content": reply}, user]
        if call["system"]:
            return [{"role": "system", "content": render_text(call["system"], values)}, user]
        return [user]


@dataclass(frozen=True)
class _Asked:
    """One call: `gives` and `stop` are as in the strategy's schema."""

    request: Request
    done: Completion
    gives: str
    stop: str | None

    @property
    def text(self) -> str:
        """The reply, up to the words that end it."""
        return self.done.text.partition(self.stop)[0] if self.stop else self.done.text

    @property
    def finish_reason(self) -> str:
        """``stop`` as well where the words that end it were met before the limit was."""
        ended = self.stop and self.stop in self.done.text
        return "stop" if ended and self.done.finish_reason == "length" else self.done.finish_reason


def _joined(asked: Sequence[_Asked], marker: str, failed: str) -> Record:
    """The chain as one completion, and each call as the store holds it."""
    last = asked[-1]
    parts = [call.text for call in asked if call.gives == "rationale"]
    if last.gives == "answer":
        parts.append(f"{marker} {last.text.strip()}")
    text = parts[0] if len(parts) == 1 else "\n".join(part.strip() for part in parts)
    # a rationale that was cut short stays so when an answer was then forced
    cut = any(call.finish_reason == "length" for call in asked)
    return {
        "completion": text,
        "finish_reason": "length" if cut else last.finish_reason,
        "completion_tokens": sum(call.done.completion_tokens for call in asked),
        "error": failed or last.done.error,
        "calls": [_call(call.request, call.done, text) for call in asked],
    }


def _call(item: Request, done: Completion, text: str) -> Record:
    made: Record = {
        "key": item.key,
        "max_tokens": item.max_tokens,
        "finish_reason": done.finish_reason,
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "error": done.error,
    }
    if done.text != text:
        made["text"] = done.text
    if done.reasoning:
        made["reasoning"] = done.reasoning
    if done.logprobs:
        made |= {"logprobs": done.logprobs, "top_logprobs": item.top_logprobs}
    return made
