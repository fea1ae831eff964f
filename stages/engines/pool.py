"""Requests kept in flight at one or more servers: none lost, none asked twice, none for ever.

Answers are made durable in small batches as they arrive, so that a crash loses what was in flight
and little else. When a run has to stop, attempts under way are waited for, as they may be paid
for, and nothing new is asked.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from stages.core.console import say
from stages.engines.budget import Budget
from stages.engines.delays import Case
from stages.engines.flow import Server
from stages.engines.limits import Limits
from stages.engines.outbox import OFTEN, Outbox
from stages.engines.outcomes import Outcomes
from stages.engines.reply import Again, Halt, Refused
from stages.engines.request import Completion, Desk, Request
from stages.engines.stopping import stoppable

Ask = Callable[[Server, Request], Awaitable[Completion]]

_BURST = 8  # requests sent between two looks at what has come


class Pool:
    """The attempts of one run.

    Args:
        desk: Hands out requests.
        outbox: Makes answers durable.
        outcomes: Takes in how attempts ended.
        servers: Where to ask.
        budget: Says what may be spent.
        limits: By the minute.
    """

    def __init__(
        self,
        desk: Desk,
        outbox: Outbox,
        outcomes: Outcomes,
        servers: Sequence[Server],
        budget: Budget,
        limits: Limits,
    ) -> None:
        self._desk, self._outbox, self._outcomes = desk, outbox, outcomes
        self._servers, self._budget, self._limits = servers, budget, limits
        # while so much waits for another attempt, what is new would only wait as well
        self._most_later = 2 * sum(server.ceiling for server in servers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: Case | None = None
        self._until = math.inf
        self._stopped = False
        self._failure: Exception | None = None

    def run(self, connect: Callable[[], AbstractAsyncContextManager[Ask]]) -> None:
        """Answer what the desk hands out, until it is done or the outcomes say to halt.

        Args:
            connect: Opens, in the running loop, what asks one request once: it raises `Again`,
                `Refused` or `Halt` when there is no answer.

        Raises:
            UserError: The store could not go on; what was answered is in it, or rescued.
            KeyboardInterrupt: The user stopped the run, and what was under way has been kept.
        """
        asyncio.run(self._all(connect))
        if self._failure:
            raise self._failure
        if self._stopped:
            raise KeyboardInterrupt

    async def _all(self, connect: Callable[[], AbstractAsyncContextManager[Ask]]) -> None:
        self._wake = asyncio.Event()
        with stoppable(self._stop):
            try:
                async with connect() as ask:
                    try:
                        await self._send_all(ask)
                    except Exception as error:
                        self._failure = self._failure or error
                    finally:
                        await self._wait_for_all()
            except Exception as error:
                self._failure = self._failure or error
            finally:
                self._failure = self._outbox.close(self._failure)

    @property
    def _stopping(self) -> bool:
        return bool(self._stopped or self._failure or self._outcomes.halt)

    async def _send_all(self, ask: Ask) -> None:
        while not self._stopping:
            now = time.monotonic()
            if self._outbox.due(len(self._tasks)) <= now:
                self._outbox.flush()
            sent = 0
            while sent < _BURST and self._send(ask, now):
                sent += 1
            if self._stopping:
                return
            if sent == _BURST:
                await asyncio.sleep(0)  # a turn for replies that have come meanwhile
            elif self._tasks or self._next or self._outcomes.later:
                await self._rest(now)
            elif self._outbox:
                self._outbox.flush()  # which may be what other requests wait for
            elif not self._outcomes.record():
                return

    def _send(self, ask: Ask, now: float) -> bool:
        """Send one request; False when nothing can be sent before `_until` or a wake-up."""
        self._until = math.inf
        server = max(self._servers, key=lambda item: item.free(now))
        if self._stopping or server.free(now) <= 0:
            pauses = [item.paused for item in self._servers if item.paused > now]
            self._until = min(pauses, default=math.inf)
            return False
        case = self._next = self._next or self._outcomes.later.pop(now) or self._drawn()
        if case is None:
            if self._outbox.hurry() <= now:
                self._outbox.flush()  # which may be what other requests wait for
                return self._send(ask, now)
            self._until = min(self._outcomes.later.due, self._outbox.hurry())
            return False
        if wait := self._limits.wait(case.request, now):
            self._until = now + wait
            return False
        if not self._budget.reserve(case.request):
            if self._budget.idle:
                self._spent(case.request)
            return False
        case.open, case.sent, self._next = True, None, None
        room = sum(max(int(item.limit) - item.in_flight, 0) for item in self._servers)
        try:
            self._outbox.cover(self._budget.worst(case.request), room)
        except BaseException:
            self._outcomes.end(case)
            raise
        self._limits.take(case.request, now)
        server.in_flight += 1
        case.attempts += 1
        task = asyncio.get_running_loop().create_task(self._attempt(ask, server, case))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, server, case, case.attempts))
        return True

    def _drawn(self) -> Case | None:
        if len(self._outcomes.later) >= self._most_later:
            return None
        request = self._desk.next()
        return Case(request) if request else None

    def _spent(self, request: Request) -> None:
        spent, worst = self._budget.spent, self._budget.worst(request)
        message = (
            f"the budget of {self._budget.max_usd:g} USD is spent: {spent:.4f} so far, and the "
            f"next request can cost up to {worst:.4f}"
        )
        self._outcomes.stop(Halt("E609", message, "raise runtime.max_usd"))

    async def _rest(self, now: float) -> None:
        """Wait until something can have changed."""
        until = min(self._until, self._outbox.due(len(self._tasks)))
        timer = None
        if until < math.inf:
            # at least a millisecond, as a timer that is a little early would make this spin
            delay = max(until - now, 0.001)
            timer = asyncio.get_running_loop().call_later(delay, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer:
            timer.cancel()

    async def _wait_for_all(self) -> None:
        stores = True
        try:
            while self._tasks:
                await asyncio.wait(self._tasks, timeout=OFTEN)
                try:
                    if stores:
                        self._outbox.flush()
                except Exception as error:
                    stores, self._failure = False, self._failure or error
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _attempt(self, ask: Ask, server: Server, case: Case) -> None:
        case.sent, case.window = time.monotonic(), server.limit
        try:
            completion = await ask(server, case.request)
        except Again as again:
            self._outcomes.failed(server, case, again)
        except Refused as refusal:
            self._outcomes.refused(server, case, refusal)
        except Halt as halt:
            self._outcomes.end(case, billed=False)
            self._outcomes.stop(halt)
        else:
            self._outcomes.answered(server, case, completion)

    def _ended(self, server: Server, case: Case, attempt: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        server.in_flight -= 1
        # the loop calls back a turn later, when the request may have been sent again
        if case.attempts == attempt:
            self._outcomes.end(case)
        self._wake.set()
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failure = self._failure or error

    def _stop(self, again: bool) -> None:
        if again:
            for task in self._tasks:
                task.cancel()
            return
        self._stopped = True
        self._wake.set()
        if self._tasks:
            say(
                f"  stopping: {len(self._tasks)} answers are under way and may be paid for; "
                "once more to leave at once"
            )
