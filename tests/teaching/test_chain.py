"""Strategies of several calls, and samples of a row that end early."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from stages.engines.request import Completion, Job, Request
from stages.teaching.chain import Asking
from stages.teaching.rationales import jobs, wanted

TASKS = {
    "sums": {
        "answer": {
            "type": "number",
            "extract": [{"after": "The answer is"}],
            "marker": "The answer is",
        }
    }
}


class Teacher:
    endpoint, model = "http://host/v1", "teacher"


def call(user: str, **fields: Any) -> dict[str, Any]:
    plain = {"system": None, "max_tokens": 32, "continues": False, "gives": "rationale"}
    return {**plain, "user": user, **fields}


def asking(*later: dict[str, Any], first: str = "rationale", **values: Any) -> Asking:
    calls = {"steps": [{"max_tokens": 64, "gives": first}, *later]} if later else {}
    shown = {"sums": [{"question": "1 and 1?", "rationale": "Two.", "answer": "2"}]}
    return Asking(Teacher(), "arithmetic", {"calls": calls, "exemplars": shown}, **values)  # type: ignore[arg-type]


ROW = {
    "id": "sums/train/0", "task": "sums", "question": "2 and 2?", "gold": "4", "options": [],
    "variables": {"question": "2 and 2?", "answer_marker": "The answer is"},
    "prompts": {
        "steps": {
            "messages": [
                {"role": "system", "content": "Think."}, {"role": "user", "content": "2 and 2?"},
            ],
            "max_tokens": 64,
        }
    },
}  # fmt: skip


def run(job: Job[Any], replies: Iterable[Completion | str]) -> tuple[list[Request], Any]:
    """What a job asked, and what it made."""
    asked = [next(job)]
    for reply in replies:
        done = Completion(reply, "stop", 9, 3) if isinstance(reply, str) else reply
        try:
            asked.append(job.send(done))
        except StopIteration as stop:
            return asked, stop.value
    raise AssertionError("the job asks for more")


def test_one_call() -> None:
    asked, made = run(asking(values={"temperature": 0.7}).chain(ROW, "steps", 3), ["Four."])
    (request,) = asked
    assert request.chat() == ROW["prompts"]["steps"]["messages"]  # type: ignore[index]
    assert (request.max_tokens, request.sample, request.temperature) == (64, 3, 0.7)
    assert (request.about, request.row) == ("arithmetic/sums/steps", "sums/train/0")
    assert made == {
        "id": "sums/train/0", "task": "sums", "strategy": "steps", "sample": 3,
        "completion": "Four.", "finish_reason": "stop", "completion_tokens": 3, "error": "",
        "calls": [
            {
                "key": request.key, "max_tokens": 64, "finish_reason": "stop", "prompt_tokens": 9,
                "completion_tokens": 3, "error": "",
            }
        ],
    }  # fmt: skip


def test_a_call_that_goes_on_with_the_conversation() -> None:
    chain = asking(call("So?", continues=True)).chain(ROW, "steps")
    asked, made = run(chain, ["Two twos.\n", " The answer is 4."])
    assert asked[1].chat() == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "2 and 2?"},
        {"role": "assistant", "content": "Two twos.\n"},
        {"role": "user", "content": "So?"},
    ]
    assert made["completion"] == "Two twos.\nThe answer is 4."
    assert [one["text"] for one in made["calls"]] == ["Two twos.\n", " The answer is 4."]
    assert made["completion_tokens"] == 6


def test_a_call_that_begins_anew_reads_the_reply_and_the_exemplars() -> None:
    user = "{{ exemplars[0].answer }} {{ question }} {{ reply }} {{ answer_marker }}"
    chain = asking(call(user, system="Be brief: {{ reply }}", gives="answer")).chain(ROW, "steps")
    asked, made = run(chain, ["Two twos.", " 4\n"])
    assert asked[1].messages == (
        ("system", "Be brief: Two twos."),
        ("user", "2 2 and 2? Two twos. The answer is"),
    )
    assert made["completion"] == "Two twos.\nThe answer is 4"


def test_notes_are_not_learned() -> None:
    chain = asking(call("{{ reply }}"), first="notes").chain(ROW, "steps")
    assert run(chain, ["2, 2", "It is 4."])[1]["completion"] == "It is 4."


@pytest.mark.parametrize(
    ("reply", "finish", "error"),
    [
        (Completion("Two tw", "length", 9, 64), "length", ""),
        (Completion("", "content_filter", 9, 0), "content_filter", ""),
        (Completion("", "error", 0, 0, "HTTP 400: no"), "error", "HTTP 400: no"),
    ],
)
def test_nothing_is_built_on_a_reply_that_is_none(
    reply: Completion, finish: str, error: str
) -> None:
    asked, made = run(asking(call("{{ reply }}")).chain(ROW, "steps"), [reply])
    assert len(asked) == 1
    assert (made["completion"], made["finish_reason"], made["error"]) == (reply.text, finish, error)


def test_an_answer_can_be_forced_behind_a_rationale_that_was_cut_short() -> None:
    short = Completion("Two tw", "length", 9, 64)
    chain = asking(call("{{ reply }} So?", gives="answer"), forces=True).chain(ROW, "steps")
    asked, made = run(chain, [short, " 4.\n"])
    assert asked[1].chat() == [{"role": "user", "content": "Two tw So?"}]
    assert (made["completion"], made["finish_reason"]) == ("Two tw\nThe answer is 4.", "length")
    # only the answer is; a rationale that continues a cut one is worth nothing
    more = asking(call("{{ reply }}"), call("{{ reply }}", gives="answer"), forces=True)
    assert len(run(more.chain(ROW, "steps"), [short])[0]) == 1


def test_words_that_end_a_reply() -> None:
    chain = asking(call("{{ reply }}!", gives="answer", stop="\n"), first="notes", forces=True)
    chain.later["calls"]["steps"][0]["stop"] = "\n\nQ:"
    replies = [Completion("Two.\n\nQ: 3 and 3?", "length", 9, 64), "4\nQ"]
    asked, made = run(chain.chain(ROW, "steps"), replies)
    assert asked[1].chat() == [{"role": "user", "content": "Two.!"}]
    assert (made["completion"], made["finish_reason"]) == ("The answer is 4", "stop")
    assert [one["text"] for one in made["calls"]] == ["Two.\n\nQ: 3 and 3?", "4\nQ"]
    assert [one["finish_reason"] for one in made["calls"]] == ["length", "stop"]


def test_a_reply_that_brings_a_template_to_its_bounds_ends_its_chain() -> None:
    chain = asking(call("{{ reply | int // 0 }}")).chain(ROW, "steps")
    _, made = run(chain, ["Four."])
    assert made["error"] == (
        "call 2 cannot be written after this reply: ZeroDivisionError: integer division or modulo "
        "by zero"
    )


def test_thought_and_log_probabilities_are_kept_beside_the_text() -> None:
    done = Completion("Four.", "stop", 9, 3, "", "Hm.", '[["Four",-0.1,[]]]')
    _, made = run(asking(values={"top_logprobs": 2}).chain(ROW, "steps"), [done])
    assert made["completion"] == "Four."
    assert made["calls"][0]["reasoning"] == "Hm."
    assert made["calls"][0]["logprobs"] == '[["Four",-0.1,[]]]'


def test_a_ceiling_holds_for_every_call() -> None:
    asked, _ = run(asking(call("{{ reply }}"), ceiling=16).chain(ROW, "steps"), ["a", "b"])
    assert [request.max_tokens for request in asked] == [16, 16]


def sampled(teach: dict[str, Any], replies: list[str]) -> list[list[int]]:
    """The samples that each job made."""
    made, left = [], iter(replies)
    for job in jobs([ROW], TASKS, {"sums": ["steps"]}, teach, asking()):
        request = next(job)
        with suppress(StopIteration):
            while True:
                try:
                    request = job.send(Completion(next(left), "stop", 9, 3))
                except StopIteration as stop:
                    made.append([record["sample"] for record in stop.value])
                    raise
        assert request.about == "arithmetic/sums/steps"
    return made


RIGHT, WRONG = "The answer is 4.", "The answer is 5."


@pytest.mark.parametrize(
    ("teach", "replies", "made"),
    [
        ({"samples": 3}, [RIGHT] * 3, [[0], [1], [2]]),
        ({"samples": 5, "enough": 2}, [RIGHT, WRONG, RIGHT], [[0, 1, 2]]),
        ({"samples": 3, "enough": 2}, [RIGHT, WRONG, WRONG], [[0, 1, 2]]),
        ({"samples": 5, "give_up": 2}, [WRONG, WRONG], [[0, 1]]),
        ({"samples": 3, "give_up": 2}, [WRONG, RIGHT, WRONG], [[0, 1, 2]]),
        ({"samples": 9, "enough": 1, "give_up": 3}, [WRONG, WRONG, RIGHT], [[0, 1, 2]]),
    ],
)
def test_when_the_samples_of_a_row_end(
    teach: dict[str, Any], replies: list[str], made: list[list[int]]
) -> None:
    assert sampled(teach, replies) == made


def test_a_right_answer_that_was_cut_short_is_not_enough() -> None:
    (job,) = jobs([ROW], TASKS, {"sums": ["steps"]}, {"samples": 2, "enough": 1}, asking())
    asked, made = run(job, [Completion(RIGHT, "length", 9, 64), RIGHT])
    assert [request.sample for request in asked] == [0, 1]
    assert len(made) == 2


def test_which_strategies_are_taught() -> None:
    task = {"fixed": ["a"], "selects": True, "candidates": ["b", "a", "c"]}
    assert wanted(task, {"strategy": "c"}) == ["a", "c"]
    assert wanted(task, None) == ["a", "b", "c"]
    assert wanted({**task, "selects": False}, {"strategy": "c"}) == ["a"]
