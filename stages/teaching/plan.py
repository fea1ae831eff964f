"""What the teacher would be asked, what of it is held, and what the rest would cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from stages.engines.desk import CHUNK
from stages.engines.limits import prompt_tokens
from stages.engines.prices import Price
from stages.engines.request import Job, Request
from stages.engines.store import Store
from stages.teaching.why import reasons

_HELD = """
SELECT about, COUNT(*), TOTAL(prompt_tokens), TOTAL(completion_tokens), TOTAL(seconds),
    SUM(seconds > 0)
FROM completions WHERE endpoint = ? AND model = ? AND error = '""' GROUP BY about
"""


@dataclass(frozen=True)
class Usual:
    """Means of what is held: tokens of an exchange, and seconds it took; 0 s when unknown."""

    prompt: float
    completion: float
    seconds: float


@dataclass
class Line:
    """One task under one strategy.

    Args:
        about: ``suite/task/strategy``.
        held: Requests that the store answers.
        missing: Requests that would be asked at once.
        later: Requests that would follow on those, at most: further calls, further samples.
        why: How many are missing for which reason.
        prompt: Tokens that missing and later ones would read, about.
        completion: Tokens that they would be answered with: about when `measured`, else at most.
        measured: Whether `completion` is a mean of what is held.
        usd: What that costs; None when nobody knows the price.
        seconds: How long it takes at the limits set; None when nobody knows.
    """

    about: str
    held: int = 0
    missing: int = 0
    later: int = 0
    why: dict[str, int] = field(default_factory=dict)
    prompt: float = 0.0
    completion: float = 0.0
    measured: bool = False
    usd: float | None = None
    seconds: float | None = None

    @property
    def asked(self) -> int:
        """Requests to be asked, at most."""
        return self.missing + self.later


def usual(store: Store, endpoint: str, model: str) -> dict[str, Usual]:
    """What is held of a teacher, by ``suite/task/strategy``, and by strategy alone."""
    sums: dict[str, list[float]] = {}
    with store.explained():
        for about, *totals in store.db.execute(_HELD, (endpoint, model)):
            for name in (about, about.rpartition("/")[2]):
                before = sums.get(name, [0.0] * len(totals))
                sums[name] = [a + (b or 0) for a, b in zip(before, totals, strict=True)]
    return {
        name: Usual(prompt / n, spent / n, seconds / timed if timed else 0.0)
        for name, (n, prompt, spent, seconds, timed) in sums.items()
    }


def survey(
    about: str, jobs: Iterable[Job[Any]] | Iterable[Request], most: int, store: Store
) -> Line:
    """What of the jobs is held and missing.

    Args:
        about: ``suite/task/strategy``.
        jobs: Run as far as the store answers them; or requests, one a job, where `most` is 1.
        most: Requests that one job asks, at most.
        store: Read.
    """
    line, source = Line(about), iter(jobs)
    while batch := list(islice(source, CHUNK)):
        missing, asked = (_missing if most > 1 else _missing_single)(batch, store)
        line.held += asked
        line.missing += len(missing)
        line.later += sum(most - count for _, count in missing)
        fresh = [request for request, _ in missing]
        for reason in reasons(fresh, store):
            line.why[reason] = line.why.get(reason, 0) + 1
        line.prompt += sum(map(prompt_tokens, fresh))
        line.completion += sum(request.max_tokens for request in fresh)
    return line


Missing = list[tuple[Request, int]]
"""Requests that are not held, each with how many its job has asked for by then."""


def _missing_single(batch: Sequence[Any], store: Store) -> tuple[Missing, int]:
    held = store.holds(batch)
    return [(r, 1) for r, there in zip(batch, held, strict=True) if not there], sum(held)


def _missing(batch: Sequence[Any], store: Store) -> tuple[Missing, int]:
    missing: Missing = []
    going, held = [(job, next(job), 1) for job in batch], 0
    while going:
        further = []
        found = store.get_many([request for _, request, _ in going])
        for (job, request, asked), completion in zip(going, found, strict=True):
            if completion is None:
                missing.append((request, asked))
                job.close()
                continue
            held += 1
            with suppress(StopIteration):
                further.append((job, job.send(completion), asked + 1))
        going = further
    return missing, held


def estimate(
    line: Line,
    known: Mapping[str, Usual],
    price: Price | None,
    runtime: Mapping[str, Any],
    servers: int,
) -> None:
    """Fill in tokens, money and time: as measured under the same task or strategy, else offline.

    Args:
        line: Of `survey`; changed.
        known: Of `usual`.
        price: Of the teacher.
        runtime: The section of ``params.yaml``, for its limits.
        servers: How many base URLs there are.
    """
    if not line.missing:
        line.usd = line.seconds = 0.0
        return
    means = known.get(line.about) or known.get(line.about.rpartition("/")[2])
    if means and means.prompt:
        line.measured = True
        line.prompt = means.prompt * line.asked
        line.completion = means.completion * line.asked
    else:
        share = line.asked / line.missing
        line.prompt, line.completion = line.prompt * share, line.completion * share
    if price:
        line.usd = price.cost(round(line.prompt), round(line.completion))
    times = []
    if runtime.get("requests_per_minute"):
        times.append(line.asked / runtime["requests_per_minute"] * 60)
    if runtime.get("tokens_per_minute"):
        times.append((line.prompt + line.completion) / runtime["tokens_per_minute"] * 60)
    if means and means.seconds:
        times.append(line.asked * means.seconds / (runtime["concurrency"] * servers))
        times.append(means.seconds)
    line.seconds = max(times) if times else None
