"""What happens between two steps: progress, measuring on valid, checkpoints, the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from stages.training.keeper import Keeper, Log
from stages.training.processes import agreed, is_main, meet
from stages.training.resume import Unfinished
from stages.training.tokenise import Example

Tell = Callable[[int, int, int, str], None]


class Watch(TrainerCallback):
    """Calls back between the steps of one training.

    Args:
        plan: The examples of each step.
        examples: What its indices stand for.
        log: Its `steps` and `tokens` are filled in.
        tell: Called by the main process with (step, steps, tokens so far, note).
        keeper: Asked after each step whether to measure, and whether to stop.
        held: Gets checkpoints.
        progress: What was noted with the one that training goes on from.
    """

    def __init__(
        self,
        plan: list[list[int]],
        examples: Sequence[Example],
        log: Log,
        tell: Tell,
        keeper: Keeper | None,
        held: Unfinished | None,
        progress: dict[str, Any] | None,
    ) -> None:
        self._tokens = [sum(len(examples[i].ids) for i in step) for step in plan]
        self._log, self._tell, self._keeper, self._held = log, tell, keeper, held
        self._note = ""
        if progress and keeper:
            keeper.restore(progress)

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        """Measure, stop, ask for a checkpoint, as it is time."""
        self._log.tokens += self._tokens[state.global_step - 1]
        if self._keeper:
            self._note = self._keeper.after(state.global_step) or self._note
            control.should_training_stop |= self._keeper.over
            model.train()
        if self._held and state.global_step < len(self._tokens):
            control.should_save = agreed(self._held.due() if is_main() else False)
        if is_main():
            self._tell(state.global_step, len(self._tokens), self._log.tokens, self._note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Keep the step's loss."""
        if logs and "loss" in logs:
            row = {
                "step": state.global_step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
            }
            self._log.steps.append(row)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Declare the checkpoint whole that was just written."""
        meet()  # each process has written its part
        if self._held and self._keeper and is_main():
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            progress = {"step": state.global_step, **self._keeper.progress()}
            self._held.seal(checkpoint, progress, self._keeper.best)
