"""Fine-tuning on transformers' Trainer: loss on completions, best checkpoint by valid."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial, wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments

from stages.engines.local import Generator
from stages.training import steps
from stages.training.keeper import Keeper, Log, marks
from stages.training.lora import merge, under_adapter
from stages.training.objective import HardTargets, Objective, has_linear_head
from stages.training.packing import Batch, packed_attention, unlearned
from stages.training.processes import PATIENCE, agreed, is_main, meet, state
from stages.training.resume import Unfinished
from stages.training.tokenise import Example
from stages.training.watch import Tell, Watch


def train(
    generator: Generator,
    examples: Sequence[Example],
    accuracy: Callable[[Generator], float],
    settings: Mapping[str, Any],
    out: Path,
    tell: Tell,
    held: Unfinished | None = None,
    objective: Objective | None = None,
) -> Log:
    """Fine-tune the student and keep the checkpoint with the best accuracy on `valid`.

    All weights, or with ``train.lora`` an adapter, which is merged into the checkpoint.

    Args:
        generator: The student; its model is changed in place.
        examples: What it is trained on.
        accuracy: Answers the valid rows and returns the share that verifies; among equals, the
            checkpoint that was trained longest is kept.
        settings: ``train`` of ``params.yaml``.
        out: Where the best checkpoint is saved.
        tell: Called with (step, steps, tokens so far, note).
        held: Where a training that was killed left off, and this one leaves its checkpoints.
        objective: What is minimised; cross-entropy on the rows' own tokens when None.
    """
    plan = steps.plan([len(e.ids) for e in examples], settings)
    log = Log()

    wrapped = under_adapter(generator.model, settings)

    def measured(model: Any) -> float:
        with torch.autocast(
            model.device.type, torch.bfloat16, enabled=settings.get("precision") == "bf16"
        ):
            return accuracy(Generator(model.eval(), generator.tokenizer))

    def save(model: Any, folder: Path) -> None:
        (model if wrapped is generator.model else wrapped).save_pretrained(folder)

    with TemporaryDirectory() as scratch:
        keeper = Keeper(
            generator.model, measured, save, held.folder if held else Path(scratch), log,
            marks(len(plan), settings["evaluations"]), settings.get("patience"),
        )  # fmt: skip
        fit(wrapped, examples, plan, settings, log, tell, keeper, held, objective)
        if is_main():
            best = cast(Path, keeper.best)
            if wrapped is generator.model:
                shutil.copytree(best, out, dirs_exist_ok=True)
            else:
                merge(wrapped, best).save_pretrained(out)
            generator.tokenizer.save_pretrained(out)
        meet()  # what the folder held is copied
    return log


def fit(
    model: Any,
    examples: Sequence[Example],
    plan: list[list[int]],
    settings: Mapping[str, Any],
    log: Log,
    tell: Tell,
    keeper: Keeper | None = None,
    held: Unfinished | None = None,
    objective: Objective | None = None,
) -> None:
    """Take the planned steps on all weights that ask for a gradient.

    Args:
        model: Changed in place.
        examples: What the plan's indices stand for.
        plan: The examples of each step; see `steps.plan`.
        settings: `seed`, `learning_rate`, `warmup_ratio`, `weight_decay`; and, where they are
            there, `micro_tokens`, `checkpointing`, `precision`.
        log: Its `steps` and `tokens` are filled in.
        tell: Called with (step, steps, tokens so far, note).
        keeper: Asked after each step whether to measure, and whether to stop.
        held: Whose newest checkpoint is gone on from, and which gets new ones.
        objective: What is minimised; cross-entropy on the rows' own tokens when None.
    """
    found = agreed(held.newest() if held else None)
    student = model.get_base_model() if hasattr(model, "get_base_model") else model
    objective = objective or HardTargets(has_linear_head(student, examples[0]))
    with (
        TemporaryDirectory() as scratch,
        packed_attention(student, examples) as packed,
        _loss_by_labels(model, student, objective),
    ):
        arguments = TrainingArguments(
            output_dir=str(held.folder) if held else scratch,
            max_steps=len(plan),
            learning_rate=settings["learning_rate"],
            lr_scheduler_type="linear",
            warmup_steps=math.ceil(settings["warmup_ratio"] * len(plan)),
            weight_decay=settings["weight_decay"],
            optim="adamw_torch_fused",
            max_grad_norm=1.0,
            seed=settings["seed"],
            bf16=settings.get("precision") == "bf16",
            activation_checkpointing=settings.get("checkpointing", False),
            use_cpu=not torch.cuda.is_available(),
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",  # `Watch` asks for checkpoints
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            ddp_timeout=round(PATIENCE.total_seconds()),
            ddp_find_unused_parameters=False,
        )
        trainer = _CompletionTrainer(
            model=model,
            args=arguments,
            train_dataset=cast(
                Any,
                _Steps(
                    examples,
                    plan,
                    settings.get("micro_tokens"),
                    partial(objective.collate, packed=packed),
                ),
            ),
            callbacks=[Watch(plan, examples, log, tell, keeper, held, found and found[1])],
        )
        trainer.loss_is_scaled_for_ga = True  # by `_CompletionTrainer.compute_loss`
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(found[0]) if found else None)


class _Steps(Dataset[dict[str, Any]]):
    """The passes that this process takes over each step, and the step's completion tokens."""

    def __init__(
        self, examples: Sequence[Example], plan: list[list[int]], limit: int | None,
        collate: Callable[[Sequence[Example]], Batch],
    ) -> None:  # fmt: skip
        self._examples, self._plan, self._limit, self._collate = examples, plan, limit, collate
        self._lengths = [len(example.ids) for example in examples]

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, at: int) -> dict[str, Any]:
        step, here = self._plan[at], state()
        cut = steps.passes(step, self._lengths, self._limit, here.num_processes)
        return {
            "passes": [self._collated(rows, step) for rows in cut[here.process_index]],
            "tokens": steps.targets(self._examples, step),
        }

    def _collated(self, rows: list[int], step: list[int]) -> Batch:
        if rows:
            return self._collate([self._examples[row] for row in rows])
        # nothing to learn from, but every process has to take part in every pass
        shortest = min((self._examples[row] for row in step), key=lambda e: len(e.ids))
        return unlearned(self._collate([shortest]))


class _CompletionTrainer(Trainer):
    """Trainer whose steps are planned, cut into passes, and scaled by their own tokens."""

    def get_train_dataloader(self) -> DataLoader[Any]:
        planned = cast(Any, self.train_dataset)
        return DataLoader(
            planned,
            batch_sampler=[[at] for at in range(len(planned))],
            collate_fn=lambda items: items[0],
        )

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        whole = torch.tensor(0.0, device=self.args.device)
        for left, part in zip(range(len(inputs["passes"]))[::-1], inputs["passes"], strict=True):
            with self.accelerator.no_sync(model) if left else nullcontext():
                whole = whole + super().training_step(model, part, inputs["tokens"])
        return whole

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        total: torch.Tensor = model(**inputs, step=self.state.global_step)
        # gradients and told losses are averaged over processes, of which each has its part alone
        loss: torch.Tensor = total * self.accelerator.num_processes / num_items_in_batch
        return loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        return 0  # nobody reads it


@contextmanager
def _loss_by_labels(model: Any, student: Any, objective: Objective) -> Iterator[None]:
    """Called with labels, the model returns the loss; else it does what it always did.

    Through the model's own call, because that is where processes exchange weights and gradients.
    """
    usual = model.forward

    @wraps(usual)
    def forward(*inputs: Any, **named: Any) -> Any:
        if named.get("labels") is None:
            return usual(*inputs, **named)
        return objective.loss(student, named, named.pop("step"))

    model.forward = forward
    try:
        yield
    finally:
        vars(model).pop("forward", None)
