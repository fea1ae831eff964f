"""Chat completions from any server that speaks OpenAI's protocol, over HTTP.

The key is read from the environment when it is first needed, sent in a header, and struck out of
whatever a server says. The SDK only carries the calls: retries, flow and the reading of replies are
the package's own.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stages.core.errors import UserError, user_error
from stages.engines.pool import Ask, Pool
from stages.engines.reply import Again, clean, judge, read
from stages.engines.request import Completion, Deliver, Request

if TYPE_CHECKING:
    import openai


class OpenAIEngine:
    """One model behind one base URL.

    Args:
        model: Name as the server knows it.
        base_url: Up to and including ``/v1``.
        key_env: Name of the environment variable that holds the key. A server on this machine
            may go without.
        identity: Stands for the server in request keys, so that it can move without its answers
            being bought again; the base URL when None.
        concurrency: Requests in flight at most.
        timeout: Seconds that one attempt may take.
        retries: Attempts after the first, for failures that may pass.

    Raises:
        UserError: E604, when `base_url` itself holds a secret.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        key_env: str = "",
        identity: str | None = None,
        concurrency: int = 32,
        timeout: float = 120.0,
        retries: int = 6,
    ) -> None:
        url = urlsplit(base_url)
        if url.username or url.password or url.query:
            raise user_error(
                "params.yaml",
                "E604",
                f"the base URL on {url.hostname} holds a login or a query, which would be "
                "stored with every answer",
                "put the key in an environment variable and name the variable",
            )
        self.model = model
        self.base_url = base_url.rstrip("/")
        self.endpoint = identity or self.base_url
        self.key_env = key_env
        self.concurrency = concurrency
        self.timeout = timeout
        self.retries = retries
        self.local = _is_local(url.hostname or "")

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        """Ask for what is missing; see `Engine.complete`.

        A request that the server refuses, or answers without any text however often it is asked,
        is delivered as a completion with an `error`.

        Raises:
            UserError: E604 no key in the environment, E605 the server will not serve this key or
                model, E606 a failure outlasted the retries.
        """
        todo = [request for request in requests if request.key in missing]
        if not todo:
            return
        key = self._key()
        pool = Pool(deliver, self.concurrency, self.retries, proven=len(todo) < len(requests))
        pool.run(todo, lambda: self._connected(key))
        if pool.halt:
            raise user_error(
                self.base_url,
                pool.halt.code,
                str(pool.halt),
                f"{pool.delivered} of the {len(todo)} missing answers were stored: "
                f"{pool.halt.cure} and run `dvc repro` again to go on",
            )

    def _key(self) -> str:
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise self._keyless(f"the environment variable {self.key_env} does not hold a key")
        if not key and not self.local:
            if not self.key_env:
                raise self._keyless(f"no environment variable is named for {self.base_url}")
            raise self._keyless(
                f"the environment variable {self.key_env}, which holds the key for "
                f"{self.base_url}, is not set"
            )
        return key

    def _keyless(self, message: str) -> UserError:
        hint = f"export {self.key_env or 'NAME'}=… in the shell that runs `dvc repro`"
        return user_error("environment", "E604", message, hint)

    @asynccontextmanager
    async def _connected(self, key: str) -> AsyncIterator[Ask]:
        import openai

        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=self.concurrency, max_keepalive_connections=self.concurrency
        )
        # a proxy from the environment cannot reach a server on this machine
        http = openai.DefaultAsyncHttpxClient(limits=limits, trust_env=not self.local)
        # with no key given, the SDK would send another server's from OPENAI_API_KEY
        async with openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=0,
            http_client=http,
        ) as client:
            yield lambda request: self._ask(client, request, key)

    async def _ask(self, client: openai.AsyncOpenAI, request: Request, key: str) -> Completion:
        import openai

        body: dict[str, Any] = {
            "model": request.model,
            "messages": request.chat(),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        if request.temperature > 0:
            body["seed"] = request.sample
        # escaped, as the SDK's own encoder fails on lone surrogates
        content = json.dumps(body).encode()
        call = client.post("/chat/completions", cast_to=bytes, content=content)
        try:
            raw = await asyncio.wait_for(call, self.timeout)
        except (asyncio.TimeoutError, openai.APITimeoutError):
            raise Again(f"no answer within {self.timeout:g} s") from None
        except openai.APIStatusError as error:
            headers, phrase = error.response.headers, error.response.reason_phrase
            sender = f"the key in {self.key_env}" if key else "a call without a key"
            said = error.body or phrase
            raise judge(error.status_code, said, headers, self.model, sender, key) from None
        except openai.APIConnectionError as error:
            raise Again(clean(str(error.__cause__ or "") or str(error), key)) from None
        return read(raw, key)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
