"""Decoding of many prompts at once, with nothing computed twice and nothing for rows that ended.

Distinct prompts are read packed, so what they begin with alike is read once, and so is a prompt
that several samples are drawn from. Keys and values stand in tables with a row for each prompt, so
no step copies them; rows that have ended are left out of the tables once they are a quarter.

Source: Juravsky et al. 2024, "Hydragen" (arXiv 2402.05099), for the shared prefix;
https://huggingface.co/docs/transformers/cache_explanation for what a model asks of a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import pad

from stages.engines.packed import NAME, Packed, pack

READ_AT_ONCE = 4096  # tokens; more make nothing faster and take memory
TELL = 8  # steps between what is told
COLUMNS = 64  # by so many tokens tables grow
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
    making: Callable[[int], None] = lambda tokens: None,
) -> list[list[int]]:
    """Continue prompts until each has ended.

    Args:
        model: A causal language model of which `supported` holds.
        prompts: Token ids of each row.
        limit: New tokens of a row, at most.
        end: The token that ends a row; it is returned with it.
        choose: Picks the next tokens.
        making: Told now and then how many new tokens there are.

    Returns:
        The new tokens of each row.
    """
    made: list[list[int]] = [[] for _ in prompts]
    with _attention(model):
        tables = _Tables(len(prompts))
        logits = _read(model, prompts, tables)
        positions = torch.tensor(list(map(len, prompts)), device=logits.device)
        for step in range(1, limit + 1):
            tokens = choose(logits, tables.rows)
            for row, token in zip(tables.rows, tokens.tolist(), strict=True):
                if made[row][-1:] != [end]:
                    made[row].append(token)
            if step % TELL == 0:
                making(sum(map(len, made)))
            live = [
                at for at, row in enumerate(tables.rows)
                if made[row][-1] != end and len(made[row]) < limit
            ]  # fmt: skip
            if not live:
                break
            if 4 * len(live) <= 3 * len(tables.rows):
                index = torch.tensor(live, device=logits.device)
                tables.keep(live, index)
                tokens, positions = tokens[index], positions[index]
            logits = _step(model, tokens, positions, tables)
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
            tables = _Tables(1)
            _read(model, [ids[:-1]], tables)
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


class _Tables:
    """The keys and values of rows, in the form of a transformers cache.

    Args:
        rows: How many rows there are.

    Attributes:
        rows: The numbers of the rows that are still held.
    """

    def __init__(self, rows: int) -> None:
        self.rows = list(range(rows))
        self._tables: list[list[torch.Tensor]] = []  # by layer keys, values: (rows, heads, w, size)
        self._width = 0
        self._put: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *rest: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in what a layer has computed; what its attention is to see."""
        if layer == len(self._tables):
            self._tables.append(
                [
                    part.new_zeros(len(self.rows), part.shape[1], self._width, part.shape[3])
                    for part in (key, value)
                ]
            )
        keys, values = self._tables[layer]
        return self._put(keys, key), self._put(values, value)

    def get_seq_length(self, layer: int = 0) -> int:
        """Asked for by models that count positions themselves; they are always given here."""
        return 0

    def read(self, packed: Packed, rows: torch.Tensor, source: torch.Tensor) -> None:
        """Take packed prompts next: `source` says which of them each of `rows` begins with."""
        prefix, count, slots, _ = packed.inputs["layout"]
        width = len(slots) // count
        self._widen(prefix + width)

        def put(table: torch.Tensor, flat: torch.Tensor) -> torch.Tensor:
            own = flat[0].index_select(1, slots).view(flat.shape[1], count, width, -1)
            table[rows, :, :prefix] = flat[:, :, :prefix]
            table[rows, :, prefix : prefix + width] = own.transpose(0, 1)[source]
            return flat

        self._put = put

    def step(self, positions: torch.Tensor) -> int:
        """Take one token of each row next, at these positions; the width that is in use then."""
        width = int(positions.max()) + 1
        self._widen(width)
        index = torch.arange(len(positions), device=positions.device)

        def put(table: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            table[index, :, positions] = new[:, :, 0]
            return table[:, :, :width]

        self._put = put
        return width

    def keep(self, places: list[int], index: torch.Tensor) -> None:
        """Leave out all rows but those at these places."""
        self.rows = [self.rows[place] for place in places]
        for layer in self._tables:
            layer[:] = [table[index] for table in layer]

    def _widen(self, width: int) -> None:
        if width > self._width:
            more = -(-width // COLUMNS) * COLUMNS - self._width
            self._width += more
            for layer in self._tables:
                layer[:] = [pad(table, (0, 0, 0, more)) for table in layer]


def _read(model: Any, prompts: Sequence[Sequence[int]], tables: _Tables) -> torch.Tensor:
    """Read the prompts; the logits of what follows each."""
    places: dict[tuple[int, ...], list[int]] = {}
    for row, prompt in enumerate(prompts):
        places.setdefault(tuple(prompt), []).append(row)
    tables._widen(max(map(len, prompts)))
    made: list[torch.Tensor] = []
    order: list[int] = []
    for part in _parts(list(places)):
        packed = pack(part, min(map(len, part)) - 1).to(model.device)
        rows = [row for prompt in part for row in places[prompt]]
        source = [at for at, prompt in enumerate(part) for _ in places[prompt]]
        index = torch.tensor([rows, source], device=model.device)
        tables.read(packed, index[0], index[1])
        last = [
            start + len(prompt) - packed.prefix - 1
            for start, prompt in zip(packed.starts, part, strict=True)
        ]
        found = model(
            **packed.inputs, past_key_values=tables, use_cache=True,
            logits_to_keep=torch.tensor(last, device=model.device),
        )  # fmt: skip
        made.append(found.logits[0, index[1]])
        order += rows
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
    model: Any, tokens: torch.Tensor, positions: torch.Tensor, tables: _Tables
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
