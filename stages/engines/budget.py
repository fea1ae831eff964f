"""A hard stop for spending: an attempt starts only if its worst case still fits."""

from __future__ import annotations

from fractions import Fraction

from stages.engines.prices import Price
from stages.engines.request import Request

_PER_MESSAGE = 16  # tokens that a chat template may put around a message


class Budget:
    """What was spent and what attempts under way may yet cost, all in USD.

    Every attempt is reserved first and then ended by exactly one of `settle`, `presume` and
    `release`. As long as no server bills more than `worst`, what is spent and what is reserved
    together never exceed `max_usd`. Belongs to one thread; a request may be attempted again and
    again, but only once at a time.

    Args:
        price: Of the one model that is asked.
        max_usd: The most that may be spent, with what was spent before; None for no limit.
        spent: What was spent before.

    Raises:
        KeyError: From `settle`, `presume` and `release`: no attempt at the request is under way.
    """

    def __init__(self, price: Price, max_usd: float | None, spent: float) -> None:
        self.price = price
        self.max_usd = max_usd
        self._priced = bool(price.prompt or price.completion)
        self._limit = max_usd if self._priced else None
        # sums of floats drift with their order; sums of fractions are exact
        self._spent = Fraction(spent)
        self._reserved = Fraction(0)
        self._held: dict[str, float] = {}

    @property
    def spent(self) -> float:
        """USD spent, before and now."""
        return float(self._spent)

    @property
    def reserved(self) -> float:
        """USD that the attempts under way may cost; exactly 0 when there are none."""
        return float(self._reserved)

    @property
    def idle(self) -> bool:
        """Whether no attempt is under way."""
        return not self._held

    def worst(self, request: Request) -> float:
        """The most USD that one attempt can cost.

        No byte-level tokenizer makes more tokens than a text has UTF-8 bytes; 16 are added for
        what a chat template puts around a message, and the bytes of `extra`, as a JSON schema in
        it is read like a prompt. A completion ends at `max_tokens`.
        """
        if not self._priced:
            return 0.0
        return self.price.cost(_most_read(request), request.max_tokens)

    def reserve(self, request: Request) -> bool:
        """Set the worst case aside, if it still fits.

        Returns:
            False when it does not fit now. With attempts under way, ending one of them may make
            room; when `idle`, nothing will.

        Raises:
            ValueError: An attempt at the request is under way already.
        """
        if request.key in self._held:
            raise ValueError(f"request {request.key} is attempted twice at a time")
        if not self._priced:  # exact sums of nothing would be a tenth of a request's time
            self._held[request.key] = 0.0
            return True
        worst = self.worst(request)
        reserved = self._reserved + Fraction(worst)
        # a limit that is not a number allows nothing
        if self._limit is not None and not self._spent + reserved <= self._limit:
            return False
        self._reserved = reserved
        self._held[request.key] = worst
        return True

    def settle(self, request: Request, prompt_tokens: int, completion_tokens: int) -> float:
        """End an attempt that was answered.

        Args:
            request: That was answered.
            prompt_tokens: As the server counts them. It cannot be 0, so that stands for a server
                that does not say, and the worst case is counted.
            completion_tokens: Likewise; 0 with a `prompt_tokens` is an empty answer.

        Returns:
            USD spent on it, even where that is more than `worst`.
        """
        self.release(request)
        written = max(completion_tokens, 0)
        if prompt_tokens <= 0:
            prompt_tokens, written = _most_read(request), written or request.max_tokens
        return self._pay(self.price.cost(prompt_tokens, written))

    def presume(self, request: Request) -> float:
        """End an attempt that was lost after it was sent, and so may be billed.

        By a time-out, a cut connection, an interrupt.

        Returns:
            USD that are counted as spent on it, which is its worst case.
        """
        return self._pay(self._freed(request))

    def release(self, request: Request) -> None:
        """End an attempt that is certainly not billed: HTTP 4xx or 5xx, no connection."""
        self._freed(request)

    def _freed(self, request: Request) -> float:
        worst = self._held.pop(request.key)
        if worst:
            self._reserved -= Fraction(worst)
        return worst

    def _pay(self, cost: float) -> float:
        if cost:
            self._spent += Fraction(cost)
        return cost


def _most_read(request: Request) -> int:
    # an answer of a model, and so a later message, can hold lone surrogates
    texts = (content.encode("utf-8", "surrogatepass") for _, content in request.messages)
    return sum(len(text) + _PER_MESSAGE for text in texts) + len(request.extra.encode())
