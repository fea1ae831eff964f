"""Actors at work on blocks of requests; who hands blocks out, and out again when a node is lost.

Knows Ray only as the object that it is given.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stages.core.console import say
from stages.core.errors import UserError, user_error
from stages.engines.request import Answers, Request

IN_FLIGHT = 2
"""Blocks at an actor: one that it answers, and one that waits so that the actor does not."""
LOSSES = 3
"""Times that one block, or the start of an actor, may be lost before the run is given up."""


@dataclass
class Crew:
    """Actors at work. Whoever dies is replaced, and its blocks go to the next that is free.

    Args:
        ray: The library, connected.
        start: Starts an actor.
        patience: As of `Cluster`.
    """

    ray: Any
    start: Callable[[], Any]
    patience: float
    _actors: list[Any] = field(default_factory=list)
    _ready: list[Any] = field(default_factory=list)
    _flying: dict[Any, tuple[Any, int | None]] = field(default_factory=dict)
    _losses: Counter[int | None] = field(default_factory=Counter)

    def answers(self, blocks: Sequence[list[Request]], count: int) -> Iterator[Answers]:
        """Answers to every block, in the order in which they come back.

        Args:
            blocks: To be answered.
            count: Actors.
        """
        todo = deque(range(len(blocks)))
        left = len(blocks)
        for _ in range(count):
            self._hire()
        while left:
            for reference, (actor, at) in self._landed():
                try:
                    made = self.ray.get(reference)
                except self.ray.exceptions.RayTaskError as error:
                    raise _cause(error) from None
                except self.ray.exceptions.RayError as error:
                    self._lost(actor, at, error)
                    if at is not None:
                        todo.appendleft(at)
                    continue
                if at is None:
                    self._losses.pop(None, None)
                    self._ready.append(actor)
                else:
                    left -= 1
                    yield list(zip(blocks[at], made, strict=True))
            self._feed(todo, blocks)

    def dismiss(self) -> None:
        """End all actors, and what they have under way."""
        for actor in self._actors:
            self.ray.kill(actor)

    def _hire(self) -> None:
        actor = self.start()
        self._actors.append(actor)
        self._flying[actor.ready.remote()] = actor, None

    def _landed(self) -> list[tuple[Any, tuple[Any, int | None]]]:
        found, _ = self.ray.wait(list(self._flying), timeout=self.patience)
        if not found and not self._ready:
            raise user_error(
                "params.yaml", "E707",
                f"no node of the Ray cluster had room for an actor in {self.patience:g} s",
                "what was answered is in the store; bring nodes back and run again",
            )  # fmt: skip
        return [(reference, self._flying.pop(reference)) for reference in found]

    def _feed(self, todo: deque[int], blocks: Sequence[list[Request]]) -> None:
        busy = Counter(id(actor) for actor, _ in self._flying.values())
        for depth in range(IN_FLIGHT):
            for actor in self._ready:
                if todo and busy[id(actor)] <= depth:
                    at = todo.popleft()
                    self._flying[actor.generate.remote(blocks[at])] = actor, at
                    busy[id(actor)] += 1

    def _lost(self, actor: Any, at: int | None, error: Exception) -> None:
        self._losses[at] += 1
        if self._losses[at] > LOSSES:
            what = "the start of an actor" if at is None else f"block {at}"
            raise user_error(
                "params.yaml", "E708",
                f"{what} was lost {self._losses[at]} times, the last time by "
                f"{type(error).__name__}: {_first_line(error)}",
                "see Ray's logs for the node; an actor that outgrows its memory ends like this",
            )  # fmt: skip
        if actor in self._actors:
            blocks = (at is not None) + sum(
                other is actor and block is not None for other, block in self._flying.values()
            )
            say(f"  an actor was lost ({type(error).__name__}); its {blocks} blocks go to others")
            self._actors.remove(actor)
            if actor in self._ready:
                self._ready.remove(actor)
            self._hire()


def _cause(error: Any) -> Exception:
    """A user's mistake as it was on the node; anything else with its traceback there."""
    cause: Exception = error.cause if isinstance(error.cause, UserError) else error
    return cause


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
