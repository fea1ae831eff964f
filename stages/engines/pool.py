"""Workers that take requests from one queue, retry what may pass, and lose nothing.

Answers are made durable in small batches as they arrive, so that a crash loses what was in flight
and nothing else. When no request can succeed any more, attempts under way are waited for, as they
may be paid for, and nothing new is asked.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from stages.engines.reply import Again, Halt, Refused
from stages.engines.request import Completion, Deliver, Request

if TYPE_CHECKING:
    import tenacity

Ask = Callable[[Request], Awaitable[Completion]]

FIRST_WAIT = 0.5  # seconds before the second attempt, on average; doubles from there
LONGEST_GROWN = 60.0  # seconds that it grows to
_MANY, _OFTEN = 64, 0.2  # answers, or seconds, between two commits
_DOUBT = 16  # refusals without one answer after which the fault is not the requests'


class _Stopped(Exception):
    """Another worker met a `Halt`."""


class Pool:
    """The workers of one run, and what they share.

    Args:
        deliver: Makes answers durable; called on the thread that called `run`.
        concurrency: Workers, hence requests in flight at most.
        retries: Attempts after the first, for failures that may pass.
        proven: Whether this endpoint is known to have answered before.

    Attributes:
        halt: Why the run stopped early, if it did.
        delivered: How many answers were made durable.
    """

    def __init__(self, deliver: Deliver, concurrency: int, retries: int, proven: bool) -> None:
        self.halt: Halt | None = None
        self.delivered = 0
        self._deliver = deliver
        self._concurrency = concurrency
        self._attempts = retries + 1
        self._proven = proven
        self._outbox: list[tuple[Request, Completion]] = []
        self._refused: list[tuple[Request, Completion]] = []

    def run(
        self, todo: Sequence[Request], connect: Callable[[], AbstractAsyncContextManager[Ask]]
    ) -> None:
        """Complete `todo`; afterwards `halt` says whether that was possible.

        Args:
            todo: Requests to be asked, in order.
            connect: Opens, in the running loop, what asks one request once: it raises `Again`,
                `Refused` or `Halt` when there is no answer.
        """
        try:
            asyncio.run(self._all(todo, connect))
        finally:
            # also after an interrupt: what was answered is kept
            self._flush()

    async def _all(
        self, todo: Sequence[Request], connect: Callable[[], AbstractAsyncContextManager[Ask]]
    ) -> None:
        self._stop = asyncio.Event()
        async with connect() as ask:
            queue = iter(todo)
            count = min(self._concurrency, len(todo))
            workers = {asyncio.ensure_future(self._work(ask, queue)) for _ in range(count)}
            try:
                pending = workers
                while pending:
                    done, pending = await asyncio.wait(
                        pending, timeout=_OFTEN, return_when=asyncio.FIRST_EXCEPTION
                    )
                    self._flush()
                    for worker in done:
                        worker.result()
            finally:
                self._stop.set()
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        if not self.halt:
            self._outbox += self._refused

    def _flush(self) -> None:
        if self._outbox:
            batch = self._outbox[:]
            self._deliver(batch)
            del self._outbox[: len(batch)]
            self.delivered += len(batch)

    async def _work(self, ask: Ask, queue: Iterator[Request]) -> None:
        for request in queue:
            try:
                self._answered(request, await self._persist(ask, request))
            except Refused as refusal:
                self._refuse(request, str(refusal))
            except Halt as halt:
                # the other workers finish the attempt that they are at, which may be paid for
                self.halt = self.halt or halt
                self._stop.set()
            except _Stopped:
                pass
            if self._stop.is_set():
                return

    def _answered(self, request: Request, completion: Completion) -> None:
        self._proven = True
        self._outbox += [*self._refused, (request, completion)]
        self._refused.clear()
        if len(self._outbox) >= _MANY:
            self._flush()

    def _refuse(self, request: Request, reason: str) -> None:
        # a wrong key or setting can look like a refusal of every request, so until one answer has
        # come none is put on record
        self._refused.append((request, Completion("", "error", 0, 0, reason)))
        if self._proven:
            self._outbox += self._refused
            self._refused.clear()
        elif len(self._refused) >= _DOUBT and not self.halt:
            message = f"the server refused each of the first {_DOUBT} requests ({reason})"
            self.halt = Halt("E605", message, "correct the settings of this endpoint")
            self._stop.set()

    async def _persist(self, ask: Ask, request: Request) -> Completion:
        import tenacity

        attempts = self._attempts

        async def attempt() -> Completion:
            return await ask(request)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Again),
            wait=_wait,
            stop=tenacity.stop_after_attempt(attempts),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except Again as again:
            if again.final:
                return again.final
            times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
            message = f"a request failed in {times} ({again})"
            raise Halt("E606", message, "see to the server or wait") from None

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise _Stopped


def _wait(state: tenacity.RetryCallState) -> float:
    import tenacity

    failure = state.outcome.exception() if state.outcome else None
    grown = tenacity.wait_random_exponential(
        multiplier=2 * FIRST_WAIT, min=FIRST_WAIT / 2, max=LONGEST_GROWN
    )(state)
    if isinstance(failure, Again) and failure.after:
        # all workers were told the same time, and are not to come back in the same instant
        return max(failure.after + FIRST_WAIT * random.random(), grown)
    return grown
