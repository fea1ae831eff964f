"""Requests under way, and those of them that wait for another attempt. Monotonic seconds."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass
from itertools import count

from stages.engines.request import Request

FIRST_WAIT = 0.5  # seconds before the second attempt, on average; doubles from there
LONGEST_GROWN = 60.0  # seconds that it grows to


@dataclass
class Case:
    """A request under way, and how it fared so far.

    Args:
        request: What is asked.
        failures: Attempts that failed while the server did not.
        waits: Attempts that failed with no word about when to come back.
        lost: USD of attempts that no answer came of.
        sent: When the attempt under way began; None before, and while none is.
        window: Of the server, when that attempt began.
        open: Whether the budget still holds money for an attempt.
        attempts: How many were begun.
    """

    request: Request
    failures: int = 0
    waits: int = 0
    lost: float = 0.0
    sent: float | None = None
    window: float = 0.0
    open: bool = False
    attempts: int = 0


class Delays:
    """Cases that wait, the one that is due first in front."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Case]] = []
        self._turns = count()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def due(self) -> float:
        """When the first one is due; infinity when none waits."""
        return self._heap[0][0] if self._heap else math.inf

    def add(self, case: Case, now: float, after: float) -> None:
        """Have a case wait.

        Args:
            case: Whose attempt failed.
            now: The present.
            after: Seconds that the server asked for; 0 when it did not say, which makes a case
                wait the longer the more often that happens.
        """
        wait = after
        if not after:
            grown = min(FIRST_WAIT * 2.0 ** min(case.waits, 20), LONGEST_GROWN)
            # apart from each other, so that what failed together does not come back together
            wait = grown * random.uniform(0.75, 1.25)
            case.waits += 1
        heapq.heappush(self._heap, (now + wait, next(self._turns), case))

    def pop(self, now: float) -> Case | None:
        """The one that is due first; None when none is due yet."""
        return heapq.heappop(self._heap)[2] if self.due <= now else None
