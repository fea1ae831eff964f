"""The engine that runs a model in this process, on CPU or GPU, through transformers.

Batches are planned over all requests of a stage, held or not, and delivered whole: a run that was
killed computes the same batches as one that was not, so both write the same text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.core.jsonl import encodable
from stages.engines.quiet import quiet
from stages.engines.request import Completion, Deliver, Making, Message, Request, silent

SLOTS = 128  # rows that are answered at a time
ROUNDS = 2  # of so many rows for each slot is a batch: what ends makes room for the next
KEYS_AND_VALUES = 5 << 28  # bytes of the keys and values of all slots, at most


class LocalEngine:
    """A checkpoint folder as an engine; its weights are loaded when the first answer is missing.

    Args:
        folder: What `save_pretrained` wrote: safetensors, config and tokenizer.

    Raises:
        UserError: E701 when the folder holds no model.
    """

    endpoint = "local"

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise user_error(
                str(folder), "E701", "there is no model in this folder",
                "run `dvc repro`, or `dvc pull` to fetch it",
            )  # fmt: skip
        self.folder = folder
        self.making = silent
        self.model = f"sha256:{folder_digest(folder)}"

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        """See `Engine.complete`."""
        generator = Generator.load(self.folder)
        for batch in plan(requests, missing, generator):
            deliver(list(zip(batch, generator.generate(batch, self.making), strict=True)))


def folder_digest(folder: Path) -> str:
    """Hex SHA-256 over what can decide what the model says, by name: all but notes on it."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix != ".md" and not path.name.startswith("."):
            part = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    part.update(block)
            whole.update(f"{path.name}:{part.hexdigest()}\n".encode())
    return whole.hexdigest()


def plan(
    requests: Sequence[Request], missing: AbstractSet[str], generator: Generator
) -> Iterator[list[Request]]:
    """Batches of requests of like length, limit and sampling.

    A planned batch that is missing whole is generated as planned; the missing parts of the
    others are put together anew.
    """
    lengths = {item.key: len(generator.encode(item)) for item in requests}

    def batches(items: Sequence[Request]) -> list[list[Request]]:
        groups: dict[tuple[Any, ...], list[Request]] = {}
        for item in items:
            groups.setdefault((item.max_tokens, item.temperature, item.top_p), []).append(item)
        made: list[list[Request]] = []
        for _, group in sorted(groups.items()):
            group.sort(key=lambda item: (lengths[item.key], item.key))
            parts: list[list[Request]] = [[]]
            for item in group:
                rows = ROUNDS * generator.slots(lengths[item.key] + item.max_tokens)
                if len(parts[-1]) >= rows:
                    parts.append([])
                parts[-1].append(item)
            if len(parts) > 1 and 2 * len(parts[-1]) < rows:
                parts[-2:] = [parts[-2] + parts[-1]]  # few rows would waste most of each step
            made += parts
        return made

    left: list[Request] = []
    for batch in batches(requests):
        wanted = [item for item in batch if item.key in missing]
        if len(wanted) == len(batch):
            yield batch
        else:
            left += wanted
    yield from batches(left)


@dataclass
class Generator:
    """A loaded model with its tokenizer."""

    model: Any
    tokenizer: Any
    supported: bool | None = None

    @staticmethod
    def load(folder: Path) -> Generator:
        """Load in fp32 on CPU, in bf16 on a GPU. Hub code is never run."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        quiet()
        gpu = torch.cuda.is_available()
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16 if gpu else torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return Generator(model.to("cuda" if gpu else "cpu").eval(), tokenizer)

    def encode(self, item: Request) -> list[int]:
        """Token ids of a prompt, up to where the model's turn begins."""
        return encode(self.tokenizer, item.chat(), item.api)

    def generate(self, batch: Sequence[Request], making: Making = silent) -> list[Completion]:
        """Answer requests that share limit, temperature and top_p; greedy at temperature 0.

        Sampling adds Gumbel noise from a generator seeded by each request's own key and takes
        the largest (the Gumbel-max trick), so an answer does not depend on its neighbours. Of a
        model's generation_config.json nothing is read: what a request says is all that counts.
        """
        from stages.engines.decode import decode, greedy
        from stages.engines.plain_decode import decode_plainly
        from stages.engines.sampling import gumbel

        prompts, first = [self.encode(item) for item in batch], batch[0]
        end = self.tokenizer.eos_token_id
        slots = self.slots(max(map(len, prompts)) + first.max_tokens)
        choose = gumbel(batch) if first.temperature > 0 else greedy
        run = decode if self._direct(prompts[0]) else decode_plainly
        made = run(self.model, prompts, first.max_tokens, end, choose, making, slots)
        return [
            self._completion(ids, len(prompt), end)
            for ids, prompt in zip(made, prompts, strict=True)
        ]

    def slots(self, tokens: int) -> int:
        """How many rows of so many tokens are answered at a time: memory for keys and values."""
        config = self.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        held: int = 2 * config.num_hidden_layers * heads * size * self.model.dtype.itemsize
        return max(1, min(SLOTS, KEYS_AND_VALUES // (held * tokens)))

    def _direct(self, ids: Sequence[int]) -> bool:
        from stages.engines.decode import supported

        if self.supported is None:
            self.supported = len(ids) > 1 and supported(self.model, ids)
        return self.supported

    def _completion(self, ids: list[int], prompt: int, end: int) -> Completion:
        stopped = ids[-1:] == [end]
        ids = ids[:-1] if stopped else ids
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return Completion(text, "stop" if stopped else "length", prompt, len(ids))


def encode(tokenizer: Any, messages: Sequence[Message], api: str = "chat") -> list[int]:
    """Token ids of a prompt; used in training and inference alike.

    A chat template writes its own special tokens, so the tokenizer adds none (else two BOS); of a
    plain text, which has no template, it adds what it begins texts with.

    Raises:
        UserError: E702 for a chat where the tokenizer has no chat template.
    """
    if api == "completions":
        text = "\n\n".join(message["content"] for message in messages)
        ids = list(tokenizer(encodable(text))["input_ids"])
        return ids[:-1] if ids[-1:] == [tokenizer.eos_token_id] else ids
    check_chat_template(tokenizer, tokenizer.name_or_path)
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(encodable(text), add_special_tokens=False)["input_ids"])


def check_chat_template(tokenizer: Any, name: str) -> None:
    """E702: a model without a chat template cannot be prompted by messages."""
    if not getattr(tokenizer, "chat_template", None):
        raise user_error(
            name, "E702", "this model's tokenizer has no chat template",
            "choose an instruct model, save its chat_template.jinja, or train in format: text",
        )  # fmt: skip
