"""What is asked of a model, what it answered, and the seam that every model is reached through."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from json.encoder import encode_basestring
from typing import Any, Protocol, TypeVar

from stages.core.jsonl import canonical, digest

Message = dict[str, str]


@dataclass(frozen=True)
class Request:
    """Exactly what decides an answer, and notes for whoever looks at the bill.

    Args:
        endpoint: Identity of where the model is served: ``local``, a base URL, or the identity
            declared in ``params.yaml``.
        model: Name with its revision, or ``sha256:…`` of a local checkpoint.
        messages: (role, content) pairs in order; the system message is one of them.
        max_tokens: The most tokens that the answer may have.
        temperature: 0 is greedy.
        top_p: Share of the probability mass that is sampled from, in (0, 1].
        sample: Index of this answer among several to the same messages.
        api: ``chat``, or ``completions`` for a model that continues a plain text.
        extra: Further values of the request's body, as canonical JSON; empty for none.
        top_logprobs: Alternatives to be kept for each token; 0 keeps no log-probabilities.
        about: ``suite/task/strategy`` that asks. A note: in no key.
        row: The row that asks. A note: in no key.
    """

    endpoint: str
    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    sample: int = 0
    api: str = "chat"
    extra: str = ""
    top_logprobs: int = 0
    about: str = field(default="", compare=False)
    row: str = field(default="", compare=False)

    def identity(self) -> dict[str, Any]:
        """The fields that the key covers, ready for canonical JSON."""
        fields: dict[str, Any] = {
            "endpoint": self.endpoint,
            "model": self.model,
            "messages": [list(message) for message in self.messages],
            # YAML reads `1` as int and `1.0` as float, and both must name one request
            "temperature": float(self.temperature) + 0.0,
            "top_p": float(self.top_p) + 0.0,
            "sample": self.sample,
        }
        # left out where they say nothing, so that older keys stay as they are
        if self.api != "chat":
            fields["api"] = self.api
        if self.extra:
            fields["extra"] = json.loads(self.extra)
        return fields

    @cached_property
    def key(self) -> str:
        """Hex SHA-256 of everything but `max_tokens` and `top_logprobs`.

        Without the limit in it, raising the limit re-asks only the answers that were cut short;
        without the log-probabilities, an answer that has them serves whoever needs none.
        """
        # the digest of `identity`, put together from parts that requests share
        texts = _messages(self.messages)
        if not texts.isascii():
            return digest(self.identity())
        head, middle, tail = _around(
            self.api, self.endpoint, self.extra, self.model, self.temperature, self.top_p
        )
        whole = f"{head}{texts}{middle}{self.sample}{tail}"
        return hashlib.sha256(whole.encode()).hexdigest()

    @cached_property
    def prompt(self) -> str:
        """Hex digest of all messages but the system's, 16 digits."""
        return _short([pair for pair in self.messages if pair[0] != "system"])

    @cached_property
    def system(self) -> str:
        """Hex digest of the system messages, 16 digits."""
        return _short([pair for pair in self.messages if pair[0] == "system"])

    def again(self, sample: int) -> Request:
        """The same request for another sample; a plan makes a million of them."""
        other = object.__new__(Request)
        other.__dict__.update(self.__dict__, sample=sample)
        other.__dict__.pop("key", None)
        return other

    def chat(self) -> list[Message]:
        """The messages as chat templates and servers take them."""
        return [{"role": role, "content": content} for role, content in self.messages]

    def plain(self) -> str:
        """The messages as one text, for a model that continues it."""
        return "\n\n".join(content for _, content in self.messages)


@lru_cache(maxsize=4)
def _messages(messages: tuple[tuple[str, str], ...]) -> str:
    # as `canonical`, in a third of the time
    pairs = [f"[{encode_basestring(role)},{encode_basestring(text)}]" for role, text in messages]
    return f"[{','.join(pairs)}]"


@lru_cache(maxsize=16)
def _around(
    api: str, endpoint: str, extra: str, model: str, temperature: float, top_p: float
) -> tuple[str, str, str]:
    """What stands before the messages, between them and the sample, and behind it."""
    first = f'"api":{canonical(api)},' if api != "chat" else ""
    further = f'"extra":{extra},' if extra else ""
    return (
        f'{{{first}"endpoint":{canonical(endpoint)},{further}"messages":',
        f',"model":{canonical(model)},"sample":',
        f',"temperature":{float(temperature) + 0.0!r},"top_p":{float(top_p) + 0.0!r}}}',
    )


def _short(messages: Sequence[tuple[str, str]]) -> str:
    return hashlib.sha256(canonical(messages).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Completion:
    """One answer.

    Args:
        text: What the model wrote; may hold lone surrogates.
        finish_reason: ``stop``, ``length`` (cut short by `max_tokens`), ``content_filter``,
            ``error``, or whatever else the server says.
        prompt_tokens: As counted by whoever served the model; 0 when unknown.
        completion_tokens: As `prompt_tokens`; what a reasoning model thinks is part of it.
        error: Why the request can never succeed; empty for an answer.
        reasoning: What a reasoning model thought before it wrote `text`, where the server says.
        logprobs: Canonical JSON: per token [text, log-probability, [[text, log-probability], …]],
            with a list of bytes for a text that is none; empty when none were asked for.
        seconds: How long the attempt took; 0 when unknown. A note: two answers that differ in
            it alone are the same.
        usd: What was paid for it, failed attempts that were billed included. A note as well.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error: str = ""
    reasoning: str = ""
    logprobs: str = ""
    seconds: float = field(default=0.0, compare=False)
    usd: float = field(default=0.0, compare=False)


Answers = Sequence[tuple[Request, Completion]]
Deliver = Callable[[Answers], None]
Making = Callable[[int, int], None]
"""Told how many answers of a batch have ended, and how many tokens are made."""
Made = TypeVar("Made", covariant=True)
Job = Generator[Request, Completion, Made]
"""Yields one request after the other, is sent the completion of each, and returns what it made.

It must do the same on the same completions, as it is run again to read what is held."""


def silent(ended: int, tokens: int) -> None:
    """A `Making` that tells nobody."""


class Planned(Protocol):
    """An engine that sees all requests of a round at once."""

    @property
    def endpoint(self) -> str:
        """Goes into `Request.endpoint` of whatever is asked of this engine."""
        ...

    @property
    def model(self) -> str:
        """Goes into `Request.model` of whatever is asked of this engine."""
        ...

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        """Generate what is missing.

        An engine whose batches take long may have an attribute `making`, which it is given anew for
        each round, and call it with the answers and tokens of the batch that is not delivered yet.

        Args:
            requests: Everything that the round wants, keys distinct, in a stable order, so that
                the engine may plan its batches independently of what is already held.
            missing: Keys of the requests to be generated.
            deliver: Makes the answers durable before it returns. Called on the thread that
                called `complete`, with one or more answers at a time, as they arrive.

        Raises:
            UserError: The rest cannot be generated; everything answered was delivered first.
        """
        ...


class Desk(Protocol):
    """Hands out requests that lack an answer, and takes the answers in."""

    def peek(self) -> Request | None:
        """What `next` would give."""
        ...

    def next(self) -> Request | None:
        """The next request to be asked; None while there is none, with nothing asked for good."""
        ...

    def refresh(self) -> None:
        """Look up again what is to be asked next, as another process may have stored it."""
        ...

    def deliver(self, answers: Answers) -> None:
        """Make answers durable; what depends on them can be asked next."""
        ...

    def drop(self, request: Request) -> None:
        """Give a request up for this time; whatever depends on it stays undone."""
        ...

    @property
    def held(self) -> int:
        """How many answers were served from the store so far."""
        ...


class Streamed(Protocol):
    """An engine that takes requests one by one, in memory that does not grow with their number."""

    @property
    def endpoint(self) -> str:
        """As `Planned.endpoint`."""
        ...

    @property
    def model(self) -> str:
        """As `Planned.model`."""
        ...

    def serve(self, desk: Desk) -> None:
        """Answer what the desk hands out until it hands out nothing more.

        Raises:
            UserError: The rest cannot be answered; everything answered was delivered first.
        """
        ...


Engine = Planned | Streamed
