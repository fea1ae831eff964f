"""Short LoRA adapters: what the student can learn from a few rows, before any is paid for.

An adapter is named by all that decides it, and its answers are held in the store under that name,
so that no adapter is trained whose answers are held, and none is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.core.jsonl import digest
from stages.engines.local import Generator, LocalEngine, plan
from stages.engines.request import Deliver, Request, silent
from stages.training.keeper import Log
from stages.training.lora import adapted
from stages.training.steps import plan as plan_steps
from stages.training.tokenise import Example, tokenise

Tell = Callable[[int, int, int, str], None]
RECIPE = {"version": 1, "batch_size": 4, "warmup_ratio": 0.06, "weight_decay": 0.0, "scale": 2}
"""What ``params.yaml`` does not say. Raise the version with any change of how adapters are made:
answers of older ones then no longer count."""
SETTINGS = ("epochs", "learning_rate", "rank", "seed")
"""Keys of ``probe`` that decide an adapter."""


@dataclass(frozen=True)
class Lesson:
    """What one adapter is trained on.

    Args:
        about: ``suite/task/strategy``.
        rows: As the rows of ``build/mix``: `id`, `messages`, `completion`.
    """

    about: str
    rows: Sequence[Mapping[str, Any]]


class AdapterEngine:
    """The student under one adapter for each lesson; a request's `model` says which.

    Args:
        student: The folder of the untrained student.
        settings: ``probe`` of ``params.yaml``.
        max_length: Tokens that a training row may have.
        tell: Makes what is told of the training of the adapter `about`.

    Raises:
        UserError: E701 when the folder holds no model.
    """

    endpoint = "local"

    def __init__(
        self, student: Path, settings: Mapping[str, Any], max_length: int,
        tell: Callable[[str], Tell],
    ) -> None:  # fmt: skip
        self.model = LocalEngine(student).model
        self.making = silent
        self._student, self._tell, self._max_length = student, tell, max_length
        self._settings = {**RECIPE, **{key: settings[key] for key in SETTINGS}}
        self._lessons: dict[str, Lesson] = {}

    def learn(self, lesson: Lesson) -> str:
        """The name under which requests are answered by a student that has had this lesson."""
        rows = [[row["messages"], row["completion"]] for row in lesson.rows]
        name = f"adapter:{digest([self.model, self._settings, rows])}"
        self._lessons[name] = lesson
        return name

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        """See `Engine.complete`; trains the adapters that answers are missing of, one by one.

        Raises:
            UserError: E712, E713 as `tokenise`; E714 when rationales are longer than answers may
                be. All of them before the first adapter is trained.
        """
        groups: dict[str, list[Request]] = {}
        for request in requests:
            groups.setdefault(request.model, []).append(request)
        wanted = [
            name for name, group in groups.items() if any(item.key in missing for item in group)
        ]
        generator = Generator.load(self._student)
        made = {name: self._examples(name, groups[name], generator) for name in wanted}
        for name, examples in made.items():
            told = self._tell(self._lessons[name].about)
            with _adapted(generator, examples, self._settings, told) as student:
                for batch in plan(groups[name], missing, student):
                    deliver(list(zip(batch, student.generate(batch, self.making), strict=True)))

    def _examples(self, name: str, asked: Sequence[Request], generator: Generator) -> list[Example]:
        lesson = self._lessons[name]
        examples = tokenise(lesson.rows, generator.tokenizer, self._max_length)
        longest = max(len(example.ids) - example.prompt - 1 for example in examples)
        limit = max(request.max_tokens for request in asked)
        if longest > limit:
            raise user_error(
                "params.yaml", "E714",
                f"the student is to learn rationales of up to {longest} tokens for {lesson.about}, "
                f"and probe.max_tokens lets it answer with {limit}",
                f"raise probe.max_tokens to {longest} or more, and evaluate.max_tokens with it",
            )  # fmt: skip
        return examples


@contextmanager
def _adapted(
    generator: Generator, examples: Sequence[Example], settings: Mapping[str, Any], tell: Tell
) -> Iterator[Generator]:
    """The student under a freshly trained adapter; its own weights are as before afterwards."""
    from stages.training.sft import fit

    rank, scale = settings["rank"], settings["scale"]
    wrapped = adapted(generator.model, rank, scale * rank, settings["seed"])
    try:
        lengths = [len(example.ids) for example in examples]
        # peft's wrapper has a forward of its own; the layers are in the model under it
        model = wrapped.get_base_model()
        fit(model, examples, plan_steps(lengths, settings), settings, Log(), tell)
        yield Generator(model.eval(), generator.tokenizer)
    finally:
        wrapped.unload()
