"""The engine that runs a model in this process through vLLM, for a GPU or as its CPU build.

The same model as `LocalEngine` runs, under the same keys: the same token ids go in, and answers end
at the same token. vLLM puts its batches together as room becomes free, so the last bits of its sums
differ from run to run, and with them, now and then, a greedy answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.engines.local import LocalEngine, encode
from stages.engines.quiet import quiet
from stages.engines.request import Answers, Completion, Deliver, Request

WAITING = 1024
"""Requests inside vLLM at a time: more than it runs at once, so that it never waits for more."""


class VllmEngine(LocalEngine):
    """A checkpoint folder as an engine; it is loaded when the first answer is missing."""

    _model: VllmModel | None = None

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        """See `Engine.complete`; answers are delivered as they end, shortest first.

        Raises:
            UserError: E705 when vLLM is not installed, E706 when prompts are longer than the
                model's context.
        """
        # loaded once: the second calls of a strategy come in a round of their own
        self._model = self._model or VllmModel.load(self.folder)
        for answers in self._model.answers([item for item in requests if item.key in missing]):
            deliver(answers)


@dataclass
class VllmModel:
    """A model that vLLM has loaded, with its tokenizer.

    Args:
        engine: A `vllm.LLMEngine`.
        tokenizer: Of transformers.
        settings: Of `vllm.SamplingParams`, for all requests.
    """

    engine: Any
    tokenizer: Any
    settings: dict[str, Any]

    @staticmethod
    def load(folder: Path) -> VllmModel:
        """Load in fp32 on CPU, in bf16 on a GPU. Hub code is never run."""
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        # in this process, so that nothing outlives it
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        try:
            from vllm import EngineArgs, LLMEngine
        except ImportError as error:
            raise _absent(error) from None
        import torch
        from transformers import AutoTokenizer

        quiet()
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        engine = LLMEngine.from_engine_args(
            EngineArgs(
                model=str(folder),
                dtype="bfloat16" if torch.cuda.is_available() else "float32",
                max_model_len=-1,  # what fits beside the weights, up to the model's context
                trust_remote_code=False,
                load_format="safetensors",
                disable_log_stats=True,
                use_tqdm_on_load=False,
                seed=0,
            )
        )
        settings = {
            "ignore_eos": True,  # its list of ends is the checkpoint's; ours is the template's
            "stop_token_ids": [tokenizer.eos_token_id],
            "detokenize": False,
        }
        return VllmModel(engine, tokenizer, settings)

    def generate(self, batch: Sequence[Request]) -> list[Completion]:
        """Answer requests, in their order."""
        done = {item.key: made for answers in self.answers(batch) for item, made in answers}
        return [done[item.key] for item in batch]

    def answers(self, requests: Sequence[Request]) -> Iterator[Answers]:
        """Answers in the order in which they end.

        Args:
            requests: With distinct keys.

        Raises:
            UserError: E706, before anything is generated.
        """
        from vllm import TokensPrompt

        prompts = self._prompts(requests)
        asked = {item.key: item for item in requests}
        coming = iter(requests)
        try:
            while asked:
                room = WAITING - self.engine.get_num_unfinished_requests()
                for item in islice(coming, room):
                    tokens = TokensPrompt(prompt_token_ids=prompts[item.key])
                    self.engine.add_request(item.key, tokens, self._sampling(item))
                ended = [output for output in self.engine.step() if output.finished]
                if ended:
                    yield [
                        (asked.pop(output.request_id), self._completion(output)) for output in ended
                    ]
        finally:
            if asked:  # stopped half-way, and the model may be used again
                self.engine.abort_request(list(asked))

    def _prompts(self, requests: Sequence[Request]) -> dict[str, list[int]]:
        prompts = {item.key: encode(self.tokenizer, item.chat(), item.api) for item in requests}
        most = self.engine.model_config.max_model_len
        over = [item for item in requests if len(prompts[item.key]) >= most]
        if over:
            longest = max(over, key=lambda item: len(prompts[item.key]))
            raise user_error(
                self.tokenizer.name_or_path, "E706",
                f"{len(over)} of {len(requests)} prompts are longer than vLLM can take, "
                f"{most} tokens; the longest has {len(prompts[longest.key])}, row {longest.row}",
                "shorten them, or choose a model with a longer context; nothing was asked",
            )  # fmt: skip
        return prompts

    def _sampling(self, item: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            max_tokens=item.max_tokens,
            temperature=item.temperature,
            top_p=item.top_p if item.temperature > 0 else 1.0,
            seed=int(item.key[:15], 16),
            output_kind=RequestOutputKind.FINAL_ONLY,
            **self.settings,
        )

    def _completion(self, output: Any) -> Completion:
        ids, end = list(output.outputs[0].token_ids), self.tokenizer.eos_token_id
        stopped = end in ids
        ids = ids[: ids.index(end)] if stopped else ids
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        prompt = len(output.prompt_token_ids)
        return Completion(text, "stop" if stopped else "length", prompt, len(ids))


def _absent(error: ImportError) -> Exception:
    if error.name == "vllm":
        message = "runtime.local is vllm, and vLLM is not installed"
    else:
        message = f"runtime.local is vllm, and vLLM cannot be imported ({error})"
    return user_error(
        "params.yaml", "E705", message,
        "see docs/scale.md for how to install it, or take `local: vllm` out of runtime",
    )  # fmt: skip
