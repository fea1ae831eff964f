"""A provider's limits by the minute, kept by waiting. Times are monotonic seconds."""

from __future__ import annotations

from stages.engines.request import Request

BURST = 1.0
"""Seconds' worth of a limit that may be sent at once: providers count by shorter periods too."""
_CHARACTERS = 4  # of English text to a token, about


class Limits:
    """Requests and tokens a minute; None for no limit.

    Args:
        requests: A minute.
        tokens: A minute, of prompts and of the answers' limits together, as providers count them.
    """

    def __init__(self, requests: float | None, tokens: float | None) -> None:
        self._requests = _Bucket(requests) if requests else None
        self._tokens = _Bucket(tokens) if tokens else None

    def wait(self, request: Request, now: float) -> float:
        """Seconds until the request may be sent; 0 for at once."""
        return max((bucket.wait(cost, now) for bucket, cost in self._costs(request)), default=0.0)

    def take(self, request: Request, now: float) -> None:
        """Count a request that is sent."""
        for bucket, cost in self._costs(request):
            bucket.take(cost, now)

    def _costs(self, request: Request) -> list[tuple[_Bucket, float]]:
        costs = list[tuple[_Bucket, float]]()
        if self._requests:
            costs.append((self._requests, 1.0))
        if self._tokens:
            costs.append((self._tokens, float(expected_tokens(request))))
        return costs


class _Bucket:
    """Leaks as fast as the limit allows; what fits can be sent (ITU-T I.371, appendix I).

    No minute sees more than the limit, whenever it begins, save for a request that is larger than
    the bucket: it waits for an empty one, and the next ones wait until it has leaked away.
    """

    def __init__(self, per_minute: float) -> None:
        self._depth = max(per_minute * BURST / 60, 1.0)
        # a full bucket can be sent on top of what leaks away in a minute
        self._rate = (per_minute - self._depth + 1) / 60
        self._level = self._at = 0.0

    def wait(self, cost: float, now: float) -> float:
        excess = self._left(now) + min(cost, self._depth) - self._depth
        return excess / self._rate if excess > 1e-6 else 0.0

    def take(self, cost: float, now: float) -> None:
        self._level, self._at = self._left(now) + cost, now

    def _left(self, now: float) -> float:
        return max(self._level - (now - self._at) * self._rate, 0.0)


def expected_tokens(request: Request) -> int:
    """Tokens that a provider counts against a limit before it has answered, about."""
    return prompt_tokens(request) + request.max_tokens


def prompt_tokens(request: Request) -> int:
    """Tokens of the messages, about; without the model's tokenizer nobody knows better."""
    return sum(len(content) // _CHARACTERS + 4 for _, content in request.messages)
