"""Requests kept in flight at one or more servers: none lost, none asked twice, none for ever.

Answers are made durable in small batches as they arrive, so that a crash loses what was in flight
and nothing else. When a run has to stop, attempts under way are waited for, as they may be paid
for, and nothing new is asked.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace

from stages.core.console import say
from stages.engines.budget import Budget
from stages.engines.flow import Server
from stages.engines.reply import BUSY, ODD, Again, Halt, Refused
from stages.engines.request import Completion, Desk, Request
from stages.engines.stopping import stoppable

Ask = Callable[[Server, Request], Awaitable[Completion]]

FIRST_WAIT = 0.5  # seconds before the second attempt, on average; doubles from there
LONGEST_GROWN = 60.0  # seconds that it grows to
UNPROVEN = 60.0
"""Seconds after which a server is given up that has not answered once, for the URL may be wrong."""
_MANY, _OFTEN = 256, 0.2  # answers, or seconds, between two commits
_DOUBT = 16  # refusals without one answer after which the fault is not the requests'


@dataclass
class _Case:
    """A request under way, and how it fared so far."""

    request: Request
    failures: int = 0
    waits: int = 0
    lost: float = 0.0  # USD of attempts that no answer came of


class Pool:
    """The attempts of one run, and what they share.

    Args:
        desk: Hands out requests and makes answers durable.
        servers: Where to ask.
        budget: Says what may be spent.
        retries: Attempts after the first, for a request that fails while the server does not.
        outage: Seconds without any answer after which the servers are given up.
        admit: Waits until the limits by the minute allow a request.
        lose: Books USD that no answer came of, with the reason.
        reserve: Makes durable how much the attempts under way may cost, in USD.

    Attributes:
        halt: Why the run stopped early, if it did.
        delivered: How many answers were made durable.
        given_up: Requests that failed however often they were asked, with the last reason.
    """

    def __init__(
        self,
        desk: Desk,
        servers: Sequence[Server],
        budget: Budget,
        retries: int,
        outage: float,
        admit: Callable[[Request], Awaitable[None]],
        lose: Callable[[float, str], None],
        reserve: Callable[[float], None],
    ) -> None:
        self.halt: Halt | None = None
        self.delivered = 0
        self.given_up: list[tuple[Request, str]] = []
        self._desk, self._servers, self._budget = desk, servers, budget
        self.retries, self._outage = retries, outage
        self._admit, self._lose, self._reserve = admit, lose, reserve
        self._outbox: list[tuple[Request, Completion]] = []
        self._refused: list[tuple[Request, Completion]] = []
        self._later: list[tuple[float, int, _Case]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers = self._turn = 0
        self._next: _Case | None = None
        self._stopping = self._interrupted = False
        self._good = self._flushed = time.monotonic()
        self._bug: BaseException | None = None

    def run(self, connect: Callable[[], AbstractAsyncContextManager[Ask]]) -> None:
        """Answer what the desk hands out; afterwards `halt` says whether that was possible.

        Args:
            connect: Opens, in the running loop, what asks one request once: it raises `Again`,
                `Refused` or `Halt` when there is no answer.

        Raises:
            KeyboardInterrupt: The user stopped the run, and what was under way has been kept.
        """
        try:
            asyncio.run(self._all(connect))
        finally:
            # also after a crash: what was answered is kept
            self._flush()
        if self._interrupted:
            raise KeyboardInterrupt

    async def _all(self, connect: Callable[[], AbstractAsyncContextManager[Ask]]) -> None:
        self._wake = asyncio.Event()
        with stoppable(self._stop):
            async with connect() as ask:
                try:
                    while not self._stopping and await self._step(ask):
                        pass
                    self._stopping = True
                    while self._tasks:
                        await asyncio.wait(self._tasks, timeout=_OFTEN)
                        self._flush()
                finally:
                    for task in self._tasks:
                        task.cancel()
                    await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._bug:
            raise self._bug
        if not self.halt and not self._interrupted:
            self._outbox += self._refused
            self._refused.clear()

    async def _step(self, ask: Ask) -> bool:
        """Send one request, or wait for a reason to go on. False when all is done."""
        now = time.monotonic()
        if now - self._flushed >= _OFTEN or len(self._outbox) >= _MANY:
            self._flush()
        self._wake.clear()
        server = max(self._servers, key=lambda item: item.free(now))
        if server.free(now) > 0:
            case = self._case(now)
            if case is None and not self._tasks and not self._later:
                if not self._outbox:
                    return False
                self._flush()  # which may be what other requests wait for
                return True
            if case is not None and self._afford(case):
                server.in_flight += 1
                self._begin(self._attempt(ask, server, case))
                # a turn for replies that have come meanwhile
                self._turn += 1
                if self._turn % 8 == 0:
                    await asyncio.sleep(0)
                return True
        if not self._stopping:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._rest(now))
        return True

    def _case(self, now: float) -> _Case | None:
        if self._next is None:
            if self._later and self._later[0][0] <= now:
                self._next = heapq.heappop(self._later)[2]
            elif request := self._desk.next():
                self._next = _Case(request)
        return self._next

    def _afford(self, case: _Case) -> bool:
        if self._budget.reserve(case.request):
            self._next = None
            return True
        if self._budget.idle:
            spent, worst = self._budget.spent, self._budget.worst(case.request)
            message = (
                f"the budget of {self._budget.max_usd:g} USD is spent: {spent:.4f} so far, and the "
                f"next request can cost up to {worst:.4f}"
            )
            self.halt = Halt("E609", message, "raise runtime.max_usd")
            self._stopping = True
        return False

    def _rest(self, now: float) -> float:
        """Seconds until something can have changed."""
        waits = [_OFTEN if self._outbox else 5.0]
        if self._later:
            waits.append(self._later[0][0] - now)
        waits += [server.paused - now for server in self._servers if server.paused > now]
        return max(min(waits), 0.001)

    def _begin(self, attempt: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(attempt)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            self._stopping, self._bug = True, self._bug or error

    async def _attempt(self, ask: Ask, server: Server, case: _Case) -> None:
        request, settled = case.request, False
        try:
            await self._admit(request)
            sent = time.monotonic()
            completion = await ask(server, request)
            settled = True
            self._answered(server, case, completion, sent)
        except Refused as refusal:
            settled = True
            self._budget.release(request)
            self._refuse(request, str(refusal))
        except Halt as halt:
            settled = True
            self._budget.release(request)
            self.halt = self.halt or halt
            self._stopping = True
        except Again as again:
            settled = True
            self._failed(server, case, again, sent)
        finally:
            server.in_flight -= 1
            if not settled:
                self._lose(self._budget.presume(request), "left while an answer was under way")

    def _answered(self, server: Server, case: _Case, completion: Completion, sent: float) -> None:
        now, request = time.monotonic(), case.request
        usd = self._budget.settle(request, completion.prompt_tokens, completion.completion_tokens)
        down = server.down_since
        if server.answered(sent, now, completion.completion_tokens):
            say(f"  {server.url} answers again after {now - down:.0f} s")
        self._good = now
        self._answers += 1
        completion = replace(completion, seconds=round(now - sent, 3), usd=case.lost + usd)
        self._outbox += [*self._refused, (request, completion)]
        self._refused.clear()

    def _refuse(self, request: Request, reason: str) -> None:
        # a wrong key or setting can look like a refusal of every request, so until one answer has
        # come none is put on record
        self._refused.append((request, Completion("", "error", 0, 0, reason)))
        if self._answers or self._desk.held:
            self._outbox += self._refused
            self._refused.clear()
        elif len(self._refused) >= _DOUBT and not self.halt:
            message = f"the server refused each of the first {_DOUBT} requests ({reason})"
            self.halt = Halt("E605", message, "correct the settings of this endpoint")
            self._stopping = True

    def _failed(self, server: Server, case: _Case, again: Again, sent: float) -> None:
        now, request = time.monotonic(), case.request
        case.lost += self._cost(case, again)
        if again.kind == ODD:
            # the server works, and this reply was of no use
            self._good, case.failures = now, case.failures + 1
        else:
            was_down = server.down
            if server.troubled(request.key, sent, now, again.after) and not was_down:
                say(f"  {server.url} fails ({again}); asking it again now and then")
            if again.kind != BUSY and not server.down:
                case.failures += 1
            patience = self._outage if self._answers else min(self._outage, UNPROVEN)
            if now - self._good > patience and not self.halt:
                message = f"no answer for {now - self._good:.0f} s ({again})"
                self.halt = Halt("E606", message, "see to the server or wait")
                self._stopping = True
        if case.failures > self.retries:
            self._exhausted(case, again)
            return
        case.waits += 1
        grown = min(FIRST_WAIT * 2.0 ** min(case.waits - 1, 20), LONGEST_GROWN)
        due = now + max(again.after, grown) + FIRST_WAIT * random.random()
        if server.down and len(self._servers) == 1:
            due = min(due, server.paused)
        self._turn += 1
        heapq.heappush(self._later, (due, self._turn, case))

    def _cost(self, case: _Case, again: Again) -> float:
        if again.final and (again.final.prompt_tokens or again.final.completion_tokens):
            spent = again.final.prompt_tokens, again.final.completion_tokens
            return self._budget.settle(case.request, *spent)
        if again.billed:
            return self._budget.presume(case.request)
        self._budget.release(case.request)
        return 0.0

    def _exhausted(self, case: _Case, again: Again) -> None:
        if again.final:
            self._outbox.append((case.request, replace(again.final, usd=case.lost)))
            return
        if case.lost:
            self._lose(case.lost, "attempts that failed")
        self.given_up.append((case.request, str(again)))
        self._desk.drop(case.request)

    def _stop(self, again: bool) -> None:
        if again:
            for task in self._tasks:
                task.cancel()
            return
        self._stopping = self._interrupted = True
        self._wake.set()
        if self._tasks:
            say(
                f"  stopping: {len(self._tasks)} answers are under way and may be paid for; "
                "once more to leave at once"
            )

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self._outbox:
            batch = self._outbox[:]
            self._desk.deliver(batch)
            del self._outbox[: len(batch)]
            self.delivered += len(batch)
        self._reserve(self._budget.reserved)
