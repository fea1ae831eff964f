"""A training that says each step and hangs at one: what the tests of resuming kill.

python -m tests.training.resumed TOP STUDENT OUT STEP SETTINGS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from stages.engines.local import Generator
from stages.training.resume import unfinished
from stages.training.sft import train
from stages.training.tokenise import tokenise
from tests.training.test_sft import SETTINGS, row


def main() -> None:
    torch.set_num_threads(1)
    top, student, out = map(Path, sys.argv[1:4])
    hang, settings = int(sys.argv[4]), json.loads(sys.argv[5])
    generator = Generator.load(student)
    examples = tokenise(map(row, range(4)), generator.tokenizer, 128)

    def tell(step: int, steps: int, tokens: int, note: str) -> None:
        print(step, note, flush=True)
        if step == hang:
            time.sleep(600)

    with unfinished(top, "run", ["run"], "key", 0.0) as held:
        found = held.newest()
        seen = found[1]["log"]["evaluations"] if found else []

        def accuracy(student: Any) -> float:
            # the first measurement is the best one, so a resumed training has to have kept it
            with torch.no_grad():
                norm = float(sum(weight.abs().sum() for weight in student.model.parameters()))
            seen.append(norm)
            return 1.0 if len(seen) == 1 else norm - int(norm)

        log = train(
            generator, examples, accuracy, {**SETTINGS, **settings}, out, tell, held
        )  # fmt: skip
        told = [log.steps, log.evaluations, log.best_step]
        Path(out, "log.json").write_text(json.dumps(told, sort_keys=True))
        held.remove()


if __name__ == "__main__":
    main()
