"""Jobs brought to their end: what is held is served from the store, only the rest is generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from stages.engines.desk import StoreDesk
from stages.engines.request import Answers, Completion, Engine, Job, Planned, Request
from stages.engines.store import Store, serves


class Progress(Protocol):
    """Told how far the work is; see `stages.core.console.Progress`."""

    def __call__(self, done: int, total: int, tokens: int = 0, note: str = "") -> None:
        """Report `done` of `total` jobs and the tokens made so far."""
        ...


@dataclass(frozen=True)
class Counts:
    """Where the answers came from: `held` in the store, or `generated` by the engine."""

    held: int
    generated: int


def single(request: Request) -> Job[Completion]:
    """The job of one request, which makes its completion."""
    return (yield request)


def fulfil(
    jobs: Iterable[Job[Any]], total: int, engine: Engine, store: Store, progress: Progress
) -> Counts:
    """Complete what every job asks for, each request once; `replay` then reads the results.

    Args:
        jobs: In a stable order; each job is used up.
        total: How many jobs there are, for `progress`.
        engine: Asked for what the store lacks.
        store: Where answers are made durable before they count.
        progress: Called with (done, total, tokens generated so far).

    Raises:
        UserError: The store or the engine could not go on; what was answered is in the store.
    """
    if hasattr(engine, "serve"):
        counting = _Counting(jobs, store, total, progress)
        engine.serve(counting)
        counting.report()
        return Counts(counting.held, counting.generated)
    return _rounds(list(jobs), total, engine, store, progress)


class _Counting(StoreDesk):
    """A desk that tells its progress."""

    def __init__(
        self, jobs: Iterable[Job[Any]], store: Store, total: int, progress: Progress
    ) -> None:
        super().__init__(jobs, store)
        self.generated = 0
        self._total, self._progress, self._tokens = total, progress, 0

    def deliver(self, answers: Answers) -> None:
        super().deliver(answers)
        self.generated += len(answers)
        self._tokens += sum(completion.completion_tokens for _, completion in answers)
        self.report()

    def report(self) -> None:
        """Show how far the jobs are."""
        self._progress(self.done, self._total, self._tokens)


def _rounds(
    jobs: list[Job[Any]], total: int, engine: Planned, store: Store, progress: Progress
) -> Counts:
    """All first requests together, then all second ones, and so on."""
    going = [(job, next(job)) for job in jobs]
    held = generated = tokens = finished = 0
    shown = -1
    while going:
        wanted = _distinct([request for _, request in going])
        asked = {request.key: request.max_tokens for request in wanted}
        done = finished

        def told(have: int, made: int, done: int = done, before: int = tokens) -> None:
            nonlocal shown
            shown = min(done + have, total)
            progress(shown, total, before + made)

        answers, missing, made = _round(wanted, engine, store, told)
        held, generated, tokens = held + len(wanted) - missing, generated + missing, tokens + made
        further = []
        for job, request in going:
            completion = answers[request.key]
            if not serves(asked[request.key], completion, request):
                further.append((job, request))  # wanted under a lower limit as well
                continue
            try:
                further.append((job, job.send(completion)))
            except StopIteration:
                finished += 1
        going = further
    if shown != finished:
        progress(finished, total, tokens)
    return Counts(held, generated)


def _round(
    wanted: list[Request], engine: Planned, store: Store, told: Callable[[int, int], None]
) -> tuple[dict[str, Completion], int, int]:
    """Answers by key, how many of them were missing, and the tokens made for those."""
    answers = {r.key: c for r, c in zip(wanted, store.get_many(wanted), strict=True) if c}
    missing = {request.key for request in wanted} - answers.keys()
    tokens = 0
    told(len(answers), tokens)

    def deliver(pairs: Answers) -> None:
        nonlocal tokens
        # an engine that keeps its batches whole may deliver again what is already held
        fresh = [pair for pair in pairs if pair[0].key in missing and pair[0].key not in answers]
        store.put_many(fresh)
        answers.update((request.key, completion) for request, completion in fresh)
        tokens += sum(completion.completion_tokens for _, completion in fresh)
        told(len(answers), tokens)

    if missing:
        if hasattr(engine, "making"):
            engine.making = lambda ended, made: told(len(answers) + ended, tokens + made)
        engine.complete(wanted, missing, deliver)
        # a process beside this one may have stored its answer first, and the first one stays
        fresh = [request for request in wanted if request.key in missing]
        stored = zip(fresh, store.get_many(fresh), strict=True)
        answers |= {request.key: completion for request, completion in stored if completion}
    unanswered = missing - answers.keys()
    if unanswered:
        raise RuntimeError(f"the engine left {len(unanswered)} requests unanswered")
    return answers, len(missing), tokens


def _distinct(requests: Iterable[Request]) -> list[Request]:
    """One request a key; one wanted under several limits is asked under the highest of them."""
    by_key: dict[str, Request] = {}
    for request in requests:
        known = by_key.get(request.key)
        if known is None or known.max_tokens < request.max_tokens:
            by_key[request.key] = request
    return list(by_key.values())
