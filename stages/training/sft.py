"""Fine-tuning on transformers' Trainer: loss on completions, best checkpoint by valid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from stages.engines.local import Generator
from stages.training.tokenise import Example, batches

Tell = Callable[[int, int, int, str], None]
IGNORED = -100


@dataclass
class Log:
    """`steps`: step, loss, learning rate; `evaluations`: step, accuracy on valid."""

    steps: list[dict[str, float]] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0


def train(
    generator: Generator,
    examples: Sequence[Example],
    accuracy: Callable[[Generator], float],
    settings: Mapping[str, Any],
    out: Path,
    tell: Tell,
    objective: Objective | None = None,
) -> Log:
    """Fine-tune all weights and keep the checkpoint with the best accuracy on `valid`.

    Args:
        generator: The student; its model is changed in place.
        examples: What it is trained on.
        accuracy: Answers the valid rows and returns the share that verifies; among equals, the
            checkpoint that was trained longest is kept.
        settings: ``train`` of ``params.yaml``.
        out: Where the best checkpoint is saved.
        tell: Called with (step, steps, tokens so far, note).
        objective: What is minimised; `HardTargets` when None.
    """
    plan = batches(
        [len(e.ids) for e in examples], settings["batch_size"], settings["epochs"], settings["seed"]
    )
    log = Log()
    keeper = _Keeper(generator, accuracy, out, log, _marks(len(plan), settings["evaluations"]))
    fit(generator.model, examples, plan, settings, log, tell, keeper.after, objective)
    return log


def fit(
    model: Any,
    examples: Sequence[Example],
    plan: list[list[int]],
    settings: Mapping[str, Any],
    log: Log,
    tell: Tell,
    after: Callable[[int], str] = lambda step: "",
    objective: Objective | None = None,
) -> None:
    """Take the planned steps on all weights that ask for a gradient.

    Args:
        model: Changed in place.
        examples: What the plan's indices stand for.
        plan: The examples of each step; see `batches`.
        settings: `seed`, `learning_rate`, `warmup_ratio`, `weight_decay`.
        log: Its `steps` are filled in.
        tell: Called with (step, steps, tokens so far, note).
        after: Called with each step's number when it is done; what it returns is told as a note.
        objective: What is minimised; `HardTargets` when None.
    """
    with TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            max_steps=len(plan),
            learning_rate=settings["learning_rate"],
            lr_scheduler_type="linear",
            warmup_steps=math.ceil(settings["warmup_ratio"] * len(plan)),
            weight_decay=settings["weight_decay"],
            optim="adamw_torch_fused",
            max_grad_norm=1.0,
            seed=settings["seed"],
            use_cpu=not torch.cuda.is_available(),
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = _CompletionTrainer(
            model=model,
            args=arguments,
            train_dataset=list(examples),
            callbacks=[_Watch(plan, examples, log, after, tell)],
        )
        trainer.plan, trainer.objective = plan, objective or HardTargets()
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def _marks(steps: int, evaluations: int) -> set[int]:
    return {round(steps * (i + 1) / evaluations) for i in range(evaluations)} - {0}


class _CompletionTrainer(Trainer):
    """Trainer with planned batches, and logits computed for completion tokens only."""

    plan: list[list[int]]
    objective: Objective

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            cast(Any, self.train_dataset),
            batch_sampler=self.plan,
            collate_fn=self.objective.collate,
        )

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        total, count = self.objective.loss(model, inputs, self.state.global_step)
        return total / (num_items_in_batch if num_items_in_batch is not None else count)


class Objective(Protocol):
    """What is minimised on a batch."""

    def collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """The batch's tensors; `labels` are `IGNORED` where nothing is learned."""
        ...

    def loss(
        self, model: Any, batch: Mapping[str, torch.Tensor], step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss summed over the tokens that `labels` name, and their count."""
        ...


class HardTargets:
    """Cross-entropy on the rows' own tokens."""

    def collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """As the function."""
        return collate(examples)

    def loss(
        self, model: Any, batch: Mapping[str, torch.Tensor], step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`completion_loss`."""
        return completion_loss(model, batch["input_ids"], batch["labels"])


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Right-padded ids and labels, (rows, width) each, int64.

    Padding stands to the right of all that is read under a causal mask, so no attention mask is
    needed; its labels are ignored.
    """
    width = max(len(e.ids) for e in examples)
    ids = [e.ids + [0] * (width - len(e.ids)) for e in examples]
    labels = [
        [IGNORED] * e.prompt + e.ids[e.prompt :] + [IGNORED] * (width - len(e.ids))
        for e in examples
    ]
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}


def completion_loss(
    model: Any, ids: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross-entropy over completion tokens, and their count.

    The head, a fifth of this model's work, is applied to those positions alone.
    """
    hidden, targets = completion_states(model, ids, labels)
    logits = model.get_output_embeddings()(hidden).float()
    total = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return total, torch.tensor(len(targets))


def completion_states(
    model: Any, ids: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The last hidden states of completion tokens, (tokens, width), and the tokens, row by row.

    The state of a token is that of the place before it, from which it is predicted.
    """
    hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    chosen = targets != IGNORED
    return hidden[chosen], targets[chosen]


@dataclass
class _Keeper:
    """Measures on valid at the marked steps and saves the best."""

    generator: Generator
    accuracy: Callable[[Generator], float]
    out: Path
    log: Log
    marks: set[int]
    best: float = -1.0

    def after(self, step: int) -> str:
        return self.measure(step) if step in self.marks else ""

    def measure(self, step: int) -> str:
        model = self.generator.model.eval()
        score = self.accuracy(self.generator)
        self.log.evaluations.append({"step": step, "valid_accuracy": round(score, 6)})
        if score >= self.best:
            self.best, self.log.best_step = score, step
            self.out.mkdir(parents=True, exist_ok=True)
            model.save_pretrained(self.out)
            self.generator.tokenizer.save_pretrained(self.out)
        model.train()
        return f"valid accuracy {score:.0%}"


class _Watch(TrainerCallback):
    def __init__(
        self,
        plan: list[list[int]],
        examples: Sequence[Example],
        log: Log,
        after: Callable[[int], str],
        tell: Tell,
    ) -> None:
        self._tokens = [sum(len(examples[i].ids) for i in batch) for batch in plan]
        self._log, self._after, self._tell, self._seen, self._note = log, after, tell, 0, ""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._seen += self._tokens[state.global_step - 1]
        self._note = self._after(state.global_step) or self._note
        self._tell(state.global_step, len(self._tokens), self._seen, self._note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            row = {
                "step": state.global_step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
            }
            self._log.steps.append(row)
