from __future__ import annotations

import json
import tracemalloc
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.engines.recordings import KINDS, recordings
from stages.engines.recordings.lines import SHOWN, Recording

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
HINTS = {kind: f"    hint: {hint}" for kind, hint in KINDS.items()}

# As `src/data/completion_dataset.py` of the authors saves it: json.dump with four spaces.
ZERO_SHOT = """{
    "metadata": {
        "base_model": "text-davinci-002",
        "dataset_key": "multiarith",
        "completion_key": "zs_cot_t70",
        "finetune_key": null,
        "train_key": null,
        "epoch": null,
        "prediction_template": "zs_cot",
        "reasoning_temperature": 0.7,
        "reasoning_max_tokens": 128
    },
    "data": {
        "3": [
            {
                "sample_index": 3,
                "completion_index": 0,
                "question": " 2-1? ",
                "answer": "1",
                "reasoning_prompt": "Q: 2-1?\\nA: Let's think step by step.",
                "reasoning_completion": "\\n\\nIt is.",
                "reasoning_finish_reason": "stop",
                "prompt": "Q: 2-1?\\nA: Let's think step by step.It is.\\nTherefore, the answer is",
                "completion": " 1.",
                "finish_reason": "stop"
            },
            {
                "sample_index": 3,
                "completion_index": 1,
                "question": " 2-1? ",
                "answer": "1",
                "reasoning_prompt": "Q: 2-1?\\nA: Let's think step by step.",
                "reasoning_completion": "\\n\\nLet me",
                "reasoning_finish_reason": "length",
                "prompt": "Q: 2-1?\\nA: Let's think step by step.Let me\\nTherefore, the answer is",
                "completion": " 2.",
                "finish_reason": "stop"
            }
        ],
        "4": [
            {
                "sample_index": 4,
                "completion_index": 0,
                "question": "What is 5 + 5?",
                "answer": "10",
                "reasoning_prompt": "Q: What is 5 + 5?\\nA: Let's think step by step.",
                "reasoning_completion": " 5 + 5 = 10.",
                "reasoning_finish_reason": "stop"
            },
            {
                "sample_index": 4,
                "completion_index": 1,
                "question": "What is 5 + 5?",
                "answer": "10",
                "reasoning_prompt": "Q: What is 5 + 5?\\nA: Let's think step by step."
            }
        ]
    }
}"""

FEW_SHOT = """{
    "metadata": {
        "base_model": "gpt2",
        "dataset_key": "gsm8k",
        "completion_key": "fs_cot",
        "finetune_key": null,
        "train_key": null,
        "epoch": 0,
        "prediction_template": "fs_cot"
    },
    "data": {
        "0": [
            {
                "sample_index": 0,
                "completion_index": 0,
                "question": "What is 1 + 1?",
                "answer": "2",
                "prompt": "Q: What is 2 + 2?\\nA: The answer is 4.\\n\\nQ: What is 1 + 1?\\nA:",
                "completion": " 1 + 1 = 2. The answer is 2.",
                "finish_reason": "length"
            }
        ],
        "7": [
            {
                "sample_index": 7,
                "completion_index": 0,
                "question": "What is 3 + 3?",
                "answer": "6",
                "prompt": "What is 3 + 3? ###",
                "completion": " 3 and 3. --> 6 END"
            }
        ]
    }
}"""

# The request output object of OpenAI's reference, and what issue 302 of its openapi repository saw.
ANSWERED: dict[str, Any] = {
    "id": "batch_req_wnaDys",
    "custom_id": "request-2",
    "response": {
        "status_code": 200,
        "request_id": "req_c187b3",
        "body": {
            "id": "chatcmpl-9758Iw",
            "object": "chat.completion",
            "created": 1711475054,
            "model": "gpt-4o-mini",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "2 + 2 equals 4."},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 24, "completion_tokens": 15, "total_tokens": 39},
            "system_fingerprint": None,
        },
    },
    "error": None,
}
REFUSED = {
    "id": "batch_req_YTpodqz",
    "custom_id": "request-5",
    "response": {
        "status_code": 400,
        "request_id": "0538a1cc",
        "body": {
            "error": {
                "message": "This model's maximum context length is 128000 tokens.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    },
    "error": None,
}
EXPIRED = {
    "id": "batch_req_123",
    "custom_id": "request-3",
    "response": None,
    "error": {"code": "batch_expired", "message": "The request was not executed in time."},
}


def _file(folder: Path, *rows: object, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _raw(folder: Path, data: str | bytes) -> Path:
    path = folder / "a.jsonl"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def _told(path: Path, kind: str, requests: Path | None = None) -> list[str]:
    """Lines of the message, without the folder."""
    with pytest.raises(UserError) as caught:
        recordings(path, kind, requests)
    return str(caught.value).replace(f"{path.parent.as_posix()}/", "").split("\n")


def _reply(body: dict[str, Any], key: str = "k") -> dict[str, Any]:
    return {"custom_id": key, "response": {"status_code": 200, "body": body}, "error": None}


def _recording(**fields: Any) -> Recording:
    blank: dict[str, Any] = dict.fromkeys(("question", "key", "rationale", "answer", "error"), "")
    counts = {"prompt_tokens": 0, "completion_tokens": 0}
    return Recording(**{**blank, **counts, "messages": (), "finish_reason": "stop", **fields})


def test_rationales(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        {"id": 1, "question": "1 + 1?", "rationale": " It is 2.", "answer_completion": " 2."},
        {"question": "1 + 1?", "completion": "Two.", "finish_reason": "length"},
        {"question": "x\ud800", "rationale": "", "answer_completion": None},
    )
    assert list(recordings(path, "rationales")) == [
        _recording(question="1 + 1?", rationale=" It is 2.", answer=" 2."),
        _recording(question="1 + 1?", rationale="Two.", finish_reason="length"),
        _recording(question="x\ud800"),
    ]


def test_a_mark_in_front_blank_lines_and_other_separators_are_no_mistakes(tmp_path: Path) -> None:
    row = '{"question": "a\u2028b", "rationale": "r"}'
    path = _raw(tmp_path, f"\ufeff{row}\r\n\r\n  \n{row}")
    assert (
        list(recordings(path, "rationales")) == [_recording(question="a\u2028b", rationale="r")] * 2
    )


def test_every_bad_line_is_told_and_nothing_is_handed_out(tmp_path: Path) -> None:
    lines = [
        b'{"question": "q", "rationale": "r"}',
        b'{"question": "q", "rationale": }',
        b'{"question": "q"}',
        b'{"question": 1, "rationale": "r"}',
        b'{"question": " ", "rationale": "r"}',
        b'{"question": "q", "rationale": ["r"]}',
        b'{"question": "q", "rationale": "r", "answer_completion": 4}',
        b'["q", "r"]',
        b'{"question": "\xff"}',
        b"[" * 100_000,
        b'{"question": ' + b"1" * 5000 + b"}",
    ]
    told = [
        "a.jsonl:2:32: E607 this is not JSON: Expecting value",
        "a.jsonl:3:1: E607 there is no 'rationale' or 'completion'",
        "a.jsonl:4:1: E607 'question' is not a text",
        "a.jsonl:5:1: E607 'question' is empty",
        "a.jsonl:6:1: E607 'rationale' is not a text",
        "a.jsonl:7:1: E607 'answer_completion' is not a text",
        "a.jsonl:8:1: E607 this is not a JSON object",
        "a.jsonl:9:1: E607 this is not UTF-8",
        "a.jsonl:10:1: E607 this is nested too deep",
        "a.jsonl:11:1: E607 a number has too many digits",
    ]
    assert _told(_raw(tmp_path, b"\n".join(lines)), "rationales") == [
        line for message in told for line in (message, HINTS["rationales"])
    ]


@pytest.mark.parametrize(("bad", "end"), [(20, 20), (21, 21), (500, 21)])
def test_twenty_bad_lines_are_told_and_the_others_counted(
    tmp_path: Path, bad: int, end: int
) -> None:
    assert SHOWN == 20
    told = _told(_raw(tmp_path, "{}\n" * bad), "rationales")[::2]
    assert len(told) == end
    assert told[19] == "a.jsonl:20:1: E607 there is no 'question'"
    assert told[20:] == [f"a.jsonl:21:1: E607 and {bad - 20} more from here on"][: end - 20]


@pytest.mark.parametrize("kind", ["rationales", "openai_batch"])
@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_an_empty_file(tmp_path: Path, kind: str, text: str) -> None:
    told = ["a.jsonl: E607 the file holds nothing", HINTS[kind]]
    assert _told(_raw(tmp_path, text), kind) == told


def test_files_that_are_not_there(tmp_path: Path) -> None:
    missing = "E607 the file cannot be read: No such file or directory"
    for kind in KINDS:
        assert _told(tmp_path / "b.jsonl", kind) == [
            f"b.jsonl: {missing}",
            "    hint: correct its path",
        ]
    path = _file(tmp_path, ANSWERED)
    assert _told(path, "openai_batch", tmp_path / "requests.jsonl") == [
        f"requests.jsonl: {missing}",
        "    hint: correct its path",
    ]


def test_an_unknown_kind(tmp_path: Path) -> None:
    assert _told(tmp_path / "a.jsonl", "openai_bach") == [
        "a.jsonl: E607 there is no kind 'openai_bach' of recordings",
        "    hint: did you mean 'openai_batch'?",
    ]


def test_lines_are_read_in_flat_memory(tmp_path: Path) -> None:
    row = {"question": "q", "rationale": "r" * 100_000}
    path = _file(tmp_path, *([row] * 200))
    tracemalloc.start()
    assert sum(1 for _ in recordings(path, "rationales")) == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 10


def test_output_and_error_lines_of_a_batch(tmp_path: Path) -> None:
    path = _file(tmp_path, ANSWERED, REFUSED, EXPIRED)
    assert list(recordings(path, "openai_batch")) == [
        _recording(
            key="request-2", rationale="2 + 2 equals 4.", prompt_tokens=24, completion_tokens=15
        ),
        _recording(
            key="request-5",
            finish_reason="error",
            error="HTTP 400: context_length_exceeded: This model's maximum context length is "
            "128000 tokens",
        ),
        _recording(
            key="request-3",
            finish_reason="error",
            error="batch_expired: The request was not executed in time",
        ),
    ]


def test_a_failure_as_vllm_writes_it(tmp_path: Path) -> None:
    said = {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}
    line = {"id": "vllm-1", "custom_id": "k", "response": {"status_code": 400, "body": None}}
    path = _file(tmp_path, {**line, "error": said}, {**line, "error": {"error": said}})
    assert [item.error for item in recordings(path, "openai_batch")] == ["400: too long"] * 2


def test_plain_completions_and_several_choices(tmp_path: Path) -> None:
    choices = [
        {"text": " one", "index": 0, "logprobs": None, "finish_reason": "length"},
        {"text": " two\ud83d", "index": 1, "logprobs": None, "finish_reason": None},
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 9}
    path = _file(tmp_path, _reply({"choices": choices, "usage": usage}))
    assert list(recordings(path, "openai_batch")) == [
        _recording(
            key="k",
            rationale=" one",
            finish_reason="length",
            prompt_tokens=5,
            completion_tokens=9,
        ),
        _recording(key="k", rationale=" two\ud83d"),
    ]


def test_replies_without_an_answer(tmp_path: Path) -> None:
    refusal = {"role": "assistant", "content": None, "refusal": "I cannot."}
    path = _file(
        tmp_path,
        _reply({"choices": [{"message": refusal, "finish_reason": "stop"}]}),
        _reply({"choices": [{"message": {"content": None}, "finish_reason": "tool_calls"}]}),
        _reply({"choices": []}),
        _reply({"choices": ["?"]}),
    )
    assert [(item.finish_reason, item.error) for item in recordings(path, "openai_batch")] == [
        ("content_filter", "I cannot"),
        ("error", "the reply holds no text"),
        ("error", "the reply holds no choices"),
        ("error", "the reply holds no choices"),
    ]


def test_thoughts_of_a_reasoning_model(tmp_path: Path) -> None:
    message = {"content": "2", "reasoning_content": "1 + 1"}
    path = _file(tmp_path, _reply({"choices": [{"message": message}]}))
    assert list(recordings(path, "openai_batch")) == [
        _recording(key="k", rationale="2", reasoning="1 + 1")
    ]


def test_bad_lines_of_a_batch(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        {"id": "no key"},
        {"custom_id": 5},
        {"custom_id": "k", "response": None, "error": None},
        {"custom_id": "k", "response": {"body": {}}},
        {"custom_id": "k", "response": {"status_code": "200", "body": {}}},
        _reply({"object": "list", "data": []}),
        _reply({"output": [], "choices": "?"}),
        {"custom_id": "k", "response": {"status_code": 200, "body": None}},
    )
    choices = "'body' has no 'choices', as replies to chats and to plain prompts have"
    told = [
        "there is no 'custom_id'",
        "'custom_id' is not a text",
        "there is neither a 'response' nor an 'error'",
        "'response' has no 'status_code'",
        "'response' has no 'status_code'",
        choices,
        choices,
        choices,
    ]
    assert _told(path, "openai_batch") == [
        line
        for number, message in enumerate(told, start=1)
        for line in (f"a.jsonl:{number}:1: E607 {message}", HINTS["openai_batch"])
    ]


def test_messages_come_from_the_requests(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "2 + 2\ud800"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": t} for t in ("a", "b")]}]
    about = {"method": "POST", "url": "/v1/chat/completions"}
    requests = _file(
        tmp_path,
        {"custom_id": "request-3", **about, "body": {"model": "m", "messages": parts}},
        {"custom_id": "request-5", **about, "body": {"model": "m", "prompt": "Q: 2 + 2\nA:"}},
        {"custom_id": "request-2", **about, "body": {"model": "m", "messages": chat}},
        name="requests.jsonl",
    )
    requests.write_bytes(b"\xef\xbb\xbf" + requests.read_bytes())
    path = _file(tmp_path, ANSWERED, REFUSED, EXPIRED)
    assert [item.messages for item in recordings(path, "openai_batch", requests)] == [
        (("system", "s"), ("user", "2 + 2\ud800")),
        (("user", "Q: 2 + 2\nA:"),),
        (("user", "ab"),),
    ]


def test_bad_requests(tmp_path: Path) -> None:
    good = {"custom_id": "a", "body": {"prompt": "p"}}
    requests = _file(
        tmp_path,
        good,
        good,
        {"custom_id": "b"},
        {"custom_id": "c", "body": {"prompt": [1, 2]}},
        {"custom_id": "d", "body": {"messages": []}},
        {"custom_id": "e", "body": {"messages": ["hello"]}},
        {"custom_id": "f", "body": {"messages": [{"role": "user"}]}},
        {"custom_id": "g", "body": {"messages": [{"role": "user", "content": [{"x": 1}]}]}},
        {"body": {"prompt": "p"}},
        name="requests.jsonl",
    )
    neither = "'body' has neither 'messages' nor a 'prompt' that is one text"
    told = [
        "2:1: E607 the custom_id 'a' is there twice",
        f"3:1: E607 {neither}",
        f"4:1: E607 {neither}",
        f"5:1: E607 {neither}",
        "6:1: E607 one of the 'messages' is not an object",
        "7:1: E607 there is no 'content'",
        "8:1: E607 there is no 'text'",
        "9:1: E607 there is no 'custom_id'",
    ]
    hint = "    hint: give the input file of the batch as it was uploaded"
    assert _told(_file(tmp_path, ANSWERED), "openai_batch", requests) == [
        line for message in told for line in (f"requests.jsonl:{message}", hint)
    ]


def test_an_answer_without_its_request(tmp_path: Path) -> None:
    requests = _file(tmp_path, {"custom_id": "x", "body": {"prompt": "p"}}, name="requests.jsonl")
    assert _told(_file(tmp_path, ANSWERED), "openai_batch", requests) == [
        "a.jsonl:1:1: E607 requests.jsonl has no request with the custom_id 'request-2'",
        HINTS["openai_batch"],
    ]


def test_nesting_never_ends_in_a_traceback(tmp_path: Path) -> None:
    told = set()
    # where reading a line still works, writing or reading a part of it may not
    for depth in range(880, 1000):
        deep = "[" * depth + "]" * depth
        row = json.dumps({"question": "q", "completion": "c", "finish_reason": "?"})
        line = json.dumps(_reply({"choices": [{"message": {"content": "c"}, "x": "?"}]}))
        for kind, text in (
            ("openai_batch", line),
            ("reasoning_teacher", f'{{"data": {{"0": [{row}]}}}}'),
        ):
            try:
                list(recordings(_raw(tmp_path, text.replace('"?"', deep)), kind))
            except UserError as error:
                told |= {problem.message for problem in error.problems}
    assert "this is nested too deep" in told


def test_the_authors_zero_shot_completions(tmp_path: Path) -> None:
    minus = " 2-1? "
    asked = (("user", "Q: 2-1?\nA: Let's think step by step."),)
    sum_asked = (("user", "Q: What is 5 + 5?\nA: Let's think step by step."),)
    assert list(recordings(_raw(tmp_path, ZERO_SHOT), "reasoning_teacher")) == [
        _recording(question=minus, messages=asked, rationale="\n\nIt is.", answer=" 1."),
        _recording(
            question=minus,
            messages=asked,
            rationale="\n\nLet me",
            answer=" 2.",
            finish_reason="length",
        ),
        _recording(question="What is 5 + 5?", messages=sum_asked, rationale=" 5 + 5 = 10."),
        _recording(
            question="What is 5 + 5?",
            messages=sum_asked,
            finish_reason="error",
            error="the run was broken off before this completion",
        ),
    ]


def test_the_authors_few_shot_and_fine_tuned_completions(tmp_path: Path) -> None:
    shots = "Q: What is 2 + 2?\nA: The answer is 4.\n\nQ: What is 1 + 1?\nA:"
    assert list(recordings(_raw(tmp_path, FEW_SHOT), "reasoning_teacher")) == [
        _recording(
            question="What is 1 + 1?",
            messages=(("user", shots),),
            rationale=" 1 + 1 = 2. The answer is 2.",
            finish_reason="length",
        ),
        _recording(
            question="What is 3 + 3?",
            messages=(("user", "What is 3 + 3? ###"),),
            rationale=" 3 and 3. --> 6 END",
        ),
    ]


def test_bad_completions_of_the_authors_are_found_in_the_document(tmp_path: Path) -> None:
    spoilt = (
        ZERO_SHOT.replace('"completion": " 2.",', '"completion": 2,')
        .replace('"question": "What is 5 + 5?",', "", 1)
        .replace('"reasoning_completion": "\\n\\nIt is.",', "")
        .replace('"4": [', '"k\\"[": [true], "5": 6, "4": [')
    )
    hint = HINTS["reasoning_teacher"]
    assert _told(_raw(tmp_path, spoilt), "reasoning_teacher") == [
        "a.jsonl:15:13: E607 there is no 'reasoning_completion'",
        hint,
        "a.jsonl:27:13: E607 'completion' is not a text",
        hint,
        "a.jsonl:40:18: E607 this is not an object with a completion",
        hint,
        "a.jsonl:40:30: E607 this is not an object with a completion",
        hint,
        "a.jsonl:41:13: E607 there is no 'question'",
        hint,
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1:1: E607 this is not JSON: Expecting value"),
        ("[]", ":1:1: E607 this is not a JSON object"),
        ("{}", ":1:1: E607 there is no 'data' with the completions of each sample"),
        ('{"data": []}', ":1:1: E607 there is no 'data' with the completions of each sample"),
        ('{"data": {}}', ": E607 the file holds nothing"),
        ('{\n"data": {"1": }}', ":2:15: E607 this is not JSON: Expecting value"),
        ('{"data": {"1": [{"question": "q"}]}}', ":1:17: E607 there is no 'completion'"),
        (b'{"data":\n\xff}', ":2:1: E607 this is not UTF-8"),
        ("[" * 100_000, ":1:1: E607 this is nested too deep"),
    ],
)
def test_other_documents(tmp_path: Path, text: str | bytes, told: str) -> None:
    assert _told(_raw(tmp_path, text), "reasoning_teacher") == [
        f"a.jsonl{told}",
        HINTS["reasoning_teacher"],
    ]


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published completions are not at ../shared/data"
)
def test_the_published_completions() -> None:
    readme = (SHARED / "README.md").read_text(encoding="utf-8")
    assert "| `reasoning-teacher/<task>.jsonl` | 3,753 in six files |" in readme
    files = sorted((SHARED / "reasoning-teacher").glob("*.jsonl"))
    assert len(files) == 6
    total = 0
    for path in files:
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        found = list(recordings(path, "rationales"))
        assert [asdict(item) for item in found] == [
            asdict(
                _recording(
                    question=row["question"],
                    rationale=row["rationale"],
                    answer=row["answer_completion"],
                )
            )
            for row in rows
        ]
        total += len(found)
    assert total == 3753
