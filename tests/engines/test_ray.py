from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError, user_error
from stages.engines import local
from stages.engines.ask import request
from stages.engines.crew import IN_FLIGHT, LOSSES
from stages.engines.local import Generator, LocalEngine, folder_digest, plan
from stages.engines.ray import (
    Cluster,
    RayEngine,
    RemoteShelf,
    connected,
    on_shelf,
    take,
    without_weights,
)
from stages.engines.request import Answers, Completion, Request
from stages.engines.shelf import at_hand
from stages.engines.store import Store
from tests.engines.helpers import answer

ray = pytest.importorskip("ray", reason="Ray has no wheel for this Python")
BLOCKS, ROWS = 12, 16


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are planned here; actors take them as they are."""
    monkeypatch.setattr(local, "SLOTS", ROWS)
    monkeypatch.setattr(local, "ROUNDS", 1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs nothing, and two nodes of one CPU; all real, in processes of their own."""
    from ray import cloudpickle
    from ray.cluster_utils import Cluster as Nodes

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # what a test hands to actors is sent, since nodes cannot import it
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    nodes = Nodes()
    for attempt in range(5):
        try:
            nodes.add_node(num_cpus=0, include_dashboard=False)
            nodes.add_node(num_cpus=1)
            nodes.add_node(num_cpus=1)
            ray.init(nodes.address, logging_level="ERROR", log_to_driver=False)
            break
        except Exception as error:  # it gives a node 30 s to start, whatever else the machine does
            if attempt == 4 or "timed out during startup" not in str(error):
                raise
            nodes.shutdown()
            nodes = Nodes()
    yield nodes
    ray.shutdown()
    nodes.shutdown()
    patch.undo()


def test_nobody_is_at_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(UserError) as raised, connected(Cluster(address=f"127.0.0.1:{port}")):
        pass
    assert str(raised.value) == (
        f"params.yaml: E707 the Ray cluster at 127.0.0.1:{port} cannot be reached "
        f"([Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)})\n"
        "    hint: start it with `ray start --head` and `ray start --address=…`, or correct "
        "runtime.ray.address"
    )


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError) as raised, connected(Cluster()):
        pass
    assert str(raised.value) == (
        "params.yaml: E705 runtime.ray is set, and Ray is not installed\n"
        "    hint: run `pip install -e '.[ray]'`, or take `ray` out of runtime"
    )


def asks(engine: LocalEngine, blocks: int, **values: float) -> list[Request]:
    return [
        request(engine, [{"role": "user", "content": f"{'so ' * (i % 9)}{i}?"}], 12, **values)
        for i in range(blocks * ROWS - 5)
    ]


class Doomed:
    """The tiny model on an actor that notes each block that it begins.

    The first actor to begin its third block never ends it.
    """

    def __init__(self, notes: Path, folder: Path) -> None:
        self.model = Generator.load(folder)
        self.notes, self.node = notes, ray.get_runtime_context().get_node_id()
        self.begun = 0

    def generate(self, block: Sequence[Request]) -> list[Completion]:
        with (self.notes / "begun").open("a") as file:
            file.write(f"{self.node} {block[0].key}\n")
        self.begun += 1
        if self.begun == 3 and not (self.notes / "doomed").exists():
            (self.notes / "writing").write_text(self.node)
            (self.notes / "writing").rename(self.notes / "doomed")
            while True:
                time.sleep(60)
        return self.model.generate(block)


def test_a_node_is_killed_in_the_middle(
    cluster: Any, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = {node.node_id: node for node in cluster.worker_nodes}
    engine, alone = RayEngine(tiny, Cluster()), LocalEngine(tiny)
    assert (engine.endpoint, engine.model) == (alone.endpoint, alone.model)
    engine.load = partial(Doomed, tmp_path)
    requests = [*asks(engine, BLOCKS), *asks(engine, 2, temperature=0.9)]
    delivered = list[str]()

    class Killing(Store):
        def put_many(self, answers: Answers) -> None:
            super().put_many(answers)
            delivered.extend(item.key for item, _ in answers)
            doomed = tmp_path / "doomed"
            if doomed.exists() and (node := nodes.pop(doomed.read_text(), None)):
                cluster.remove_node(node, allow_graceful=False)

    with Killing(tmp_path / "many") as store:
        many = answer(requests, engine, store)
    with Store(tmp_path / "one") as store:
        one = answer(requests, alone, store)

    assert len(nodes) == 1, "no node was killed"
    assert many == one
    assert sorted(delivered) == sorted(item.key for item in requests)
    lines = [line.split() for line in (tmp_path / "begun").read_text().splitlines()]
    begun = Counter(key for _, key in lines)
    assert len(begun) == BLOCKS + 2
    # of the two that the actor had in flight, one was begun and is begun again
    assert sorted(begun.values())[-2:] == [1, 2]
    told = capsys.readouterr().out
    assert told.count("an actor was lost") == 1
    assert f"its {IN_FLIGHT} blocks go to others" in told


class Noting(Doomed):
    """Notes each block, and ends it."""

    def generate(self, block: Sequence[Request]) -> list[Completion]:
        self.begun = 9
        return super().generate(block)


def test_the_only_node_is_killed_and_another_joins(
    cluster: Any, tiny: Path, tmp_path: Path
) -> None:
    engine, alone = RayEngine(tiny, Cluster()), LocalEngine(tiny)
    engine.load = partial(Noting, tmp_path)
    requests = asks(engine, BLOCKS)
    blocks = 0

    class Killing(Store):
        def put_many(self, answers: Answers) -> None:
            nonlocal blocks
            super().put_many(answers)
            blocks += 1
            if blocks == 3:
                for node in list(cluster.worker_nodes):
                    cluster.remove_node(node, allow_graceful=False)
                cluster.add_node(num_cpus=1)

    with Killing(tmp_path / "many") as store:
        many = answer(requests, engine, store)
    with Store(tmp_path / "one") as store:
        assert answer(requests, alone, store) == many
    assert blocks == BLOCKS
    lines = [line.split() for line in (tmp_path / "begun").read_text().splitlines()]
    begun = Counter(key for _, key in lines)
    assert len({node for node, _ in lines}) >= 2
    assert len(begun) == BLOCKS
    assert 0 <= len(lines) - BLOCKS <= IN_FLIGHT


def drive(address: str, student: str, notes: str, blocks: int) -> None:
    """Answer requests through the cluster, and hang once so many blocks are in the store."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    engine = RayEngine(Path(student), Cluster(address=address))
    engine.load = partial(Noting, Path(notes))
    local.SLOTS, local.ROUNDS = ROWS, 1

    class Hanging(Store):
        put = 0

        def put_many(self, answers: Answers) -> None:
            super().put_many(answers)
            self.put += 1
            if self.put == blocks:
                print("there", flush=True)
                time.sleep(600)

    with Hanging(Path(notes) / "store") as store:
        answer(asks(engine, BLOCKS), engine, store)


def test_the_driver_is_killed_and_started_again(cluster: Any, tiny: Path, tmp_path: Path) -> None:
    code = "import sys; from tests.engines.test_ray import drive; drive(*sys.argv[1:4], 3)"
    driver = subprocess.Popen(
        [sys.executable, "-c", code, cluster.address, str(tiny), str(tmp_path)],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert driver.stdout
    try:
        assert "there\n" in iter(driver.stdout.readline, "")
    finally:
        driver.kill()
        driver.wait(60)
        driver.stdout.close()
    engine, alone = RayEngine(tiny, Cluster()), LocalEngine(tiny)
    engine.load = partial(Noting, tmp_path)
    requests = asks(engine, BLOCKS)
    with Store(tmp_path / "store") as store:
        again = answer(requests, engine, store)
    with Store(tmp_path / "one") as store:
        assert answer(requests, alone, store).completions == again.completions
    assert (again.held, again.generated) == (3 * ROWS, len(requests) - 3 * ROWS)
    lines = [line.split() for line in (tmp_path / "begun").read_text().splitlines()]
    begun = Counter(key for _, key in lines)
    assert len(begun) == BLOCKS
    actors = len(cluster.worker_nodes)
    assert 0 <= len(lines) - BLOCKS <= IN_FLIGHT * actors


def fetched(folder: Path, digest: str, shelf: Any, here: Path) -> Path:
    tempfile.tempdir = str(here)  # of this worker alone
    try:
        return at_hand(folder, digest, RemoteShelf(shelf))
    finally:
        tempfile.tempdir = None


def test_a_node_without_the_model_is_sent_it(cluster: Any, tiny: Path, tmp_path: Path) -> None:
    shelf, digest = on_shelf(ray, tiny), folder_digest(tiny)
    fetch = ray.remote(num_cpus=1)(fetched).remote
    copy = ray.get(fetch(tmp_path / "absent", digest, shelf, tmp_path))
    assert copy.is_relative_to(tmp_path)
    assert folder_digest(copy) == digest
    assert ray.get(fetch(tiny, digest, shelf, tmp_path)) == tiny
    ray.kill(shelf)


def refuse(folder: Path) -> Generator:
    raise user_error("params.yaml", "E705", "it is not installed here", "install it")


def test_a_users_mistake_comes_back_as_it_was(cluster: Any, tiny: Path) -> None:
    engine = RayEngine(tiny, Cluster())
    engine.load = refuse
    (item,) = asks(engine, 1)[:1]
    with pytest.raises(UserError) as raised:
        engine.complete([item], {item.key}, lambda answers: None)
    assert str(raised.value) == "params.yaml: E705 it is not installed here\n    hint: install it"


def crash(folder: Path) -> Generator:
    os._exit(1)


def test_an_actor_that_never_starts(cluster: Any, tiny: Path) -> None:
    engine = RayEngine(tiny, Cluster())
    engine.load = crash
    (item,) = asks(engine, 1)[:1]
    with pytest.raises(UserError) as raised:
        engine.complete([item], {item.key}, lambda answers: None)
    (problem,) = raised.value.problems
    assert (problem.file, problem.code) == ("params.yaml", "E708")
    assert problem.message.startswith(
        f"the start of an actor was lost {LOSSES + 1} times, the last time by ActorDiedError"
    )


def test_no_room(cluster: Any, tiny: Path) -> None:
    engine = RayEngine(tiny, Cluster(cpus=64))
    (item,) = asks(engine, 1)[:1]
    with pytest.raises(UserError) as raised:
        engine.complete([item], {item.key}, lambda answers: None)
    (problem,) = raised.value.problems
    assert (problem.code, problem.message) == (
        "E707",
        "no node of the Ray cluster has room for an actor of 64 CPUs and 0 GPUs",
    )


def test_the_driver_plans_as_one_process_does_without_the_weights(tiny: Path) -> None:
    here, there = Generator.load(tiny), without_weights(tiny, gpu=False)
    requests = asks(LocalEngine(tiny), 3)
    left = {item.key for item in requests[7:]}
    assert list(plan(requests, left, there)) == list(plan(requests, left, here))
    assert (there.model.device.type, there.model.dtype) == ("meta", here.model.dtype)


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("cluster", "nodes", "taken"),
    [
        (Cluster(), [node(CPU=8), node(CPU=16)], (8, 0, 3)),
        (Cluster(), [node(), node(CPU=4), node(False, CPU=4)], (4, 0, 1)),
        (Cluster(), [node(CPU=8), node(CPU=64, GPU=8), node(CPU=64, GPU=8)], (1, 1, 16)),
        (Cluster(actors=4), [node(CPU=64, GPU=8)], (1, 1, 4)),
        (Cluster(cpus=16), [node(CPU=64, GPU=8)], (16, 1, 4)),
        (Cluster(gpus=0.5), [node(CPU=64, GPU=8)], (1, 0.5, 16)),
        (Cluster(gpus=0, cpus=2), [node(CPU=9, GPU=8)], (2, 0, 4)),
    ],
)
def test_what_an_actor_takes(
    cluster: Cluster, nodes: list[dict[str, Any]], taken: tuple[float, float, int]
) -> None:
    assert take(cluster, nodes) == taken
