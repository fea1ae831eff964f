"""Log-probabilities that an endpoint told, found again in what the student learns to write.

Tokens are compared by their bytes and their place in the text. What the student writes begins
with the teacher's rationale and then goes its own way, so the record serves as far as both agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.core.errors import user_error
from stages.training.divergence import NOTHING, RAREST
from stages.training.vocabulary import OTHER, token_bytes

Tops = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""For each token of a completion the ids of the most probable ones, (tokens, k), `NOTHING` where
fewer or none are known, and their log-probabilities."""
CUT_OTHERWISE = 0.05
"""The largest share of tokens that may stand where none is recorded. A model now and then writes a
word in other pieces than its tokenizer would; a model with another tokenizer does so always."""
_BY_ID = re.compile(r"token_id:(\d+)")  # vLLM's return_tokens_as_token_ids
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass
class Recorded:
    """The student's vocabulary, and how well the records so far fit it.

    Args:
        tokenizer: The student's.
        shared: Tokens so far that lie where the student writes what the teacher wrote.
        found: Those of them that are on record.

    Raises:
        UserError: E742 as `token_bytes`.
    """

    tokenizer: Any
    shared: int = 0
    found: int = 0
    _foreign: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bytes = token_bytes(self.tokenizer)
        self._ids: dict[bytes, int | None] = {}
        for index, raw in enumerate(self._bytes):
            if raw:  # of two ids with the same bytes nobody knows which was meant
                self._ids[raw] = None if raw in self._ids else index

    def tops(self, row: Mapping[str, Any], completion: Sequence[int]) -> Tops:
        """What is on record for each token of a completion.

        Args:
            row: Of ``build/mix``; `logprobs` as `Completion.logprobs`, or absent.
            completion: Its ids.
        """
        told = row.get("logprobs") or []
        pieces = [self._piece(token[0], row["id"]) for token in told]
        own = [self._bytes[index] or b"" for index in completion]
        ours, theirs = b"".join(own), b"".join(pieces)
        begin, first = len(ours) - len(ours.lstrip()), len(theirs) - len(theirs.lstrip())
        if ours[:begin] == theirs[:first]:
            begin = first = 0
        end = begin + _common(ours[begin:], theirs[first:])
        held, at = dict[int, tuple[bytes, Any]](), begin - first
        for piece, token in zip(pieces, told, strict=True):
            held[at] = piece, token
            at += len(piece)
        found, at = list[list[tuple[int, float]]](), 0
        for raw in own:
            inside = raw != b"" and begin <= at and at + len(raw) <= end
            piece, token = held.get(at, (b"", None))
            fits = inside and piece == raw
            self.shared, self.found = self.shared + inside, self.found + fits
            found.append(self._top(token, row["id"]) if fits else [])
            at += len(raw)
        width = max(map(len, found), default=0)
        ids = np.full((len(found), width), NOTHING, np.int32)
        chances = np.zeros((len(found), width), np.float32)
        for place, pairs in enumerate(found):
            for rank, (index, chance) in enumerate(pairs):
                ids[place, rank], chances[place, rank] = index, chance
        return ids, chances

    def check(self, run: str) -> None:
        """Whether all records fit the student.

        Raises:
            UserError: E742 when they are of another tokenizer, E743 when there are none.
        """
        if self._foreign:
            token, row = next(iter(self._foreign.items()))
            raise user_error(
                "build/student", "E742",
                f"{len(self._foreign)} recorded tokens are none of the student's, such as "
                f"{token} in {row}: the teacher has another tokenizer", OTHER,
            )  # fmt: skip
        if not self.shared:
            raise user_error(
                f"build/mix/{run}.jsonl", "E743",
                f"no row of the run {run!r} has the teacher's probabilities",
                "ask for them with teacher.top_logprobs, train on what the teacher wrote, or "
                "write loss: sft",
            )  # fmt: skip
        if self.shared - self.found > CUT_OTHERWISE * self.shared:
            raise user_error(
                "build/student", "E742",
                f"of {self.shared} tokens that the student learns, {self.shared - self.found} are "
                "cut otherwise on record: the teacher has another tokenizer", OTHER,
            )  # fmt: skip

    def _piece(self, token: str | list[int], row: str) -> bytes:
        raw = self._raw(token)
        if _UNKNOWN not in str(token) and raw and raw not in self._ids:
            self._foreign.setdefault(_shown(raw), row)
        return raw

    def _raw(self, token: str | list[int]) -> bytes:
        if isinstance(token, list):
            return bytes(token)
        by_id = _BY_ID.fullmatch(token)
        if by_id:
            index = int(by_id[1])
            return (self._bytes[index] if index < len(self._bytes) else None) or token.encode()
        return token.encode("utf-8", "surrogatepass")

    def _top(self, token: Any, row: str) -> list[tuple[int, float]]:
        chances: dict[int, float] = {}
        for text, chance in (token[:2], *token[2]):
            index = self._ids.get(self._piece(text, row))
            if index is not None and chance > RAREST:
                chances[index] = min(float(chance), 0.0)
        return sorted(chances.items(), key=lambda pair: (-pair[1], pair[0]))


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, pair in pairs if pair[0] != pair[1]), min(len(one), len(other)))


def _shown(raw: bytes) -> str:
    try:
        return repr(raw.decode())
    except UnicodeDecodeError:
        return repr(raw)
