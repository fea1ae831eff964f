"""A local model on the nodes of a Ray cluster: actors hold it, blocks of requests go to them.

Blocks are the batches that one process plans, so the answers are those of one process. The driver
hands them out, two an actor, and delivers each as it comes back: what a killed node
takes with it is what its actors had in flight. Plain actors rather than Ray Data, which keeps
finished blocks in the nodes' object stores before they are read, and submits those of a dead node
to its actor again and again until the cluster has noticed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stages.core.errors import user_error
from stages.engines.crew import Crew
from stages.engines.local import Generator, LocalEngine, plan
from stages.engines.quiet import quiet
from stages.engines.request import Completion, Deliver, Request
from stages.engines.shelf import Shelf, at_hand
from stages.engines.vllm import VllmModel

_KNOCK = 10.0  # seconds
BLOCK_ROWS = 512
"""Requests in a block for vLLM, which puts its batches together by itself."""


class Model(Protocol):
    """What an actor holds; see `Generator` and `VllmModel`."""

    def generate(self, batch: Sequence[Request]) -> list[Completion]:
        """Answer requests, in their order."""
        ...


@dataclass(frozen=True)
class Cluster:
    """Where actors run, and what each of them takes.

    Args:
        address: ``auto`` for the cluster of this machine, or ``host:port``; None to use this
            machine alone.
        actors: How many, at most; None for as many as find room.
        cpus: CPUs of an actor; None for one beside a GPU, and without for all of the smallest node.
        gpus: GPUs of an actor; None for one where any node has one.
        patience: Seconds that no actor may be at work, for want of a node, before it is given up.
    """

    address: str | None = None
    actors: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    patience: float = 900.0


class RayEngine(LocalEngine):
    """A checkpoint folder as an engine, run by many actors.

    Args:
        folder: As of `LocalEngine`. A node that lacks it is sent a copy.
        cluster: Of Ray.
        vllm: Whether actors run it through vLLM.
    """

    def __init__(self, folder: Path, cluster: Cluster, vllm: bool = False) -> None:
        super().__init__(folder)
        self.cluster = cluster
        self.vllm = vllm
        self.load: Callable[[Path], Model] = VllmModel.load if vllm else Generator.load

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        """See `Engine.complete`; answers are delivered a block at a time.

        Raises:
            UserError: E705 when Ray is not installed, E707 when the cluster is not there or has no
                room, E708 when the same work was lost over and over.
        """
        with connected(self.cluster) as ray:
            cpus, gpus, room = take(self.cluster, ray.nodes())
            blocks = list(self._blocks(requests, missing, gpus > 0))
            shelf = on_shelf(ray, self.folder)

            def start() -> Any:
                made = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(Actor)
                digest = self.model.removeprefix("sha256:")
                return made.remote(self.load, self.folder, digest, shelf)

            crew = Crew(ray, start, self.cluster.patience)
            try:
                for answers in crew.answers(blocks, min(room, len(blocks))):
                    deliver(answers)
            finally:
                crew.dismiss()
                ray.kill(shelf)

    def _blocks(
        self, requests: Sequence[Request], missing: AbstractSet[str], gpu: bool
    ) -> Iterator[list[Request]]:
        if self.vllm:
            wanted = [item for item in requests if item.key in missing]
            return (wanted[at : at + BLOCK_ROWS] for at in range(0, len(wanted), BLOCK_ROWS))
        return plan(requests, missing, without_weights(self.folder, gpu))


def without_weights(folder: Path, gpu: bool) -> Generator:
    """What a plan reads of a model, as actors will load it: its tokenizer, its shape and type."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    quiet()
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(
            config, dtype=torch.bfloat16 if gpu else torch.float32, trust_remote_code=False
        )
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return Generator(model, tokenizer)


class Actor:
    """Holds the model on one node."""

    def __init__(
        self, load: Callable[[Path], Model], folder: Path, digest: str, shelf: Any
    ) -> None:
        self._load, self._folder, self._digest, self._shelf = load, folder, digest, shelf
        self._model: Model | None = None

    def ready(self) -> None:
        """Load the model; apart from `__init__`, whose errors Ray reports as a death."""
        files = RemoteShelf(self._shelf)
        self._model = self._load(at_hand(self._folder, self._digest, files))

    def generate(self, block: Sequence[Request]) -> list[Completion]:
        """Answer a block."""
        assert self._model is not None
        return self._model.generate(block)


@dataclass
class RemoteShelf:
    """A `Shelf` that is an actor on another node."""

    actor: Any

    def sizes(self) -> dict[str, int]:
        """See `Files.sizes`."""
        import ray

        return dict(ray.get(self.actor.sizes.remote()))

    def read(self, name: str, at: int) -> bytes:
        """See `Files.read`."""
        import ray

        return bytes(ray.get(self.actor.read.remote(name, at)))


def on_shelf(ray: Any, folder: Path) -> Any:
    """A `Shelf` as an actor on the driver's own node, which has the files."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Shelf).remote(folder)


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """The library, connected to the cluster.

    Raises:
        UserError: E705, E707.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise user_error(
            "params.yaml", "E705", "runtime.ray is set, and Ray is not installed",
            "run `pip install -e '.[ray]'`, or take `ray` out of runtime",
        ) from None  # fmt: skip
    if ray.is_initialized():
        yield ray
        return
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if main else None
    try:
        _knock(cluster.address)
        ray.init(
            cluster.address or "local",
            include_dashboard=None if cluster.address else False,
            # nodes run this code, whatever is installed there
            runtime_env={"py_modules": [str(Path(__file__).parents[1])]},
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:  # Ray raises it bare where a node does not start
        raise user_error(
            "params.yaml", "E707",
            f"the Ray cluster at {cluster.address or 'this machine'} cannot be reached "
            f"({(str(error).splitlines() or [type(error).__name__])[0]})",
            "start it with `ray start --head` and `ray start --address=…`, or correct "
            "runtime.ray.address",
        ) from None  # fmt: skip
    if main:  # Ray's own handler leaves without a word
        signal.signal(signal.SIGTERM, before)
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Try the address for a moment; Ray itself would try for three minutes.

    Raises:
        OSError: Nobody is there.
    """
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), _KNOCK).close()


def take(cluster: Cluster, nodes: Sequence[Mapping[str, Any]]) -> tuple[float, float, int]:
    """CPUs and GPUs of an actor, and how many actors find room.

    Args:
        cluster: What was stated.
        nodes: As `ray.nodes` lists them.

    Raises:
        UserError: E707 when no actor finds room.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    sizes = [(had.get("CPU", 0.0), had.get("GPU", 0.0)) for had in alive]
    gpus, cpus = cluster.gpus, cluster.cpus
    if gpus is None:
        gpus = 1.0 if any(had for _, had in sizes) else 0.0
    if cpus is None:
        cpus = 1.0 if gpus else min((had for had, _ in sizes if had), default=1.0)
    fits = [
        min(int(had / need) for had, need in zip(size, (cpus, gpus), strict=True) if need)
        for size in sizes
    ]
    if not sum(fits):
        raise user_error(
            "params.yaml", "E707",
            f"no node of the Ray cluster has room for an actor of {cpus:g} CPUs and {gpus:g} GPUs",
            f"its {len(sizes)} nodes have "
            + ", ".join(f"{cpu:g} CPUs and {gpu:g} GPUs" for cpu, gpu in sizes),
        )  # fmt: skip
    return cpus, gpus, min(sum(fits), cluster.actors or sum(fits))
