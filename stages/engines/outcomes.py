"""What the end of an attempt means: for its request, its server, the budget and the whole run."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from stages.core.console import say
from stages.engines.budget import Budget
from stages.engines.delays import Case, Delays
from stages.engines.flow import Server
from stages.engines.outbox import Outbox
from stages.engines.reply import BUSY, ODD, Again, Halt, Refused
from stages.engines.request import Completion, Desk
from stages.engines.wire import Unreached

UNPROVEN = 60.0
"""Seconds after which a server is given up that has not answered once, for the URL may be wrong."""
LONG = 10.0
"""Seconds that a server asks to be left alone for, from which on the user is told."""
_DOUBT = 16  # requests that fail without one answer after which the fault is not theirs


class Outcomes:
    """Takes in how attempts ended.

    Args:
        desk: Told of requests that are given up.
        outbox: Takes the answers.
        budget: Holds money for each attempt under way.
        retries: Attempts after the first, for a request that fails while the server does not.
        outage: Seconds without any answer after which the servers are given up.

    Attributes:
        halt: Why nothing more is to be asked, if so.
        later: Requests that wait for another attempt.
        given_up: How many requests failed however often they were asked.
        reason: The last reason of one of them.
    """

    def __init__(
        self,
        desk: Desk,
        outbox: Outbox,
        budget: Budget,
        retries: int,
        outage: float,
    ) -> None:
        self.halt: Halt | None = None
        self.later = Delays()
        self.given_up, self.reason = 0, ""
        self._desk, self._outbox, self._budget = desk, outbox, budget
        self._retries, self._outage = retries, outage
        self._answers = 0
        self._errors: list[tuple[Case, Completion]] = []
        self._good, self._ill = -math.inf, math.inf

    def answered(self, server: Server, case: Case, completion: Completion) -> None:
        """An answer came."""
        now, sent, down_since = time.monotonic(), case.sent or 0.0, server.down_since
        case.open = False
        tokens = completion.prompt_tokens, completion.completion_tokens
        usd = case.lost + self._budget.settle(case.request, *tokens)
        request = case.request
        if request.top_logprobs and completion.text and not completion.logprobs:
            # kept for whoever needs none; to go on would be to pay for what nobody asked for
            request = replace(request, top_logprobs=0)
            message = "the server sends no log-probabilities with its answers"
            self.stop(Halt("E605", message, "set teacher.top_logprobs to 0"))
        self._outbox.put(request, replace(completion, seconds=round(now - sent, 3), usd=usd))
        self._answers += 1
        self.record()
        server.answered(sent, now, completion.completion_tokens, case.window)
        self._works(server, now, down_since)

    def refused(self, server: Server, case: Case, refusal: Refused) -> None:
        """The server will never answer this request."""
        self.end(case, billed=False)
        down_since = server.down_since
        server.replied()
        self._works(server, time.monotonic(), down_since)
        self._fault(case, Completion("", "error", 0, 0, str(refusal)))
        if len(self._errors) >= _DOUBT:
            message = f"the server refused each of the first {_DOUBT} requests ({refusal})"
            self.stop(Halt("E605", message, "correct the settings of this endpoint"))

    def failed(self, server: Server, case: Case, again: Again) -> None:
        """Another attempt may do."""
        now, sent, down_since = time.monotonic(), case.sent or 0.0, server.down_since
        self._charge(case, again)
        if again.kind == ODD:
            # the server works, and this reply was of no use
            case.failures += 1
            server.replied()
            self._works(server, now, down_since)
        else:
            unreached = isinstance(again, Unreached)
            key = "" if unreached else case.request.key
            if again.after >= LONG and now >= server.paused:
                say(f"  {server.url} asks to be left alone for {again.after:.0f} s ({again})")
            if server.troubled(key, sent, now, again.after) and down_since is None:
                say(f"  {server.url} fails ({again}); asking it again now and then")
            if not (unreached or again.kind == BUSY or server.down):
                case.failures += 1
            self._ill = min(self._ill, sent)
            self._lose_patience(now, again)
        if case.failures > self._retries:
            self._exhausted(case, again)
            return
        self.later.add(case, now, again.after)

    def end(self, case: Case, *, billed: bool = True) -> None:
        """Free what the budget holds for an attempt, unless that was done.

        Args:
            billed: Whether it may have been paid for, if it was sent.
        """
        if case.open:
            case.open = False
            if billed and case.sent is not None:
                case.lost += self._budget.presume(case.request)
            else:
                self._budget.release(case.request)

    def stop(self, halt: Halt) -> None:
        """Ask nothing more."""
        self.halt = self.halt or halt

    def record(self) -> bool:
        """Put on record what failed by its own fault; returns whether there was anything."""
        some = bool(self._errors)
        for case, error in self._errors:
            self._outbox.put(case.request, replace(error, usd=case.lost))
        self._errors.clear()
        return some

    def _works(self, server: Server, now: float, down_since: float | None) -> None:
        self._good, self._ill = now, math.inf
        if down_since is not None:
            say(f"  {server.url} answers again after {now - down_since:.0f} s")

    def _fault(self, case: Case, error: Completion) -> None:
        # a wrong key or setting can look like a fault of every request, so until one answer has
        # come none is put on record
        self._errors.append((case, error))
        if self._answers or self._desk.held:
            self.record()

    def _lose_patience(self, now: float, again: Again) -> None:
        silent = now - max(self._good, self._ill)
        proven = self._answers or again.kind == BUSY
        if silent > (self._outage if proven else min(self._outage, UNPROVEN)):
            message = f"no answer for {silent:.0f} s ({again})"
            self.stop(Halt("E606", message, "see to the server or wait"))

    def _charge(self, case: Case, again: Again) -> None:
        final = again.final
        if final and (final.prompt_tokens or final.completion_tokens):
            case.open = False
            tokens = final.prompt_tokens, final.completion_tokens
            case.lost += self._budget.settle(case.request, *tokens)
        else:
            self.end(case, billed=again.billed)

    def _exhausted(self, case: Case, again: Again) -> None:
        if again.final:
            self._fault(case, again.final)
            count = len(self._errors)
        else:
            self._desk.drop(case.request)
            self.given_up += 1
            self.reason = str(again)
            count = 0 if self._answers or self._desk.held else self.given_up
        if count >= _DOUBT:
            message = f"none of the first {_DOUBT} requests was answered ({again})"
            self.stop(Halt("E606", message, "see to the server or wait"))
