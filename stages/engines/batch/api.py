"""OpenAI's Batch protocol over HTTP: calls that are repeated until they are answered.

https://platform.openai.com/docs/guides/batch, ``…/api-reference/batch`` and ``…/files``. The
`openai` package carries the calls; retries and the reading of replies are the package's own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from stages.core.console import say
from stages.engines.batch.lines import Outcome, names_request, outcome
from stages.engines.reply import ODD, Again, clean, judge
from stages.engines.wire import PATHS

if TYPE_CHECKING:
    from openai.types import Batch

Made = TypeVar("Made")

MARK = "tutelage"
"""Name of the metadata that holds a batch's own id."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds between two attempts, doubling
SETTLE = 60.0  # seconds that a call which was cut off may yet take to show in the provider's list
_PAGE = 100
_TOLD = 16  # times the first wait, after which a failing provider is told of


class Missing(Exception):
    """The provider knows no such thing (HTTP 404)."""


class _Absent(Again):
    """The provider does not know a file that it named, or sends something else in its place."""


class Provider:
    """Files and batches at one base URL; to be closed.

    Args:
        url: Up to and including ``/v1``.
        key: Sent in a header and struck out of whatever is said; empty for none.
        sender: What a refused key is called; see `judge`.
        model: That the batches ask.
        timeout: Seconds without a byte after which an attempt is lost.
        outage: Seconds of failing attempts after which the provider is given up.
        local: Whether the URL is on this machine, which no proxy reaches.

    Raises:
        Again: From every method: no attempt did within `outage`.
        Refused: Likewise: the provider will not take this call.
        Halt: Likewise: it will take no call with this key.
        Missing: Likewise: it knows no such batch, or no batches at all.
    """

    def __init__(
        self,
        url: str,
        key: str,
        sender: str,
        model: str,
        timeout: float,
        outage: float,
        local: bool,
    ) -> None:
        import openai

        # nothing of the environment that is meant for another server: keys, organisations
        absent: Any = openai.Omit()
        headers = {
            "Authorization": f"Bearer {key or 'none'}",
            "OpenAI-Organization": absent,
            "OpenAI-Project": absent,
        }
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=url,
            max_retries=0,
            timeout=timeout,
            default_headers=headers,
            http_client=openai.DefaultHttpxClient(trust_env=not local, follow_redirects=False),
        )
        self._url, self._key, self._outage = url, key, outage
        self._sender, self._model = sender, model

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def clean(self, text: str) -> str:
        """What the provider said, fit to be shown."""
        return clean(text, self._key)

    def upload(self, name: str, content: bytes) -> str:
        """Upload a batch's requests, one a line; returns the file's id."""
        file = (f"{name}.jsonl", content)
        return self._call(partial(self._client.files.create, file=file, purpose="batch")).id

    def create(self, name: str, file: str, api: str) -> Batch:
        """Submit a batch, by a single call, which may arrive even where this raises `Again`.

        Args:
            name: The batch's own id.
            file: Id of the uploaded file.
            api: ``chat`` or ``completions``.
        """
        endpoint: Any = "/v1" + PATHS[api]
        return self._once(
            lambda: self._client.batches.create(
                input_file_id=file,
                endpoint=endpoint,
                completion_window="24h",
                metadata={MARK: name},
            )
        )

    def find(self, name: str, file: str, age: float) -> Batch | None:
        """Look for a batch by its own id, or by its file where a server leaves metadata out.

        Args:
            name: The batch's own id.
            file: Id of the uploaded file.
            age: Seconds since the call that may have submitted it. A young one may yet show.
        """
        until = time.monotonic() + SETTLE - age
        while not (found := self._listed(name, file)) and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 5.0))
        return found

    def retrieve(self, batch: str) -> Batch:
        """A batch as it is now."""
        return self._call(partial(self._client.batches.retrieve, batch))

    def patiently(self, what: Callable[[], Made]) -> Made:
        """Do it again and again while it raises `Again`, for as long as `outage`."""
        start, wait = time.monotonic(), FIRST_WAIT
        while True:
            try:
                return what()
            except Again as again:
                if time.monotonic() - start >= self._outage:
                    raise
                if wait == _TOLD * FIRST_WAIT:
                    say(f"  {self._url} fails ({again}); asking it again now and then")
                time.sleep(max(again.after, wait))
                wait = min(2 * wait, LONGEST_WAIT)

    def results(self, batch: Batch) -> Iterator[tuple[str, Outcome]]:
        """Key and outcome of every line that a batch that ended has brought, in no order.

        Raises:
            Missing: At the end, when a file is not there or holds something else.
        """
        gone: Missing | None = None
        for file in (batch.output_file_id, batch.error_file_id):
            try:
                for line in self._lines(file) if file else ():
                    if line.strip():
                        yield outcome(line, self._model, self._sender, self._key)
            except Missing as missing:
                gone = missing
        if gone:
            raise gone

    def _lines(self, file: str) -> Iterator[bytes]:
        import openai

        with tempfile.TemporaryFile() as whole:

            def load() -> None:
                whole.seek(0)
                whole.truncate()
                try:
                    with self._client.files.with_streaming_response.content(file) as reply:
                        for part in self._parts(reply.iter_bytes()):
                            whole.write(part)
                except openai.NotFoundError:
                    raise _Absent("a result file is not there") from None
                size = whole.tell()
                whole.seek(0)
                # a proxy's page in its place would make all of its answers be bought again
                if size and not any(map(names_request, whole)):
                    raise _Absent("a result file holds no results")

            try:
                self._call(load)
            except _Absent as absent:
                raise Missing(str(absent)) from None
            whole.seek(0)
            yield from whole

    def _parts(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            try:
                part = next(parts, None)
            # the SDK passes the errors of its HTTP library on, and that is not always the same one
            except Exception as error:
                raise Again(clean(str(error) or type(error).__name__, self._key)) from None
            if part is None:
                return
            yield part

    def _listed(self, name: str, file: str) -> Batch | None:
        seen: set[str] = set()
        after: dict[str, Any] = {}
        while True:
            page = self._call(partial(self._client.batches.list, limit=_PAGE, **after))
            fresh = [batch for batch in page.data or [] if batch.id not in seen]
            for batch in fresh:
                marks = batch.metadata if isinstance(batch.metadata, dict) else {}
                if marks.get(MARK) == name or batch.input_file_id == file:
                    return batch
            if not fresh or page.has_more is False:
                return None
            seen.update(batch.id for batch in fresh)
            after = {"after": fresh[-1].id}

    def _call(self, what: Callable[[], Made]) -> Made:
        return self.patiently(partial(self._once, what))

    def _once(self, what: Callable[[], Made]) -> Made:
        import openai

        try:
            made = what()
        except openai.APIStatusError as error:
            status, headers = error.status_code, error.response.headers
            found = judge(status, error.body, headers, self._model, self._sender, self._key)
            raise (Missing(f"HTTP {status}") if status == 404 else found) from None
        except openai.APIConnectionError as error:
            raise Again(clean(str(error.__cause__ or error), self._key)) from None
        except (openai.OpenAIError, ValueError):
            raise Again("the reply is not JSON", kind=ODD) from None
        if made is not None and not {"id", "data"} & getattr(made, "model_fields_set", set()):
            raise Again("the reply is not what a batch server says", kind=ODD)
        return made
