"""Requests that a desk hands out, and how they fare in batches."""

from __future__ import annotations

from collections import Counter, deque

from stages.engines.reply import Again
from stages.engines.request import Answers, Desk, Request
from stages.engines.store import Store


class Wanted:
    """What a desk waits for.

    Args:
        desk: Hands out requests and makes their answers durable.
        store: Where answers go that the desk does not wait for.
        retries: How often a request that failed is put into another batch.

    Attributes:
        stored: Answers that were made durable.
        given_up: Why requests were given up, a reason each.
    """

    def __init__(self, desk: Desk, store: Store, retries: int) -> None:
        self.stored = 0
        self.given_up: list[str] = []
        self._desk, self._store, self._retries = desk, store, retries
        self._waiting: dict[str, Request] = {}
        self._again: deque[Request] = deque()
        self._tries: Counter[str] = Counter()

    @property
    def done(self) -> bool:
        """Whether nothing is waited for and nothing is left to be handed out."""
        return not self._waiting and not self._desk.peek()

    @property
    def served(self) -> bool:
        """Whether any request was answered, by the provider or by the store."""
        return bool(self.stored or self._desk.held)

    def refresh(self) -> None:
        """Look up in the store again what was not handed out yet."""
        self._desk.refresh()

    def peek(self) -> Request | None:
        """What `take` would give."""
        return self._again[0] if self._again else self._desk.peek()

    def take(self) -> None:
        """Count the request that `peek` gives among those that are with the provider."""
        request = self._again.popleft() if self._again else self._desk.next()
        assert request is not None
        self._waiting[request.key] = request

    def awaits(self, request: Request) -> bool:
        """Whether a request of this key was handed out and has no answer yet."""
        return request.key in self._waiting

    def answered(self, answers: Answers) -> float:
        """Make answers durable, whether or not they are waited for.

        Returns:
            USD of those that the store holds another answer to already.
        """
        before = self._store.get_many([request for request, _ in answers])
        twice = sum(
            completion.usd
            for held, (_, completion) in zip(before, answers, strict=True)
            if held and held != completion
        )
        awaited, others = [], []
        for request, completion in answers:
            wanted = self._waiting.get(request.key)
            if wanted and (completion.error or wanted.top_logprobs <= request.top_logprobs):
                del self._waiting[request.key]
                awaited.append((request, completion))
            else:
                others.append((request, completion))
                if wanted:
                    self._again.append(wanted)
        if others:
            self._store.put_many(others)
        if awaited:
            self._desk.deliver(awaited)
        self.stored += len(answers)
        return twice

    def failed(self, request: Request, reason: Again, *, counts: bool) -> None:
        """Have a request asked again, or record its failure, or give it up.

        Args:
            request: As it was in the batch.
            reason: Why it has no answer.
            counts: Whether this was one of its attempts.
        """
        wanted = self._waiting.get(request.key)
        if not wanted:
            return
        self._tries[request.key] += counts
        if self._tries[request.key] <= self._retries:
            self._again.append(wanted)
        elif reason.final:
            self.answered([(request, reason.final)])
        else:
            del self._waiting[request.key]
            self._desk.drop(wanted)
            self.given_up.append(str(reason))
