"""How much a server can take now: a window of requests in flight, and a breaker.

The window grows while answers come at their usual pace: additive increase with a slow start, as TCP
does it (RFC 5681, section 3.1). It shrinks by as much as attempts fail (DCTCP, RFC 8257, section
3.3), since at most servers a few fail for other reasons than the load, and when answers become slow
without becoming more.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from statistics import median

START = 8
"""Requests in flight until the first answers have shown the pace of a server that is not loaded."""
SHRINK = 0.5  # what a slow server is left with, to find out whether it is the load
LEAST = 4
"""What it is left with in any case; where it is slow all the same, the load is not why."""
SLOW = 2.0
"""So many times the usual pace is slow."""
_WORTH = 0.5  # share of the best rate seen; a slow server that reaches it is not overloaded
_DRIFT = 1.02  # the best that was seen is forgotten by 2 % a round, as requests change
_ROUND = 16  # replies that say something, at least
_ROUNDS = 32  # of answers to a full window, in which it grows from nothing to its ceiling
BREAK = 5
"""Failures in a row, of as many requests, after which a server is left alone for a while; more of
them, a quarter of the ceiling, where many are in flight."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


@dataclass
class Server:
    """One base URL and how it does. Times are monotonic seconds.

    Args:
        url: Up to and including ``/v1``.
        ceiling: Requests in flight at most.

    Attributes:
        in_flight: Requests that were sent and have not come to an end.
        limit: The window: requests in flight that it can take, as far as is known.
        paused: When it may be asked again.
        down_since: When the breaker opened; None while it is closed.
    """

    url: str
    ceiling: int
    in_flight: int = 0
    paused: float = 0.0
    down_since: float | None = None
    limit: float = field(init=False)
    _probing: bool = True
    _threshold: float = field(init=False)
    _cut: float = 0.0
    _before: tuple[float, float] = (0.0, 0.0)
    _needed: float = field(init=False)
    _paces: list[tuple[float, float]] = field(default_factory=list)
    _usual: float = math.inf
    _best: float = 0.0
    _retreat: float = 0.0
    _failing: set[str] = field(default_factory=set)
    _share: float = 0.0
    _pause: float = 0.0

    def __post_init__(self) -> None:
        self.limit = self._needed = float(min(START, max(self.ceiling // 2, 1)))
        self._threshold = float(self.ceiling)

    @property
    def down(self) -> bool:
        """Whether the breaker is open."""
        return self.down_since is not None

    def free(self, now: float) -> float:
        """Share of the window that is free; 0 or less when nothing can be sent."""
        if now < self.paused:
            return 0.0
        limit = 1.0 if self.down else self.limit
        return (int(limit) - self.in_flight) / limit

    def replied(self) -> None:
        """A reply of any use shows that the server works."""
        self.down_since, self._pause = None, 0.0
        self._failing.clear()

    def answered(self, sent: float, now: float, tokens: int, window: float) -> None:
        """An answer came.

        Args:
            sent: When the attempt began.
            now: The present.
            tokens: How long the answer is.
            window: `limit` when the attempt began.
        """
        self.replied()
        self._share -= self._share / max(_ROUND, self.limit)
        if sent >= self._cut:
            # a long answer takes longer, and says nothing of the server
            self._paces.append(((now - sent) / (tokens + 32), window))
            if not (self._probing or self._retreat) and self.in_flight >= 0.8 * int(self.limit):
                step = max(1.0, self.ceiling / _ROUNDS) / self.limit
                if self.limit < self._threshold:
                    step = 1.0
                self.limit = min(self.limit + step, float(self.ceiling))
            if len(self._paces) >= self._needed:
                self._judge(now)

    def troubled(self, key: str, sent: float, now: float, after: float) -> bool:
        """An attempt failed by the server's fault.

        Args:
            key: Of the request; empty when the failure cannot be the request's.
            sent: When the attempt began.
            now: The present.
            after: Seconds that the server asked to be left alone for; 0 when it did not say.

        Returns:
            Whether the breaker is open.
        """
        self._share += (1 - self._share) / max(_ROUND, self.limit)
        if not self.down:
            self._shrink(sent, now, 1 - self._share / 2)
        self._failing.add(key or str(len(self._failing)))
        if after:
            self.paused = max(self.paused, now + after)
        elif self.down or len(self._failing) >= max(BREAK, self.ceiling // 4):
            if not self.down:
                self.down_since = now
            if now >= self.paused:
                self._pause = min(self._pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
                self.paused = now + self._pause * random.uniform(0.75, 1.25)
                self.limit, self._share = max(1.0, self.ceiling / 8), 0.0
        return self.down

    def _judge(self, now: float) -> None:
        pace = max(median(pace for pace, _ in self._paces), 1e-9)
        rate = median(window for _, window in self._paces) / pace
        if self._probing:
            self._probing = False
            # half of what the user allows, as a server that is asked for all at once may choke
            self._widen(now, self.ceiling / 2)
        elif pace > SLOW * self._usual and rate < _WORTH * self._best:
            self._retreat = self._retreat or self.limit
            if self.limit > LEAST:
                self._shrink(now, now, max(SHRINK, LEAST / self.limit))
                return
            self._usual = pace
            self._best = 0.0
            self._widen(now, self._retreat)
        self._retreat = 0.0
        self._usual = min(pace, self._usual * _DRIFT)
        self._best = max(rate, self._best / _DRIFT)
        self._new_round()

    def _widen(self, now: float, limit: float) -> None:
        self._cut, self.limit = now, max(self.limit, limit)
        self._threshold = max(self.limit, self._threshold)
        self._before = self.limit, self._threshold

    def _shrink(self, sent: float, now: float, factor: float) -> None:
        if sent >= self._cut:
            # what was sent before this fares as it did under the window before
            self._cut, self._before = now, (self.limit, self._threshold)
            self._probing = False
            self._new_round()
        limit, threshold = self._before
        # never to nothing, as what fails at random would keep it there
        self.limit = max(1.0, self.ceiling / 16, min(self.limit, limit * factor))
        self._threshold = max(self.limit, threshold * factor)

    def _new_round(self) -> None:
        self._paces.clear()
        self._needed = max(_ROUND, self.limit)
