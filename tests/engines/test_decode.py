"""Decoding many prompts at once gives what transformers gives for each alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from stages.engines import decode as decoding
from stages.engines.decode import decode, supported
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
    monkeypatch.setattr(decoding, "COLUMNS", 3)
    assert decode(model, PROMPTS, 12, END) == wanted


def test_one_new_token() -> None:
    model = random_model().eval()
    assert decode(model, PROMPTS, 1, END) == alone(model, PROMPTS, 1)


def test_nothing_is_computed_twice_nor_for_rows_that_ended() -> None:
    model = random_model().eval()
    seen: list[int] = []
    model.model.embed_tokens.register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0].numel())
    )
    # these end after their first tokens, one after another
    script = iter([[5] * 6, [1, 5, 5, 5, 5, 5], [1, 1, 1, 5, 5, 5], [5, 5, 5]])

    def choose(logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        assert len(logits) == len(rows)
        return torch.tensor(next(script))

    made = decode(model, PROMPTS, 4, END, choose)
    assert made == [[5, 1], [5, 5, 1], [5, 5, 1], *[[5, 5, 5, 5]] * 3]
    # of six prompts five are distinct; they are read behind one prefix; then six rows, again six,
    # as one that has ended is less than a quarter, and three
    assert seen == [7 + 2 + 1 + 5 + 3 + 9, 6, 6, 3]


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_samples_are_the_same_by_either_way(top_p: float) -> None:
    model = random_model().eval()
    asked = [
        Request("local", "m", (("user", "q"),), 20, temperature=1.0, top_p=top_p, sample=sample)
        for sample in range(len(PROMPTS))
    ]
    one = decode(model, PROMPTS, 20, END, gumbel(asked))
    assert decode_plainly(model, PROMPTS, 20, END, gumbel(asked)) == one
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
