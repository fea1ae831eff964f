"""What is asked of a model, what it answered, and the seam that every model is reached through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from stages.core.jsonl import digest

Message = dict[str, str]


@dataclass(frozen=True)
class Request:
    """Exactly what decides an answer, and nothing else.

    Args:
        endpoint: Identity of where the model is served: ``local``, a base URL, or the identity
            declared in ``params.yaml``.
        model: Name with its revision, or ``sha256:…`` of a local checkpoint.
        messages: (role, content) pairs in order; the system message is one of them.
        max_tokens: The most tokens that the answer may have.
        temperature: 0 is greedy.
        top_p: Share of the probability mass that is sampled from, in (0, 1].
        sample: Index of this answer among several to the same messages.
    """

    endpoint: str
    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    sample: int = 0

    def identity(self) -> dict[str, Any]:
        """The fields that the key covers, ready for canonical JSON."""
        return {
            "endpoint": self.endpoint,
            "model": self.model,
            "messages": [list(message) for message in self.messages],
            # YAML reads `1` as int and `1.0` as float, and both must name one request
            "temperature": float(self.temperature) + 0.0,
            "top_p": float(self.top_p) + 0.0,
            "sample": self.sample,
        }

    @cached_property
    def key(self) -> str:
        """Hex SHA-256 of everything but `max_tokens`.

        Without the limit in it, raising the limit re-asks only the answers that were cut short.
        """
        return digest(self.identity())

    def chat(self) -> list[Message]:
        """The messages as chat templates and servers take them."""
        return [{"role": role, "content": content} for role, content in self.messages]


@dataclass(frozen=True)
class Completion:
    """One answer.

    Args:
        text: What the model wrote; may hold lone surrogates.
        finish_reason: ``stop``, ``length`` (cut short by `max_tokens`), ``content_filter``,
            ``error``, or whatever else the server says.
        prompt_tokens: As counted by whoever served the model; 0 when unknown.
        completion_tokens: As `prompt_tokens`.
        error: Why the request can never succeed; empty for an answer.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error: str = ""


Answers = Sequence[tuple[Request, Completion]]
Deliver = Callable[[Answers], None]


class Engine(Protocol):
    """Turns requests into completions; teacher and student are both reached through one."""

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

        Args:
            requests: Everything that the stage wants, keys distinct, in a stable order, so that
                an engine may plan its batches independently of what is already held.
            missing: Keys of the requests to be generated.
            deliver: Makes the answers durable before it returns. Called on the thread that
                called `complete`, with one or more answers at a time, as they arrive.

        Raises:
            UserError: The rest cannot be generated; everything answered was delivered first.
        """
        ...
