"""What a batch that ended has brought: stored first, and only then let go of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stages.core.console import say
from stages.engines.batch.api import Missing, Provider
from stages.engines.batch.ledger import Ledger, Row
from stages.engines.batch.lines import Outcome
from stages.engines.batch.wanted import Wanted
from stages.engines.budget import Budget
from stages.engines.prices import Price
from stages.engines.reply import ODD, Again, Halt, Refused
from stages.engines.request import Completion, Request

if TYPE_CHECKING:
    from openai.types import Batch

ENDED = {"completed", "expired", "cancelled", "failed"}
_MANY = 500  # answers between two commits
_DOUBT = 16  # refusals without one answer after which the fault is not the requests'
_CROWDED = "token_limit_exceeded"


def state(batch: Batch) -> str:
    """The provider's word for how far a batch is; the four of `ENDED` are final."""
    return str(batch.status or "").lower()


def crowded(batch: Batch) -> bool:
    """Whether a batch failed only because others take up all that may be waiting at a time."""
    errors = (batch.errors and batch.errors.data) or []
    return state(batch) == "failed" and any(error.code == _CROWDED for error in errors)


def fetch(
    row: Row, batch: Batch, ledger: Ledger, provider: Provider, wanted: Wanted, *, waits: bool
) -> Halt | None:
    """Store every answer of a batch, then free the requests that it has none to.

    Done again after a crash half-way, it ends the same.

    Args:
        row: The batch.
        batch: As the provider has it; ended.
        ledger: Where it is noted that it ended.
        provider: Whose it is.
        wanted: Where answers go.
        waits: Whether its requests are asked again without counting this as an attempt.

    Returns:
        Why the run should stop; None when it can go on.

    Raises:
        Again: Its answers cannot be had now.
    """
    left = {request.key: request for request in ledger.requests(row.name)}
    count, lost, strange, gone = len(left), 0.0, 0, False
    failures: dict[str, Outcome] = {}
    answers: list[tuple[Request, Completion]] = []
    try:
        for key, found in provider.results(batch):
            if key not in left:
                strange += 1
            elif isinstance(found, Completion):
                request = left.pop(key)
                usd = _cost(row.price, request, found)
                answers.append((request, replace(found, usd=usd)))
                if len(answers) == _MANY:
                    lost += wanted.answered(answers)
                    answers.clear()
            else:
                failures[key] = found
    except Missing:
        gone = True
    lost += wanted.answered(answers)
    if strange:
        say(f"  {provider.clean(row.batch)}: {strange} lines of its results are of no request")
    nothing = Again(
        f"the {state(batch)} batch holds no answer to it",
        kind=ODD,
        billed=gone or state(batch) == "completed",
    )
    refused, halts = [], []
    for key, request in left.items():
        failure = failures.get(key, nothing)
        if isinstance(failure, Refused):
            refused.append((request, Completion("", "error", 0, 0, str(failure))))
        elif isinstance(failure, Halt):
            halts.append(failure)
        elif isinstance(failure, Again):
            lost += _lost(row.price, request, failure)
            wanted.failed(request, failure, counts=not waits)
    # a wrong setting can look like a refusal of every request
    if len(refused) == count >= _DOUBT and not wanted.served:
        message = f"the server refused each of the {count} requests of a batch"
        halts = [Halt("E605", f"{message} ({refused[0][1].error})", "correct the settings")]
    else:
        wanted.answered(refused)
    ledger.end(row, lost)
    if gone:
        message = f"the provider does not hold the answers of {provider.clean(row.batch)} any more"
        return Halt("E612", message, "know that the rest will be paid for again")
    if halts:
        return halts[0]
    return None if waits else _verdict(batch, provider, len(left))


def _verdict(batch: Batch, provider: Provider, left: int) -> Halt | None:
    name = provider.clean(batch.id)
    if state(batch) == "failed":
        errors = (batch.errors and batch.errors.data) or []
        words = "; ".join(str(error.message or error.code) for error in errors[:3])
        message = f"the provider did not accept {name} ({provider.clean(words) or 'no reason'})"
        return Halt("E612", message, "correct what it names")
    if state(batch) == "cancelled" and left:
        message = f"{name} was cancelled at the provider, with {left} requests left"
        return Halt("E612", message, "see why")
    return None


def _cost(price: Price, request: Request, found: Completion) -> float:
    meter = Budget(price, None, 0.0)
    meter.reserve(request)
    return meter.settle(request, found.prompt_tokens, found.completion_tokens)


def _lost(price: Price, request: Request, again: Again) -> float:
    if again.final and again.final.completion_tokens:
        return _cost(price, request, again.final)
    return Budget(price, None, 0.0).worst(request) if again.billed else 0.0
