"""The lines of the files that a batch is uploaded in and that its results come in.

https://platform.openai.com/docs/api-reference/batch/request-input and ``…/request-output``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stages.engines.reply import ODD, Again, Halt, Refused, clean, judge, read
from stages.engines.request import Completion, Request
from stages.engines.wire import PATHS, body

Outcome = Completion | Again | Refused | Halt
"""The answer to a request, or why there is none."""


def line(request: Request, limit_name: str) -> bytes:
    """A request as a line of the file that is uploaded."""
    content = {
        "custom_id": request.key,
        "method": "POST",
        "url": "/v1" + PATHS[request.api],
        "body": body(request, limit_name),
    }
    # escaped, so that lone surrogates can be sent
    return json.dumps(content).encode() + b"\n"


def outcome(line: bytes, model: str, sender: str, key: str) -> tuple[str, Outcome]:
    """What a line of a result file says.

    Args:
        line: Whatever stands in the file.
        model: That was asked.
        sender: See `judge`.
        key: To be struck out of reasons.

    Returns:
        The key of the request, empty where the line names none, and its answer or why there is
        none; `Again` is billed where the provider seems to have answered.
    """
    name = ""
    try:
        said = json.loads(line)
        said = said if isinstance(said, dict) else {}
        name = said["custom_id"] if isinstance(said.get("custom_id"), str) else ""
        return name, _meaning(said, model, sender, key)
    except (ValueError, RecursionError):
        return name, Again("the line is not JSON", kind=ODD, billed=True)
    except Again as again:
        return name, again


def names_request(line: bytes) -> bool:
    """Whether a line names any request."""
    return bool(outcome(line, "", "", "")[0])


def _meaning(said: Mapping[str, Any], model: str, sender: str, key: str) -> Outcome:
    response, error = said.get("response"), said.get("error")
    if not isinstance(response, dict):
        words = error if isinstance(error, dict) else {}
        told = ": ".join(str(words[name]) for name in ("code", "message") if words.get(name))
        return Again(clean(told, key) or "the provider gave no reply", kind=ODD)
    status, content = response.get("status_code"), response.get("body")
    if status == 200:
        return read(json.dumps(content).encode(), key)
    if not isinstance(status, int) or status < 400:
        return Again("the line holds no reply", kind=ODD, billed=True)
    told_of = content.get("error", content) if isinstance(content, dict) else content
    return judge(status, told_of, {}, model, sender, key)
