"""What different kinds of models and of requests send and get, over HTTP and through the store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.engines.prices import Price
from stages.engines.request import Completion, Request
from stages.engines.store import Store
from tests.engines.teacher_server import Raw, Teacher, asks, chat, engine, run

PRICE = Price(1000.0, 2000.0, "stated")


def message(finish: str = "stop", spent: int = 3, **fields: Any) -> dict[str, Any]:
    made = chat(None, finish, spent)
    made["choices"][0]["message"] |= fields
    return made


def only(store: Store, to: Any, request: Request, max_usd: float = 100.0) -> Completion:
    [completion] = run(store, to, [request], PRICE, max_usd).completions.values()
    return completion


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_a_reasoning_model_thinks_is_kept_apart(
    teacher: Teacher, store: Store, name: str
) -> None:
    teacher.reply = lambda n, body: message(content="It is 4.", **{name: "2 and 2…"})
    to = engine(teacher)
    wanted = Completion("It is 4.", "stop", 5, 3, reasoning="2 and 2…")
    assert only(store, to, asks(1)[0]) == wanted
    assert only(store, to, asks(1)[0]) == wanted
    assert teacher.calls == 1


def test_thoughts_that_used_up_all_tokens(teacher: Teacher, store: Store) -> None:
    texts: list[str | None] = ["", None]
    teacher.reply = lambda n, body: message(
        "length", 64, content=texts[n % 2], reasoning_content="and so on"
    )
    to, wanted = engine(teacher), Completion("", "length", 5, 64, reasoning="and so on")
    for at in range(2):
        assert only(store, to, asks(1, start=at)[0]) == wanted
        assert only(store, to, asks(1, start=at)[0]) == wanted
    assert teacher.calls == 2
    only(store, to, asks(1, max_tokens=128)[0])
    assert teacher.calls == 3, "a higher limit is another try"


def test_an_answer_that_was_paid_for_and_is_none(teacher: Teacher, store: Store) -> None:
    """Null with spent tokens: recorded once with its cost, and not asked again."""
    teacher.reply = lambda n, body: message("stop", 40, content=None, reasoning_content="hm")
    to = engine(teacher)
    wanted = Completion(
        "", "error", 5, 40, "the model spent 40 tokens and wrote no answer", reasoning="hm"
    )
    assert only(store, to, asks(1)[0]) == wanted
    assert only(store, to, asks(1)[0]) == wanted
    assert teacher.calls == 1
    assert store.spent() == pytest.approx(PRICE.cost(5, 40))


CHAT_LOGS = {
    "content": [
        {"token": "It", "logprob": -0.5, "top_logprobs": [{"token": "So", "logprob": -1.5}]},
        {"token": " is", "logprob": -0.25, "top_logprobs": []},
    ]
}
PLAIN_LOGS = {
    "tokens": ["It", " is"],
    "token_logprobs": [-0.5, -0.25],
    "top_logprobs": [{"So": -1.5}, None],
}
LOGS = '[["It",-0.5,[["So",-1.5]]],[" is",-0.25,[]]]'


def test_log_probabilities_of_chats_are_kept_and_served(teacher: Teacher, store: Store) -> None:
    made = message(content="It is")
    made["choices"][0]["logprobs"] = CHAT_LOGS
    teacher.reply = lambda n, body: made
    to, [request] = engine(teacher), asks(1, top_logprobs=1)
    wanted = Completion("It is", "stop", 5, 3, logprobs=LOGS)
    assert only(store, to, request) == wanted
    assert only(store, to, request) == wanted
    assert only(store, to, asks(1)[0]) == wanted, "who needs none is served as well"
    assert teacher.calls == 1
    body = teacher.bodies[0]
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)


def test_tokens_that_are_no_text_keep_their_bytes(teacher: Teacher, store: Store) -> None:
    half, rest = [0xF0, 0x9F], [0x99, 0x82]
    tokens = [
        {"token": "é", "bytes": [0xC3, 0xA9], "logprob": -0.5, "top_logprobs": []},
        {"token": "\ufffd", "bytes": half, "logprob": -0.5, "top_logprobs": [
            {"token": "bytes:\\x99\\x82", "bytes": rest, "logprob": -1.5},
            {"token": "<|end|>", "bytes": None, "logprob": -2.5},
        ]},
    ]  # fmt: skip
    made = message(content="é🙂")
    made["choices"][0]["logprobs"] = {"content": tokens}
    teacher.reply = lambda n, body: made
    [request] = asks(1, top_logprobs=2)
    kept = only(store, engine(teacher), request).logprobs
    assert kept == '[["é",-0.5,[]],[[240,159],-0.5,[[[153,130],-1.5],["<|end|>",-2.5]]]]'


def test_plain_completions_with_log_probabilities(teacher: Teacher, store: Store) -> None:
    choice = {"text": "It is", "finish_reason": "stop", "logprobs": PLAIN_LOGS}
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    teacher.reply = lambda n, body: {"choices": [choice], "usage": usage}
    to, [request] = engine(teacher), asks(1, api="completions", top_logprobs=1)
    wanted = Completion("It is", "stop", 5, 3, logprobs=LOGS)
    assert only(store, to, request) == wanted
    assert only(store, to, request) == wanted
    assert teacher.bodies == [
        {
            "model": "teacher",
            "prompt": "Think.\n\nq0",
            "max_tokens": 64,
            "temperature": 0.0,
            "top_p": 1.0,
            "logprobs": 1,
        }
    ]
    assert teacher.heads[0].startswith(b"POST /v1/completions HTTP/1.1")


def test_raising_log_probabilities_asks_only_for_what_lacks_them(
    teacher: Teacher, store: Store
) -> None:
    def reply(n: int, body: dict[str, Any]) -> dict[str, Any]:
        made = message(content="It is")
        if body.get("logprobs"):
            made["choices"][0]["logprobs"] = CHAT_LOGS
        return made

    teacher.reply = reply
    to = engine(teacher)
    run(store, to, asks(4, top_logprobs=1))
    run(store, to, asks(6, start=4))
    result = run(store, to, asks(10, top_logprobs=1))
    assert (result.held, result.generated) == (4, 6)
    assert sorted(teacher.questions()[-6:]) == [f"q{at}" for at in range(4, 10)]
    assert {made.logprobs for made in result.completions.values()} == {LOGS}
    assert run(store, to, asks(10, top_logprobs=1)).generated == 0
    assert run(store, to, asks(10)).generated == 0


def test_further_values_are_merged_and_null_takes_one_out(teacher: Teacher, store: Store) -> None:
    extra = {"temperature": None, "chat_template_kwargs": {"enable_thinking": False}, "top_k": 20}
    [request] = asks(1, extra=json.dumps(extra))
    run(store, engine(teacher, limit_name="max_completion_tokens"), [request])
    assert teacher.bodies == [
        {
            "model": "teacher",
            "messages": [
                {"role": "system", "content": "Think."},
                {"role": "user", "content": "q0"},
            ],
            "max_completion_tokens": 64,
            "top_p": 1.0,
            "chat_template_kwargs": {"enable_thinking": False},
            "top_k": 20,
        }
    ]
    run(store, engine(teacher), [*asks(1), request])
    assert teacher.calls == 2, "with further values it is another request"


def test_a_status_that_is_nearly_200(teacher: Teacher, store: Store) -> None:
    teacher.reply = lambda n, body: Raw(201, json.dumps(chat("made")).encode())
    assert only(store, engine(teacher), asks(1)[0]).text == "made"


def test_a_server_without_log_probabilities_is_not_asked_on(teacher: Teacher, store: Store) -> None:
    teacher.reply = lambda n, body: message(content="It is")
    to = engine(teacher, concurrency=1)
    with pytest.raises(UserError) as caught:
        run(store, to, asks(9, top_logprobs=1), PRICE, 100.0)
    assert str(caught.value) == (
        f"{teacher.url}: E605 the server sends no log-probabilities with its answers\n"
        "    hint: 1 answers were stored: set teacher.top_logprobs to 0 and run `dvc repro` again "
        "to go on"
    )
    assert teacher.calls == 1
    assert only(store, to, asks(1)[0]) == Completion("It is", "stop", 5, 3)
    assert teacher.calls == 1, "what was paid for serves whoever needs none"
