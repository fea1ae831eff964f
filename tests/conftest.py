from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.projects import Copy, copy_project
from tests.tiny import save_tiny


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores, as half of a test's time is waiting for a stage to start."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs whole stages comes first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny random model; read only."""
    import torch

    # On so small a model threads cost more than they save, and on a busy machine twenty times more.
    torch.set_num_threads(1)
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def project(tmp_path: Path) -> Copy:
    """The shipped project, to be spoilt."""
    return copy_project(tmp_path)
