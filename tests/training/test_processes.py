"""Several processes: what is refused of them; tests/test_launched.py trains in them."""

from __future__ import annotations

import pytest

from stages.core.errors import UserError
from stages.training.launch import check_sharding
from stages.training.processes import whole


def test_a_student_that_is_not_spread_is_itself() -> None:
    from torch.nn import Linear

    model = Linear(1, 1)
    assert whole(model) is model


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
