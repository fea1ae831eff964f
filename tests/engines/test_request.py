from __future__ import annotations

from dataclasses import replace

import pytest

from stages.core.jsonl import digest
from stages.engines.request import Request

BASE = Request("local", "m@1", (("system", "Think."), ("user", "2+2?")), 64)


def test_key_is_stable() -> None:
    assert BASE.key == "0bf6a2dc5d858e5acedaae97b24928d84e295b09ac24a847eb7c6c5cabfa36cb"


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "http://other/v1"},
        {"model": "m@2"},
        {"messages": (("system", "Think hard."), ("user", "2+2?"))},
        {"messages": (("user", "2+2?"),)},
        {"temperature": 0.7},
        {"top_p": 0.9},
        {"sample": 1},
    ],
)
def test_whatever_alters_the_answer_alters_the_key(change: dict[str, object]) -> None:
    assert replace(BASE, **change).key != BASE.key  # type: ignore[arg-type]


def test_the_limit_and_the_way_a_number_is_written_do_not() -> None:
    assert replace(BASE, max_tokens=128).key == BASE.key
    assert replace(BASE, temperature=0, top_p=1).key == BASE.key
    assert replace(BASE, temperature=-0.0).key == BASE.key


def test_chat() -> None:
    assert BASE.chat() == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "2+2?"},
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"api": "completions"},
        {"extra": '{"effort":"low","top_k":3}'},
        {"api": "completions", "extra": '{"n":null}', "endpoint": 'a "quoted" one', "model": "m\\"},
        {"temperature": 1e-7, "top_p": 0.95, "sample": 12},
        {"messages": (("user", "Grüße"),)},
        {"messages": (("user", "half \ud83d"),)},
        {"model": "modèle"},
    ],
)
def test_the_key_is_the_digest_of_the_identity(fields: dict[str, object]) -> None:
    request = replace(BASE, **fields)  # type: ignore[arg-type]
    assert request.key == digest(request.identity())


@pytest.mark.parametrize("change", [{"api": "completions"}, {"extra": '{"top_k":3}'}])
def test_the_interface_and_further_values_are_in_the_key(change: dict[str, object]) -> None:
    assert replace(BASE, **change).key != BASE.key  # type: ignore[arg-type]


def test_notes_and_log_probabilities_are_not() -> None:
    other = replace(BASE, about="a/b/c", row="r", top_logprobs=5)
    assert other.key == BASE.key
    assert (other.prompt, other.system) == (BASE.prompt, BASE.system)


def test_another_sample() -> None:
    assert len(BASE.key) == 64
    other = replace(BASE, sample=7, about="a/b/c")
    made = replace(BASE, about="a/b/c").again(7)
    assert (made, made.key, made.about) == (other, other.key, "a/b/c")


def test_a_plain_text_is_all_contents() -> None:
    assert BASE.plain() == "Think.\n\n2+2?"
