"""Several processes: what they share, and a student that is spread over them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.training.launch import check_sharding

ROOT = Path(__file__).parents[2]
SPREAD = """
import sys
from pathlib import Path
import torch
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from stages.training.processes import agreed, is_main, state, whole
from stages.training.student import load

here = state()
assert agreed(here.process_index) == 0
model = load(Path(sys.argv[1])).model
before = {name: weight.clone() for name, weight in model.state_dict().items()}
assert whole(model) is model
for layer in model.model.layers:
    fully_shard(layer)
fully_shard(model)
assert any(isinstance(weight, DTensor) for weight in model.parameters())
copy = whole(model)
assert (copy is None) == (not is_main())
if is_main():
    after = copy.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    print("whole again, of", here.num_processes)
"""


def test_a_student_that_is_spread_is_put_together(tiny: Path, tmp_path: Path) -> None:
    script = tmp_path / "spread.py"
    script.write_text(SPREAD)
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--config_file",
         "launch/cpu.yaml", str(script), str(tiny)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["whole again, of 2"]


def test_an_adapter_on_sharded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    check_sharding({"lora": {"rank": 4}})
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    check_sharding({"lora": None})
    with pytest.raises(UserError) as raised:
        check_sharding({"lora": {"rank": 4}})
    assert str(raised.value) == (
        "params.yaml: E732 train.lora does not work on weights that FSDP shards\n"
        "    hint: an adapter needs little memory: use launch/gpus.yaml, or leave out "
        "train.lora"
    )
