"""Training under ``accelerate launch``: the stage starts itself again, once for each process."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.core.errors import user_error

MARK = "TUTELAGE_LAUNCHED"
"""Set in the environment of processes that were started here."""


def launched() -> bool:
    """Whether this is one of the processes that `launch` or somebody by hand started."""
    return MARK in os.environ or "LOCAL_RANK" in os.environ


def end_with_launcher() -> None:
    """End at once when the launcher is gone, as after a kill -9; it ends us in all other cases.

    Left alone, the processes would go on beside those of the next start.
    """
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def check_sharding(settings: Mapping[str, Any]) -> None:
    """Refuse an adapter on weights that are spread over processes.

    Raises:
        UserError: E732.
    """
    if settings.get("lora") and os.environ.get("ACCELERATE_USE_FSDP") == "true":
        raise user_error(
            "params.yaml", "E732", "train.lora does not work on weights that FSDP shards",
            "an adapter needs little memory: use launch/gpus.yaml, or leave out train.lora",
        )  # fmt: skip


def launch(top: Path, config: str, module: str, *arguments: str) -> None:
    """Become ``accelerate launch`` of ``python -m module arguments``; returns only with an error.

    Args:
        top: The repository's root.
        config: Its configuration file, by its path from there.
        module: What each process runs.
        arguments: And with what.

    Raises:
        UserError: E731 when there is no such file.
    """
    if not (top / config).is_file():
        shipped = sorted(path.name for path in (top / "launch").glob("*.yaml"))
        raise user_error(
            "params.yaml", "E731", f"runtime.accelerate names {config!r}, which does not exist",
            "shipped in launch/: " + ", ".join(shipped),
        )  # fmt: skip
    sys.stdout.flush()
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", config,
               "--module", module, *arguments]  # fmt: skip
    os.execve(sys.executable, command, {**os.environ, MARK: "1"})
