from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stages.training import precision as module
from stages.training.precision import BF16, FP32, measured, precision

CPU = torch.device("cpu")


def seconds(fp32: float, bf16: float) -> Any:
    return lambda device: {FP32: fp32, BF16: bf16}


def never(device: Any) -> dict[str, float]:
    raise AssertionError("measured")


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_described", lambda device: ("a CPU", True))


def test_what_is_stated_is_taken_unmeasured(tmp_path: Path) -> None:
    assert [precision(tmp_path, name, CPU, never) for name in (FP32, BF16)] == [FP32, BF16]


def test_without_instructions_for_bf16_it_is_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_described", lambda device: ("a CPU", False))
    assert precision(tmp_path, "auto", CPU, never) == FP32


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    ("fp32", "bf16", "chosen"), [(2.0, 1.0, BF16), (1.0, 1.0, FP32), (1.0, 2.0, FP32)]
)
def test_a_measurement_can_overrule_the_device(
    tmp_path: Path, fp32: float, bf16: float, chosen: str
) -> None:
    assert precision(tmp_path, "auto", CPU, seconds(fp32, bf16)) == chosen


@pytest.mark.usefixtures("native")
def test_a_device_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision(tmp_path, "auto", CPU, seconds(2, 1)) == BF16
    assert precision(tmp_path, "auto", CPU, never) == BF16
    monkeypatch.setattr(module, "_described", lambda device: ("another CPU", True))
    assert precision(tmp_path, "auto", CPU, seconds(1, 1)) == FP32


def test_the_measurement_is_of_both() -> None:
    found = measured(CPU)
    assert found.keys() == {FP32, BF16}
    assert all(value > 0 for value in found.values())
