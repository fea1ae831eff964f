"""Training tokens a second beside TRL's SFTTrainer, on the same rows in the same batches.

    python -m venv /tmp/trl && /tmp/trl/bin/pip install torch==2.13.0 trl==1.16.0
    TRL_PYTHON=/tmp/trl/bin/python make bench train

Rows are coin flips with their worked solutions, in steps of 8 that hold rows of like length, as
`batches` makes them; TRL takes them in the same order, unpacked and packed to as many tokens a
step, without gradient checkpointing, so in its own best setting. Each peer is a process of its own,
and they take turns. The first steps are not timed. Beside it: the share of the machine's
matrix-product rate, in model FLOPs of the tokens that need computing (6 a weight and token; the
head at completion tokens alone), the loss at each step, and the peak of memory. ``--no-system``
leaves out the system message that all rows begin with.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS, BATCH, WARM_UP = 64, 8, 2
SETTINGS = {"seed": 1, "learning_rate": 1e-4, "warmup_ratio": 0.0, "weight_decay": 0.0}


def ours(folder: Path) -> dict[str, Any]:
    from stages.engines.local import Generator
    from stages.training.packing import pack
    from stages.training.sft import Log, fit
    from stages.training.tokenise import Example

    generator = Generator.load(folder / "student")
    made = [Example(str(n), *row) for n, row in enumerate(rows(folder))]
    plan = [list(range(at, at + BATCH)) for at in range(0, len(made), BATCH)]
    marks, log = [time.perf_counter()], Log()
    fit(
        generator.model, made, plan, SETTINGS, log,
        lambda *told: marks.append(time.perf_counter()),
    )  # fmt: skip
    timed = [[made[i] for i in batch] for batch in plan[WARM_UP:]]
    batches = [pack(batch) for batch in timed]
    head = generator.model.get_output_embeddings().weight.numel()
    weights = generator.model.num_parameters() - head
    flops = sum(6 * (weights * b["input_ids"].numel() + head * len(b["labels"])) for b in batches)
    seconds = marks[-1] - marks[WARM_UP]
    return {
        "tokens_per_s": sum(len(e.ids) for batch in timed for e in batch) / seconds,
        "gflops": flops / seconds / 1e9,
        "losses": [round(step["loss"], 3) for step in log.steps],
    }


def trl(folder: Path, packing: bool) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    made = rows(folder)
    # TRL reads rows that are tokenised already: so both train on the same tokens
    data = Dataset.from_list(
        [
            {"input_ids": ids, "completion_mask": [0] * prompt + [1] * (len(ids) - prompt)}
            for ids, prompt in made
        ]
    )
    longest = max(sum(len(ids) for ids, _ in made[at : at + BATCH]) for at in range(0, ROWS, BATCH))
    marks: list[float] = []
    tokens: list[int] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

    class Counting(SFTTrainer):
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            mask = inputs.get("attention_mask")
            tokens.append(int(inputs["input_ids"].numel() if mask is None else mask.sum()))
            return super().compute_loss(model, inputs, *args, **kwargs)

    config = SFTConfig(
        output_dir=str(folder / "trl"), per_device_train_batch_size=1 if packing else BATCH,
        num_train_epochs=1, learning_rate=SETTINGS["learning_rate"], warmup_steps=0, seed=1,
        gradient_checkpointing=False, completion_only_loss=True, bf16=False, use_cpu=True,
        packing=packing,
        max_length=longest, optim="adamw_torch_fused", train_sampling_strategy="sequential",
        logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
        dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Counting(
        model=AutoModelForCausalLM.from_pretrained(folder / "student", dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(folder / "student"),
        args=config, train_dataset=data, callbacks=[Clock()],
    )  # fmt: skip
    trainer.train()
    losses = [round(step["loss"], 3) for step in trainer.state.log_history if "loss" in step]
    seconds = marks[-1] - marks[WARM_UP]
    return {"tokens_per_s": sum(tokens[WARM_UP:]) / seconds, "losses": losses}


def matrix_rate() -> float:
    """GFLOP/s of a large fp32 matrix product."""
    import torch

    size, best = 2048, 0.0
    one, other = torch.randn(size, size), torch.randn(size, size)
    for _ in range(8):
        start = time.perf_counter()
        one @ other
        best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
    return best


def rows(folder: Path) -> list[list[Any]]:
    made: list[list[Any]] = json.loads((folder / "rows.json").read_text())
    return made


def prepare(folder: Path, system: bool) -> None:
    from stages.data import coin_flip
    from stages.engines.local import Generator
    from stages.training.base import EMBEDDED, materialise
    from stages.training.tokenise import batches, tokenise

    materialise(EMBEDDED, None, folder / "student")
    generator = Generator.load(folder / "student")
    if not system:  # the template adds a system message where there is none
        template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
        template += "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        generator.tokenizer.chat_template = template
    texts = [
        {
            "id": str(number),
            "messages": [{"role": "user", "content": row["question"]}],
            "completion": row["worked"]["step_by_step"][0],
        }
        for number, row in enumerate(coin_flip.generate(0, ROWS))
    ]
    examples = tokenise(texts, generator.tokenizer, 512)
    plan = batches([len(example.ids) for example in examples], BATCH, 1, 1)
    ordered = [(examples[i].ids, examples[i].prompt) for batch in plan for i in batch]
    (folder / "rows.json").write_text(json.dumps(ordered))


def measure(interpreter: str, peer: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [interpreter, "-m", "benchmarks.train", "--peer", peer, "--folder", str(folder)],
        capture_output=True, text=True, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{peer}: {done.stderr[-2000:]}")
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


PEERS: dict[str, Any] = {
    "ours": ours,
    "trl": lambda folder: trl(folder, False),
    "trl_packed": lambda folder: trl(folder, True),
    "matrix": lambda folder: {"gflops": matrix_rate()},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--no-system", action="store_true")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    if args.peer:
        made = PEERS[args.peer](args.folder)
        made["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
        print(json.dumps(made))
        return
    other = os.environ.get("TRL_PYTHON")
    names = ["matrix", "ours", *(["trl", "trl_packed"] if other else [])]
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), not args.no_system)
        for _ in range(args.rounds):  # in turn, so that a change of the machine's speed meets all
            for peer in names:
                interpreter = other if other and peer.startswith("trl") else sys.executable
                rounds[peer].append(measure(interpreter, peer, Path(name)))
    best = {peer: max(made, key=rate) for peer, made in rounds.items()}
    peers = {peer: best[peer]["tokens_per_s"] for peer in names if peer.startswith("trl")}
    print(
        json.dumps(
            {
                "benchmark": "train",
                "tokens_per_s": round(best["ours"]["tokens_per_s"], 1),
                "peers_tokens_per_s": {peer: round(value, 1) for peer, value in peers.items()},
                "ratio": round(best["ours"]["tokens_per_s"] / max(peers.values()), 2)
                if peers
                else None,
                "share_of_matrix_rate": round(best["ours"]["gflops"] / best["matrix"]["gflops"], 2),
                "matrix_gflops": round(best["matrix"]["gflops"], 1),
                "peak_gib": best["ours"]["peak_gib"],
                "losses": {p: best[p]["losses"] for p in names if p != "matrix"},
            }
        )
    )


def rate(made: dict[str, Any]) -> float:
    return float(made.get("tokens_per_s") or made["gflops"])


if __name__ == "__main__":
    main()
