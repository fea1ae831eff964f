"""Decoding many prompts at once gives what transformers gives for each alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from stages.engines import decode as decoding
from stages.engines import keys_and_values
from stages.engines.decode import Choose, decode, supported
from stages.engines.plain_decode import decode_plainly
from stages.engines.request import Request
from stages.engines.sampling import gumbel
from tests.models import random_model

END = 1
PREFIX = [2, 3, 4, 5, 6, 7, 8]
PROMPTS = [
    [*PREFIX, 9, 10],
    [*PREFIX, 11],
    [*PREFIX, 12, 13, 14, 15, 16],
    [*PREFIX, 9, 10],
    [*PREFIX, 17, 18, 19],
    [*PREFIX, 20 + 1, 40, 41, 42, 43, 44, 45, 46, 47],
]


def alone(model: Any, prompts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    """By transformers, a prompt at a time, without a cache."""
    made = []
    for prompt in prompts:
        ids = list(prompt)
        while len(ids) < len(prompt) + limit and ids[len(prompt) :][-1:] != [END]:
            with torch.inference_mode():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        made.append(ids[len(prompt) :])
    return made


@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Qwen3", "GPT2"])
def test_answers_are_those_of_each_prompt_alone(kind: str) -> None:
    model = random_model(kind).eval()
    assert supported(model, PROMPTS[0])
    wanted = alone(model, PROMPTS, 30)
    assert decode(model, PROMPTS, 30, END) == wanted
    assert decode_plainly(model, PROMPTS, 30, END) == wanted
    assert model.config._attn_implementation == "sdpa"


def test_prompts_without_a_common_beginning() -> None:
    model = random_model().eval()
    prompts = [prompt[number:] for number, prompt in enumerate(PROMPTS)]
    assert decode(model, prompts, 12, END) == alone(model, prompts, 12)


def test_prompts_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model().eval()
    wanted = decode(model, PROMPTS, 12, END)
    monkeypatch.setattr(decoding, "READ_AT_ONCE", 20)
    assert decode(model, PROMPTS, 12, END) == wanted
    monkeypatch.setattr(keys_and_values, "COLUMNS", 3)
    assert decode(model, PROMPTS, 12, END) == wanted


def test_one_new_token() -> None:
    model = random_model().eval()
    assert decode(model, PROMPTS, 1, END) == alone(model, PROMPTS, 1)


def scripted(ends: dict[int, int], live: list[list[int]]) -> Choose:
    """Ends each row after so many tokens, and notes which rows were asked for."""

    def choose(logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        assert len(logits) == len(rows)
        live.append(list(rows))
        counts = Counter(row for held in live for row in held)
        return torch.tensor([END if counts[row] == ends[row] else 5 for row in rows])

    return choose


def watched(model: Any) -> list[int]:
    """How many tokens each pass of the model is over."""
    seen: list[int] = []
    model.model.embed_tokens.register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0].numel())
    )
    return seen


def test_nothing_is_computed_twice_nor_for_rows_that_ended() -> None:
    model = random_model().eval()
    seen = watched(model)
    made = decode(model, PROMPTS, 4, END, scripted({0: 2, 1: 3, 2: 3, 3: 9, 4: 9, 5: 9}, []))
    assert made == [[5, 1], [5, 5, 1], [5, 5, 1], *[[5, 5, 5, 5]] * 3]
    # of six prompts five are distinct; they are read behind one prefix
    assert seen == [7 + 2 + 1 + 5 + 3 + 9, 6, 5, 3]


def test_rows_that_end_make_room_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model().eval()
    monkeypatch.setattr("stages.engines.decode.TELL", 1)
    seen, live, ends = watched(model), list[list[int]](), {0: 5, 1: 1, 2: 3, 3: 2, 4: 4, 5: 2}
    told = list[tuple[int, int]]()
    made = decode(
        model, PROMPTS, 9, END, scripted(ends, live), lambda *done: told.append(done), slots=4
    )
    assert made == [[5] * (ends[row] - 1) + [END] for row in range(6)]
    # the shortest first, equal ones side by side; the last one takes the place of one that ended
    assert live == [[1, 0, 3, 4], [4, 0, 3, 2], [4, 0, 2, 5], [4, 0, 2, 5], [0]]
    assert seen == [7 + 1 + 2 + 3, 3, 7 + 5, 3, 7 + 9, 4, 1]
    assert told == [(0, 4), (1, 8), (2, 12), (2, 16), (5, 17)]


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("run", [decode, decode_plainly])
def test_with_few_slots_answers_are_the_same(run: Any, slots: int) -> None:
    model = random_model().eval()
    assert run(model, PROMPTS, 20, END, slots=slots) == alone(model, PROMPTS, 20)


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_samples_are_the_same_by_either_way(top_p: float) -> None:
    model = random_model().eval()
    asked = [
        Request("local", "m", (("user", "q"),), 20, temperature=1.0, top_p=top_p, sample=sample)
        for sample in range(len(PROMPTS))
    ]
    one = decode(model, PROMPTS, 20, END, gumbel(asked))
    assert decode_plainly(model, PROMPTS, 20, END, gumbel(asked)) == one
    assert decode_plainly(model, PROMPTS, 20, END, gumbel(asked), slots=4) == one
    assert decode(model, PROMPTS, 20, END, gumbel(asked), slots=4) == one
    assert decode(model, PROMPTS[::-1], 20, END, gumbel(asked[::-1])) == one[::-1]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Mistral", {"sliding_window": 4}),
        ("Gemma2", {"attn_logit_softcapping": 0.5}),
        (
            "Qwen2",
            {
                "layer_types": ["full_attention", "sliding_attention"],
                "sliding_window": 4,
                "use_sliding_window": True,
            },
        ),
    ],
)
def test_other_attention_is_left_to_transformers(kind: str, changes: dict[str, Any]) -> None:
    model = random_model(kind, **changes).eval()
    assert not supported(model, PROMPTS[0])
    assert decode_plainly(model, PROMPTS, 12, END) == alone(model, PROMPTS, 12)


def test_a_model_that_computes_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model().eval()
    step = decoding._step
    monkeypatch.setattr(decoding, "_step", lambda *given: step(*given) * 1.01)
    assert not supported(model, PROMPTS[0])


def test_a_models_own_settings_do_not_count() -> None:
    model = random_model("Gemma2", attn_logit_softcapping=0.5).eval()
    wanted = alone(model, PROMPTS, 12)
    model.generation_config.repetition_penalty = 5.0
    assert decode_plainly(model, PROMPTS, 12, END) == wanted
    assert model.generation_config.repetition_penalty == 5.0
