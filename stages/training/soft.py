"""Distillation: the student matches the teacher's probabilities at every completion token.

The loss of a token is hard_weight·cross-entropy + (1 - hard_weight)·divergence, and cross-entropy
alone where the teacher's probabilities are not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch.nn.functional import cross_entropy, pad

from stages.core.jsonl import digest
from stages.spec.losses import Loss
from stages.training.chunks import in_chunks
from stages.training.divergence import NOTHING, full, top_k
from stages.training.packing import Batch, hidden_states, pack
from stages.training.recorded import Tops
from stages.training.sampling import sampled
from stages.training.tokenise import Example

LOGITS = 1 << 23
"""Of one model, in memory at once: 32 MB in fp32, of which the divergence takes several times."""
TEACHER = "teacher_"
"""What of a batch is the teacher's begins so."""


@dataclass(frozen=True)
class Guided(Example):
    """A training row with what a teacher needs.

    Args:
        asked: The ids of the teacher's own prompt; empty where it reads the student's.
        tops: What is on record of the completion.
    """

    asked: Sequence[int] = ()
    tops: Tops | None = None


class ByModel:
    """Targets of a model in memory, which reads its own prompt before the same completion.

    Args:
        teacher: On the student's device; its weights are not changed.
        loss: What is minimised.
        limit: The most tokens of a completion that the student samples.
        end: The token that ends a turn.
        seed: Decides which steps are on-policy, and what is sampled.
    """

    def __init__(self, teacher: Any, loss: Loss, limit: int, end: int, seed: int) -> None:
        self._teacher = teacher.eval().requires_grad_(False)
        self._loss, self._limit, self._end, self._seed = loss, limit, end, seed

    def collate(self, examples: Sequence[Any], packed: bool) -> Batch:
        """The student's batch, the teacher's under ``teacher_``, padded, and their prompts."""
        theirs = [
            Example(e.id, [*e.asked, *e.ids[e.prompt :]], len(e.asked)) if e.asked else e
            for e in examples
        ]
        told = pack(theirs, packed=False)
        return {
            **pack(examples, packed),
            **{f"{TEACHER}{name}": value for name, value in told.items()},
            "prompts": [(e.ids[: e.prompt], list(e.asked)) for e in examples],
        }

    def loss(self, model: Any, batch: Batch, step: int) -> torch.Tensor:
        """See `Objective.loss`; a batch that is sampled anew keeps the weight that it had."""
        # all processes of a training, and all batches of a step, do the same
        if _drawn(self._seed, step) % 10**9 >= self._loss.on_policy * 10**9:
            return self._distilled(model, batch, self._loss.hard_weight)
        anew = self._anew(model, batch, step)
        return self._distilled(model, anew, 0.0) * (len(batch["labels"]) / len(anew["labels"]))

    def _distilled(self, model: Any, batch: Batch, hard: float) -> torch.Tensor:
        hidden, targets = hidden_states(model, batch), batch["labels"]
        told = {
            name.removeprefix(TEACHER): value
            for name, value in batch.items()
            if name.startswith(TEACHER)
        }
        with torch.no_grad():
            theirs = hidden_states(self._teacher, told)
        head, taught = model.get_output_embeddings(), self._teacher.get_output_embeddings()
        beta, temperature = self._loss.beta, self._loss.temperature

        def part(mine: torch.Tensor, told: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
            logits = head(mine)
            with torch.no_grad():
                wanted = taught(told)
            soft = full(logits, wanted, beta, temperature).sum()
            if not hard:
                return soft
            return hard * cross_entropy(logits.float(), goal, reduction="sum") + (1 - hard) * soft

        return in_chunks(part, head, LOGITS // words(model), hidden, theirs, targets)

    def _anew(self, model: Any, batch: Batch, step: int) -> Batch:
        """The batch with completions that the student samples now."""
        prompts, asked = zip(*batch["prompts"], strict=True)
        shared = min(words(model), words(self._teacher))
        seed = _drawn(self._seed, step, prompts)
        written = sampled(model, prompts, self._limit, self._end, shared, seed)
        made = [
            Guided("", [*prompt, *new], len(prompt), asked=theirs)
            for prompt, theirs, new in zip(prompts, asked, written, strict=True)
        ]
        moved: Batch = send_to_device(self.collate(made, "layout" in batch), model.device)
        return moved


class ByRecord:
    """Targets that an endpoint told: the most probable tokens of each place.

    Args:
        loss: What is minimised.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss

    def collate(self, examples: Sequence[Any], packed: bool) -> Batch:
        """The student's batch; `tops` (tokens, k) and `chances` of the tokens with labels."""
        held = [tuple(map(torch.from_numpy, example.tops)) for example in examples]
        width = max(1, *(ids.shape[-1] for ids, _ in held))
        return {
            **pack(examples, packed),
            "tops": torch.cat([_widened(ids, width, NOTHING) for ids, _ in held]).long(),
            "chances": torch.cat([_widened(chances, width, 0.0) for _, chances in held]),
        }

    def loss(self, model: Any, batch: Batch, step: int) -> torch.Tensor:
        """See `Objective.loss`."""
        hidden, targets = hidden_states(model, batch), batch["labels"]
        head, beta, hard = model.get_output_embeddings(), self._loss.beta, self._loss.hard_weight

        def part(
            mine: torch.Tensor, goal: torch.Tensor, ids: torch.Tensor, chances: torch.Tensor
        ) -> torch.Tensor:
            logits = head(mine).float()
            known = (ids != NOTHING).any(-1)
            weight = torch.where(known, hard, 1.0)
            own = (weight * cross_entropy(logits, goal, reduction="none")).sum()
            soft = top_k(logits[known], ids[known], chances[known], beta).sum()
            return own + (1 - hard) * soft

        return in_chunks(
            part, head, LOGITS // words(model), hidden, targets, batch["tops"], batch["chances"]
        )


def _drawn(*named: Any) -> int:
    """A number below 2**56 that is the same whenever and wherever it is drawn again."""
    return int(digest(named)[:14], 16)


def words(model: Any) -> int:
    """How many columns its logits have."""
    return int(model.config.get_text_config().vocab_size)


def _widened(table: torch.Tensor, width: int, filling: float) -> torch.Tensor:
    return pad(table, (0, width - table.shape[-1]), value=filling)
