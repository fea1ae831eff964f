"""Answers on their way to the store, and the money that must not be forgotten meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from stages.core.console import say
from stages.core.errors import UserError
from stages.engines.budget import Budget
from stages.engines.request import Answers, Completion, Desk, Request
from stages.engines.rescue import Rescued

MANY, OFTEN = 32, 0.2
"""Answers, at least, and seconds between two commits. More wait while more are in flight, so that
a crash loses what was in flight and as much again."""
_HASTE = 0.02  # seconds between two commits where follow-up calls may be all that is left to ask
_NOTHING = 1e-9  # USD that are none but for the rounding of sums
_MARGIN = 0.25  # of what is set aside, on top of it, so that not every request is a commit


class Ledger(Protocol):
    """Where money is noted that no answer came of, durably."""

    def lose(self, usd: float) -> None:
        """Book USD that no answer came of."""
        ...

    def keep(self, usd: float) -> None:
        """Set USD aside for what is under way; replaces what was set aside before."""
        ...


class Outbox:
    """Makes answers durable in small batches.

    What a run may owe at any moment, for attempts under way, for answers that are not durable yet
    and for attempts that no answer came of, is set aside in the ledger before it is owed. A run
    that is killed so leaves no less than it may have spent, and no more than its window's worth
    and a quarter on top of it.

    Args:
        desk: Makes answers durable.
        budget: Says what was spent, and what attempts under way may cost.
        ledger: Notes the money.
        rescue: Takes answers that the desk could not make durable.

    Attributes:
        delivered: How many answers were made durable.
    """

    def __init__(
        self, desk: Desk, budget: Budget, ledger: Ledger, rescue: Callable[[Answers], Rescued]
    ) -> None:
        self.delivered = 0
        self._desk, self._budget, self._ledger, self._rescue = desk, budget, ledger, rescue
        self._answers: list[tuple[Request, Completion]] = []
        self._flushed = time.monotonic()
        self._booked = budget.spent
        self._kept = 0.0

    def __len__(self) -> int:
        return len(self._answers)

    def put(self, request: Request, completion: Completion) -> None:
        """Have an answer made durable soon."""
        self._answers.append((request, completion))

    def due(self, in_flight: int) -> float:
        """When the next commit is due, in monotonic seconds; infinity while there is nothing."""
        if not self._answers:
            return float("inf")
        return self._flushed + (OFTEN if len(self._answers) < max(MANY, in_flight) else 0.0)

    def hurry(self) -> float:
        """As `due`, where what depends on the answers is all that is left to ask."""
        return self._flushed + _HASTE if self._answers else float("inf")

    def flush(self) -> None:
        """Make answers durable now. Raises `UserError` when the store cannot take them."""
        self._flushed = time.monotonic()
        if self._answers:
            batch = self._answers[:]
            self._desk.deliver(batch)
            del self._answers[: len(batch)]
            self.delivered += len(batch)
            self._booked += sum(completion.usd for _, completion in batch)

    def cover(self, worst: float, room: int) -> None:
        """Set aside what may be owed, before another request is sent.

        Args:
            worst: USD that the request can cost, which the budget has reserved.
            room: How many requests may be sent at once after this one.

        Raises:
            UserError: The store cannot be written, so nothing more must be sent.
        """
        if self._owed() <= self._kept + _NOTHING:
            return
        self.flush()
        owed, most = self._owed(), self._budget.max_usd
        ample = owed + max(_MARGIN * owed, room * worst)
        if most is not None:
            ample = max(owed, min(ample, most - self._booked))
        self._ledger.keep(ample)
        self._kept = ample

    def close(self, error: Exception | None) -> Exception | None:
        """Make durable what is left, or rescue it, and settle the money.

        Args:
            error: Why the run ends early, if it does.

        Returns:
            The same, or why the store could not take what was left; it says where that is.
        """
        try:
            self.flush()
        except Exception as failure:
            error = error or failure
            rescued = self._rescue(self._answers)
            if rescued.path or not rescued.count:
                self._booked += sum(completion.usd for _, completion in self._answers)
            if rescued.count and isinstance(error, UserError):
                first, *rest = error.problems
                error = UserError([replace(first, hint=f"{first.hint}; {rescued}"), *rest])
            elif rescued.count:
                say(f"  {rescued}")
        try:
            lost = self._owed()
            if lost > _NOTHING:
                self._ledger.lose(lost)
                self._booked += lost
            if self._kept:
                self._ledger.keep(0.0)
        except Exception as failure:
            # what was set aside stays, and is no less than what is owed
            error = error or failure
        return error

    def _owed(self) -> float:
        return self._budget.spent + self._budget.reserved - self._booked
