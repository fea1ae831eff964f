"""What a server's reply means: an answer, worth another attempt, a refusal, or the end of the run.

Pure functions over OpenAI's protocol, without HTTP. Whatever text leaves here has the key struck
out of it.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from stages.core.jsonl import canonical
from stages.engines.request import Completion

LONGEST_WAIT = 600.0  # seconds that a server's Retry-After may ask for
BUSY, TROUBLE, ODD = "busy", "trouble", "odd"
_THOUGHTS = ("reasoning_content", "reasoning")
_CURABLE = {408, 409, 425, 429}
_HOPELESS = {401, 402, 403, 404, 405}
_HOPELESS_CODES = {"invalid_api_key", "insufficient_quota", "model_not_found"}


class Again(Exception):
    """Another attempt may do.

    Args:
        reason: What went wrong, without a full stop.
        after: Seconds that the server asked to be left alone for; 0 when it did not say.
        final: To be recorded when no attempt does; None when the failure is not the request's.
        kind: BUSY when the server has too much to do, TROUBLE when it fails, ODD when it works but
            this reply is of no use.
        billed: Whether the attempt may have been paid for all the same.
    """

    def __init__(
        self,
        reason: str,
        after: float = 0.0,
        final: Completion | None = None,
        *,
        kind: str = TROUBLE,
        billed: bool = False,
    ) -> None:
        super().__init__(reason)
        self.after = after
        self.final = final
        self.kind = kind
        self.billed = billed


class Refused(Exception):
    """This request can never succeed."""


class Halt(Exception):
    """No request can succeed until the user does something.

    Args:
        code: Of the user error that it becomes.
        message: What is wrong, without a full stop.
        cure: What to do, as the start of a sentence.
    """

    def __init__(self, code: str, message: str, cure: str) -> None:
        super().__init__(message)
        self.code = code
        self.cure = cure


def judge(
    status: int, body: object, headers: Mapping[str, str], model: str, sender: str, key: str
) -> Again | Refused | Halt:
    """What an HTTP error means.

    Args:
        status: HTTP status, not 2xx.
        body: The decoded ``error`` object, or whatever came in its place.
        headers: Of the reply, names in lower case or matched in any case.
        model: That was asked for.
        sender: What a refused key is called: "the key in NAME", or "a call without a key".
        key: To be struck out; empty when there is none.
    """
    said, code = body, None
    if isinstance(body, Mapping):
        said, code = body.get("message") or body.get("detail"), body.get("code")
    said = said if isinstance(said, str) else json.dumps(said or body)
    reason = clean(f"HTTP {status}: {said}", key)
    coded = isinstance(code, str) and code in _HOPELESS_CODES
    if not coded and (status in _CURABLE or status >= 500):
        kind = BUSY if status == 429 else TROUBLE
        return Again(reason, retry_after(headers), kind=kind, billed=status in (408, 504, 524))
    if not coded and 400 <= status < 500 and status not in _HOPELESS:
        return Refused(reason)
    if status == 401:
        return Halt("E605", f"the server refused {sender} ({reason})", "correct the key")
    if status in (404, 405):
        message = f"there is no model {model!r}, or no chat, at this base URL ({reason})"
        return Halt("E605", message, "correct the model or the base URL")
    message = f"the server will not serve model {model!r} ({reason})"
    return Halt("E605", message, "correct the key, its rights or its credit")


def read(raw: bytes, key: str) -> Completion:
    """The completion in a reply to chat or plain completions, or in one that holds none.

    What a reasoning model thought is told in ``reasoning_content`` by vLLM, SGLang and DeepSeek and
    in ``reasoning`` by others; it never becomes part of the text.

    Args:
        raw: The body of a reply with status 200.
        key: To be struck out of reasons; the answer itself is left as it is.

    Raises:
        Again: The reply holds no answer, and nothing was paid for it.
    """
    try:
        reply = json.loads(raw)
    except ValueError:
        raise Again("the reply is not JSON", kind=ODD, billed=True) from None
    reply = reply if isinstance(reply, dict) else {}
    prompt, spent = _usage(reply.get("usage"))

    def nothing(reason: str) -> Exception:
        final = Completion("", "error", prompt, spent, reason)
        return Again(reason, final=final, kind=ODD, billed=not reply.get("error"))

    try:
        choice = reply["choices"][0]
        message = choice["message"] if "message" in choice else {"content": choice["text"]}
        text, refusal = message.get("content"), message.get("refusal")
        finish = clean(str(choice.get("finish_reason") or "unknown"), key)
    except (KeyError, IndexError, TypeError, AttributeError):
        said = f": {json.dumps(reply['error'])}" if reply.get("error") else ""
        raise nothing(clean(f"the reply holds no choices{said}", key)) from None
    thought = next((message[name] for name in _THOUGHTS if isinstance(message.get(name), str)), "")
    logprobs = _logprobs(choice.get("logprobs"))
    if isinstance(refusal, str) and refusal and not text:
        return Completion("", "content_filter", prompt, spent, clean(refusal, key), thought)
    if text is None and finish in ("length", "content_filter"):
        # a reasoning model can spend every token before the first word of its answer
        text = ""
    if text is None and spent:
        # paid for once: the next attempt would be paid for as well
        reason = f"the model spent {spent} tokens and wrote no answer"
        return Completion("", "error", prompt, spent, reason, thought, logprobs)
    if not isinstance(text, str) or finish == "error":
        raise nothing("the reply holds no text")
    return Completion(text, finish, prompt, spent, "", thought, logprobs)


def _logprobs(found: Any) -> str:
    """Log-probabilities of a chat reply, or of a plain one, in the one shape of `Completion`."""
    if not isinstance(found, dict):
        return ""
    try:
        if isinstance(found.get("content"), list):
            tokens = [
                [
                    _token(token),
                    token["logprob"],
                    [[_token(other), other["logprob"]] for other in token["top_logprobs"] or []],
                ]
                for token in found["content"]
            ]
        else:
            tops = found.get("top_logprobs") or [{} for _ in found["tokens"]]
            tokens = [
                [text, value, [[other, chance] for other, chance in (top or {}).items()]]
                for text, value, top in zip(
                    found["tokens"], found["token_logprobs"], tops, strict=True
                )
            ]
        return canonical(tokens)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""  # an answer is worth keeping without them


def _token(found: Mapping[str, Any]) -> Any:
    """A token's text, or its bytes where they are no text of their own, as in half an emoji."""
    text, raw = found["token"], found.get("bytes")
    if isinstance(raw, list) and all(isinstance(byte, int) for byte in raw):
        return text if raw == list(text.encode("utf-8", "surrogatepass")) else raw
    return text


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to be left alone for; 0 when it does not say."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        date = email.utils.parsedate_tz(value)
        seconds = email.utils.mktime_tz(date) - time.time() if date else 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def clean(text: str, key: str) -> str:
    """One line that can be shown and stored: no key, no lone surrogates, 300 characters at most."""
    if key:
        text = re.sub("".join(map(_disguised, key)), "[key]", text, flags=re.IGNORECASE)
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().split()).rstrip(".")
    return text if len(text) <= 300 else text[:299] + "…"


def _usage(usage: Any) -> tuple[int, int]:
    counts = usage if isinstance(usage, dict) else {}
    prompt, spent = counts.get("prompt_tokens"), counts.get("completion_tokens")
    return _count(prompt), _count(spent)


def _count(stated: Any) -> int:
    """A number of tokens that a server states; 0 when it is none."""
    return stated if isinstance(stated, int) and 0 <= stated < 1 << 53 else 0


def _disguised(character: str) -> str:
    """A pattern for one character as it is, and as URLs and JSON escape it."""
    code = ord(character)
    plain = re.escape(character)
    return plain if character.isalnum() else rf"(?:\\?{plain}|%{code:02x}|\\u{code:04x})"
