"""Keys and values of rows that are decoded, in tables that are written in place.

Source: https://huggingface.co/docs/transformers/cache_explanation for what a model asks of a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import pad

from stages.engines.packed import Packed

COLUMNS = 64  # by so many tokens of a row tables grow
Layer = list[torch.Tensor]
"""Its keys and its values, (slots, heads, width, size) each."""


class Tables:
    """The keys and values of rows, in the form of a transformers cache.

    Args:
        slots: For how many rows there is room.

    Attributes:
        rows: The numbers of the rows that are held, by their place.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.rows: list[int] = []
        self._tables: list[Layer] = []
        self._width = 0
        self._put: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *rest: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in what a layer has computed; what its attention is to see."""
        if layer == len(self._tables):
            self._tables.append(
                [
                    part.new_zeros(self.slots, part.shape[1], self._width, part.shape[3])
                    for part in (key, value)
                ]
            )
        keys, values = self._tables[layer]
        return self._put(keys, key), self._put(values, value)

    def get_seq_length(self, layer: int = 0) -> int:
        """Asked for by models that count positions themselves; they are always given here."""
        return 0

    def read(self, packed: Packed, places: torch.Tensor, source: torch.Tensor) -> None:
        """Take packed prompts next: `source` says which of them each of `places` begins with."""
        prefix, count, slots, _ = packed.inputs["layout"]
        width = len(slots) // count
        self.widen(prefix + width)

        def put(table: torch.Tensor, flat: torch.Tensor) -> torch.Tensor:
            own = flat[0].index_select(1, slots).view(flat.shape[1], count, width, -1)
            table[places, :, :prefix] = flat[:, :, :prefix]
            table[places, :, prefix : prefix + width] = own.transpose(0, 1)[source]
            return flat

        self._put = put

    def step(self, positions: torch.Tensor) -> int:
        """Take one token of each row next, at these positions; the width that is in use then."""
        width = int(positions.max()) + 1
        self.widen(width)
        index = torch.arange(len(positions), device=positions.device)

        def put(table: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            table[index, :, positions] = new[:, :, 0]
            return table[: len(index), :, :width]

        self._put = put
        return width

    def keep(self, live: list[int]) -> list[int]:
        """Leave out all rows but those at these places; where each row that is left stood."""
        holes = sorted({*range(len(live))}.difference(live))
        last = [place for place in live if place >= len(live)]
        order = list(range(len(live)))
        for hole, place in zip(holes, last, strict=True):
            order[hole] = place
        self.rows = [self.rows[place] for place in order]
        if holes:
            for layer in self._tables:
                for table in layer:
                    table[holes] = table[last]
        return order

    def widen(self, width: int) -> None:
        """Have room for so many tokens of a row."""
        if width > self._width:
            more = -(-width // COLUMNS) * COLUMNS - self._width
            self._width += more
            for layer in self._tables:
                layer[:] = [pad(table, (0, 0, 0, more)) for table in layer]
