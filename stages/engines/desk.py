"""The desk between jobs and a streaming engine: what is held is served, the rest is handed out.

Memory holds what is in flight and one look-ahead, however many jobs there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from stages.engines.request import Answers, Completion, Job, Request
from stages.engines.store import Store, serves

CHUNK = 500
"""Jobs that are looked up at once."""

Waiting = list[tuple[Job[Any], Request]]


class StoreDesk:
    """See `Desk`.

    Args:
        jobs: Pulled as far as answers are missing, and no further.
        store: Where answers are made durable before they count.

    Attributes:
        held: Requests that the store answered.
        done: Jobs that were finished.
        dropped: Requests that were given up.
    """

    def __init__(self, jobs: Iterable[Job[Any]], store: Store) -> None:
        self.held = 0
        self.done = 0
        self.dropped = 0
        self._jobs = iter(jobs)
        self._store = store
        self._ready: deque[Request] = deque()
        self._waiting: dict[str, Waiting] = {}

    def peek(self) -> Request | None:
        """See `Desk.peek`."""
        while not self._ready:
            batch = list(islice(self._jobs, CHUNK))
            if not batch:
                return None
            self._advance([pair for job in batch for pair in self._on(job, None)])
        return self._ready[0]

    def next(self) -> Request | None:
        """See `Desk.next`."""
        return self._ready.popleft() if self.peek() else None

    def refresh(self) -> None:
        """See `Desk.refresh`."""
        going = [pair for request in self._ready for pair in self._waiting.pop(request.key)]
        self._ready.clear()
        self._advance(going)

    def deliver(self, answers: Answers) -> None:
        """See `Desk.deliver`."""
        before = self._store.db.total_changes
        self._store.put_many(answers)
        # an answer that came in beside this process stays, and is what a replay will find
        all_new = self._store.db.total_changes - before == len(answers)
        going: Waiting = []
        for request, completion in answers:
            for job, wanted in self._waiting.pop(request.key, []):
                # one key may be wanted under several limits
                if all_new and _answers(request, completion, wanted):
                    going += self._on(job, completion)
                else:
                    going.append((job, wanted))
        self._advance(going)

    def drop(self, request: Request) -> None:
        """See `Desk.drop`."""
        self.dropped += 1
        for job, _ in self._waiting.pop(request.key, []):
            job.close()

    def _advance(self, going: Waiting) -> None:
        while going:
            found = self._store.get_many([request for _, request in going])
            further: Waiting = []
            for (job, request), completion in zip(going, found, strict=True):
                if completion is not None:
                    self.held += 1
                    further += self._on(job, completion)
                elif request.key in self._waiting:
                    self._waiting[request.key].append((job, request))
                else:
                    self._waiting[request.key] = [(job, request)]
                    self._ready.append(request)
            going = further

    def _on(self, job: Job[Any], completion: Completion | None) -> Waiting:
        try:
            return [(job, next(job) if completion is None else job.send(completion))]
        except StopIteration:
            self.done += 1
            return []


def _answers(asked: Request, completion: Completion, wanted: Request) -> bool:
    enough = wanted.top_logprobs <= asked.top_logprobs or completion.error
    return bool(enough) and serves(asked.max_tokens, completion, wanted)


def replay(jobs: Iterable[Job[Any]], store: Store) -> Iterator[Any]:
    """What each job makes of the held completions, in order.

    Raises:
        LookupError: A completion is not held.
    """
    source = iter(jobs)
    while batch := list(islice(source, CHUNK)):
        made: list[Any] = [None] * len(batch)
        going = []
        for place, job in enumerate(batch):
            try:
                going.append((place, job, next(job)))
            except StopIteration as stop:
                made[place] = stop.value
        while going:
            further = []
            found = store.get_many([request for _, _, request in going])
            for (place, job, request), completion in zip(going, found, strict=True):
                if completion is None:
                    raise LookupError(f"no completion is held for the request {request.key}")
                try:
                    further.append((place, job, job.send(completion)))
                except StopIteration as stop:
                    made[place] = stop.value
            going = further
        yield from made
