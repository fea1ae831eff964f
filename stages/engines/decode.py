"""Decoding of many prompts at once, with nothing computed twice and nothing for rows that ended.

Distinct prompts are read packed, so what they begin with alike is read once, and so is a prompt
that several samples are drawn from. Keys and values stand in tables with a row for each prompt, so
no step copies them. A row that has ended is left out of the next step, the last one taking its
place in the tables, and once a quarter of them is free the next prompts are read into it.

Source: Juravsky et al. 2024, "Hydragen" (arXiv 2402.05099), for the shared prefix; Yu et al. 2022,
"Orca: A Distributed Serving System for Transformer-Based Generative Models", for rows that take the
place of those that ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from stages.engines.keys_and_values import Tables
from stages.engines.packed import NAME, pack
from stages.engines.request import Making, silent

READ_AT_ONCE = 4096  # tokens; more make nothing faster and take memory
TELL = 8  # steps between what is told
FREE = 4  # prompts are read into tables of which one part in so many is free
Choose = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]
"""Next tokens, (n,), from their logits, (n, vocabulary), and the numbers of their rows."""


def greedy(logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
    """The likeliest tokens."""
    return logits.argmax(-1)


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limit: int,
    end: int,
    choose: Choose = greedy,
    making: Making = silent,
    slots: int | None = None,
) -> list[list[int]]:
    """Continue prompts until each has ended.

    Args:
        model: A causal language model of which `supported` holds.
        prompts: Token ids of each row.
        limit: New tokens of a row, at most.
        end: The token that ends a row; it is returned with it.
        choose: Picks the next tokens.
        making: Told now and then what is done.
        slots: So many rows are continued at a time; all when None.

    Returns:
        The new tokens of each row.
    """
    made: list[list[int]] = [[] for _ in prompts]
    # those that are equal stand together, to be read once
    waiting = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), prompts[row]))
    tables = Tables(min(slots or len(prompts), len(prompts)))
    logits, positions = torch.empty(0), torch.empty(0, dtype=torch.long, device=model.device)
    with _attention(model):
        step = 0
        while waiting or tables.rows:
            room = tables.slots - len(tables.rows)
            if waiting and FREE * room >= tables.slots:
                new, waiting = waiting[:room], waiting[room:]
                read = _read(model, prompts, new, tables)
                logits = torch.cat([logits, read]) if len(logits) else read
                lengths = [len(prompts[row]) for row in new]
                positions = torch.cat([positions, torch.tensor(lengths, device=model.device)])
            tokens = choose(logits, tables.rows)
            for row, token in zip(tables.rows, tokens.tolist(), strict=True):
                made[row].append(token)
            step += 1
            if step % TELL == 0:
                making(len(prompts) - len(waiting) - len(tables.rows), sum(map(len, made)))
            live = [
                at for at, row in enumerate(tables.rows)
                if made[row][-1] != end and len(made[row]) < limit
            ]  # fmt: skip
            if len(live) < len(tables.rows):
                index = torch.tensor(tables.keep(live), dtype=torch.long, device=model.device)
                tokens, positions = tokens[index], positions[index]
            logits = _step(model, tokens, positions, tables) if live else logits[:0]
            positions += 1
    return made


def supported(model: Any, ids: Sequence[int]) -> bool:
    """Whether `decode` computes what the model computes, tried on some token ids.

    It does not where attention is more than a causal softmax over all that came before, such as
    one with a sliding window, or with capped scores.
    """
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    if (
        config._attn_implementation != "sdpa"
        or not model._supports_attention_backend
        or not model._supports_logits_to_keep()
        or kinds != {"full_attention"}
        or (window and getattr(config, "use_sliding_window", True))
    ):
        return False
    with torch.inference_mode():
        wanted = model(input_ids=torch.tensor([ids], device=model.device)).logits[0, -1].float()
        with _attention(model):
            tables = Tables(1)
            _read(model, [ids[:-1]], [0], tables)
            last = torch.tensor([ids[-1], len(ids) - 1], device=model.device)
            found = _step(model, last[:1], last[1:], tables)[0].float()
    error = float((found - wanted).norm() / wanted.norm())
    return error < (1e-3 if model.dtype == torch.float32 else 5e-2)


@contextmanager
def _attention(model: Any) -> Iterator[None]:
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _read(
    model: Any, prompts: Sequence[Sequence[int]], rows: list[int], tables: Tables
) -> torch.Tensor:
    """Read the prompts of rows that come to the tables; the logits of what follows each."""
    places: dict[tuple[int, ...], list[int]] = {}
    for at, row in enumerate(rows):
        places.setdefault(tuple(prompts[row]), []).append(at)
    first = len(tables.rows)
    tables.rows += rows
    tables.widen(max(map(len, places)))
    made: list[torch.Tensor] = []
    order: list[int] = []
    for part in _parts(list(places)):
        packed = pack(part, min(map(len, part)) - 1).to(model.device)
        found_at = [at for prompt in part for at in places[prompt]]
        source = [number for number, prompt in enumerate(part) for _ in places[prompt]]
        index = torch.tensor([found_at, source], device=model.device)
        tables.read(packed, first + index[0], index[1])
        last = [
            start + len(prompt) - packed.prefix - 1
            for start, prompt in zip(packed.starts, part, strict=True)
        ]
        found = model(
            **packed.inputs, past_key_values=tables, use_cache=True,
            logits_to_keep=torch.tensor(last, device=model.device),
        )  # fmt: skip
        made.append(found.logits[0, index[1]])
        order += found_at
    return torch.cat(made)[torch.tensor(order, device=model.device).argsort()]


def _parts(prompts: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    part, tokens = list[tuple[int, ...]](), 0
    for prompt in sorted(prompts, key=len):
        if part and tokens + len(prompt) > READ_AT_ONCE:
            yield part
            part, tokens = [], 0
        part.append(prompt)
        tokens += len(prompt)
    yield part


def _step(
    model: Any, tokens: torch.Tensor, positions: torch.Tensor, tables: Tables
) -> torch.Tensor:
    width = tables.step(positions)
    unseen = torch.arange(width, device=positions.device) > positions[:, None]
    mask = torch.zeros(unseen.shape, dtype=model.dtype, device=positions.device)
    made: torch.Tensor = model(
        input_ids=tokens[:, None], position_ids=positions[:, None],
        attention_mask=mask.masked_fill_(unseen, -torch.inf)[:, None, None],
        past_key_values=tables, use_cache=True, logits_to_keep=1,
    ).logits  # fmt: skip
    return made[:, -1]
