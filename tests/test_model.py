from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from stages.engines.local import Generator, encode
from stages.engines.request import Request
from stages.training.base import EMBEDDED, EMBEDDED_PACKAGE, materialise
from stages.training.tokenise import end_of_turn, tokenise

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        importlib.util.find_spec(EMBEDDED_PACKAGE) is None,
        reason="the embedded student is not installed; run `make setup`",
    ),
]

QUESTION = {"role": "user", "content": "What is the capital of France?"}


def test_the_embedded_student(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "student"
    materialise(EMBEDDED, None, out)
    files = {path.name for path in out.iterdir()}
    assert [name for name in files if not name.endswith((".json", ".jinja", ".safetensors"))] == []
    assert "chat_template.jinja" in files
    model: Any = AutoModelForCausalLM.from_pretrained(out, use_safetensors=True)
    assert round(model.num_parameters() / 1e6) == 135
    assert {str(value.dtype) for value in model.state_dict().values()} == {"torch.float32"}
    tokenizer: Any = AutoTokenizer.from_pretrained(out)
    assert tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer)) == "<|im_end|>"

    row = {"id": "a", "messages": [QUESTION], "completion": "Paris."}
    (example,) = tokenise([row], tokenizer, 128)
    turns = [QUESTION, {"role": "assistant", "content": "Paris."}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    assert tokenizer.decode(example.ids) == whole.removesuffix("\n")
    assert example.ids[: example.prompt] == encode(tokenizer, [QUESTION])

    generator = Generator.load(out)
    assert generator.tokenizer.chat_template == tokenizer.chat_template
    asked = Request("local", "m", ((QUESTION["role"], QUESTION["content"]),), 24)
    (answer,) = generator.generate([asked])
    assert "Paris" in answer.text
    assert answer.finish_reason == "stop"
    assert answer.prompt_tokens == example.prompt
