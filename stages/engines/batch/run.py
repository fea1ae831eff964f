"""One run over a provider's batches: fetch what has ended, submit what is missing, wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stages.core.console import say
from stages.core.errors import UserError, user_error
from stages.engines.batch.api import Missing, Provider
from stages.engines.batch.fetch import ENDED, crowded, fetch, state
from stages.engines.batch.ledger import OPEN, SENDING, Ledger, Row
from stages.engines.batch.lines import line
from stages.engines.batch.wanted import Wanted
from stages.engines.budget import Budget
from stages.engines.reply import BUSY, Again, Halt, Refused
from stages.engines.request import Request
from stages.engines.terms import Flow

_FORGOTTEN = 30 * 86_400.0  # seconds for which OpenAI keeps the files of a batch


@dataclass(frozen=True)
class Batching:
    """Knobs of batches, none of which decides what is answered.

    Args:
        requests: In a batch, at most, as the provider limits it.
        size: Bytes of an uploaded file, at most; OpenAI allows 200 MB.
        interval: Seconds between two looks at the batches.
        wait: Whether to stay until all is answered; otherwise a run fetches what has ended,
            submits what is missing and leaves.
        factor: Of the price without batches.
    """

    requests: int = 50_000
    size: int = 190_000_000
    interval: float = 30.0
    wait: bool = True
    factor: float = 0.5


class Run:
    """See the module.

    Args:
        url: That problems are reported of.
        wanted: What is to be answered.
        ledger: Of this endpoint's batches.
        provider: That they are at.
        batching: How large, how often.
        flow: `retries` and `limit_name` of it.
        budget: Makes the budget as it is now, for requests of which one is given.
    """

    def __init__(
        self,
        url: str,
        wanted: Wanted,
        ledger: Ledger,
        provider: Provider,
        batching: Batching,
        flow: Flow,
        budget: Callable[[Request], Budget],
    ) -> None:
        self._url, self._wanted, self._ledger, self._provider = url, wanted, ledger, provider
        self._batching, self._flow, self._budget = batching, flow, budget
        self._unknown: set[str] = set()  # batches that the provider says it does not know
        self._crowded = False
        self._told = ""

    def go(self) -> None:
        """Answer what is wanted.

        Raises:
            UserError: The rest cannot be answered, or not now.
            Again, Halt, Refused, Missing: A call failed for good; see `Provider`.
        """
        self._recover()
        self._collect()
        self._wanted.refresh()
        while True:
            self._submit()
            if self._wanted.done:
                break
            if not self._open():
                raise self._unaffordable()
            if not self._batching.wait:
                raise self.left()
            time.sleep(self._batching.interval)
            self._collect()
        if reasons := self._wanted.given_up:
            batches = _many(self._flow.retries + 1, "batch")
            message = f"{_many(len(reasons), 'request')} failed in {batches} ({min(reasons)})"
            raise self.stop("E606", message, "see to the server or wait")

    def stop(self, code: str, message: str, cure: str) -> UserError:
        """A problem that ends the run."""
        stored = self._wanted.stored
        hint = f"{stored} answers were stored: {cure} and run `dvc repro` again to go on"
        return user_error(self._url, code, message, hint)

    def left(self) -> UserError:
        """E611, for what stays with the provider."""
        requests, batches = self._ledger.count()
        be = "is" if requests == 1 else "are"
        batch = _many(batches, "batch")
        return user_error(
            self._url, "E611", f"{_many(requests, 'request')} {be} with the provider in {batch}",
            "nothing is lost: run `dvc repro` again to fetch them; a batch takes up to 24 hours",
        )  # fmt: skip

    def _recover(self) -> None:
        for row in self._ledger.rows():
            if row.state == SENDING and (found := self._provider.find(row.name, row.file, row.age)):
                self._ledger.opened(row.name, found.id)
            elif row.state != OPEN:
                # it was never submitted; what is still wanted of it goes into another one
                self._ledger.end(row)

    def _open(self) -> list[Row]:
        rows = self._ledger.rows()
        return [row for row in rows if row.state == OPEN and row.name not in self._unknown]

    def _unaffordable(self) -> UserError:
        request = self._wanted.peek()
        assert request is not None
        budget = self._budget(request)
        message = (
            f"the budget of {budget.max_usd:g} USD is spent: {budget.spent:.4f} so far, and the "
            f"next request can cost up to {budget.worst(request):.4f}"
        )
        return self.stop("E609", message, "raise runtime.max_usd")

    def _submit(self) -> None:
        while not self._crowded:
            chosen, content, budget = self._choose()
            if not chosen or not budget:
                return
            row, api = self._ledger.intend(chosen, budget.price, budget.reserved), chosen[0].api
            try:
                file = self._provider.upload(row.name, content)
            except BaseException:
                self._ledger.end(row)
                raise
            self._ledger.sending(row.name, file)
            batch = self._provider.patiently(partial(self._create, row, file, api))
            self._ledger.opened(row.name, batch)
            say(f"  {_many(len(chosen), 'request')} submitted as {self._provider.clean(batch)}")

    def _choose(self) -> tuple[list[Request], bytes, Budget | None]:
        chosen: list[Request] = []
        content, budget = bytearray(), None
        while request := self._wanted.peek():
            if holder := self._ledger.holder(request.key):
                if holder in self._unknown:
                    raise self._lost_sight(holder)
                self._wanted.take()
                continue
            budget = budget or self._budget(request)
            text = line(request, self._flow.limit_name)
            full = chosen and (
                len(chosen) == self._batching.requests
                or len(content) + len(text) > self._batching.size
                or request.api != chosen[0].api
            )
            if full or not budget.reserve(request):
                break
            self._wanted.take()
            chosen.append(request)
            content += text
        return chosen, bytes(content), budget

    def _create(self, row: Row, file: str, api: str) -> str:
        try:
            return self._provider.create(row.name, file, api).id
        except (Refused, Halt, Missing):
            self._ledger.end(row)
            raise
        except Again as again:
            # unlike a call that a busy server sent away, this one may have arrived
            if again.kind != BUSY and (found := self._provider.find(row.name, file, 0.0)):
                return found.id
            raise

    def _collect(self) -> None:
        rows, halts = self._open(), list[Halt]()
        going = done = failed = total = 0
        for row in rows:
            try:
                batch = self._provider.retrieve(row.batch)
            except Missing:
                self._forget(row)
                continue
            if state(batch) in ENDED:
                self._crowded = crowded(batch) and len(rows) > 1
                halt = fetch(
                    row, batch, self._ledger, self._provider, self._wanted, waits=self._crowded
                )
                halts += [halt] if halt else []
            else:
                going += 1
                if counts := batch.request_counts:
                    done += counts.completed or 0
                    failed += counts.failed or 0
                    total += counts.total or 0
        self._crowded = self._crowded and bool(self._open())
        told = f"  {_many(going, 'batch')}: {done} of {total} requests answered, {failed} failed"
        if going and told != self._told:
            self._told = told
            say(told)
        if halts:
            stops = [self.stop(halt.code, str(halt), halt.cure) for halt in halts]
            raise UserError(problem for stop in stops for problem in stop.problems)

    def _forget(self, row: Row) -> None:
        requests = self._ledger.requests(row.name)
        if row.age < _FORGOTTEN:
            # perhaps the key is another account's
            self._unknown.add(row.name)
            if any(map(self._wanted.awaits, requests)):
                raise self._lost_sight(row.name)
            return
        self._ledger.end(row, sum(map(Budget(row.price, None, 0.0).worst, requests)))
        say(f"  the provider has forgotten {self._provider.clean(row.batch)}")
        for request in requests:
            self._wanted.failed(request, Again("the provider has forgotten it"), counts=True)

    def _lost_sight(self, name: str) -> UserError:
        batch = next(row.batch for row in self._ledger.rows() if row.name == name)
        message = f"the provider does not know {self._provider.clean(batch)}, which is not fetched"
        return self.stop("E612", message, "use the key and the base URL that it was sent with")


def _many(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith('ch') else 's'}"
