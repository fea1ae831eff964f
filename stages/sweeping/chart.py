"""Scaling curves as lines and points on a plane of pixels, for the template to draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stages.sweeping.design import Sweep
from stages.sweeping.summary import Key, Line

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 16, 52
STEPS = (0.05, 0.1, 0.2, 0.25)
"""Between two lines of the grid, as shares."""


@dataclass(frozen=True)
class Mark:
    """One point of a curve: where it stands, and the ends of its interval, in pixels.

    `seeds` are the heights of its single trainings; `about` tells all in words.
    """

    x: float
    y: float
    low: float
    high: float
    seeds: tuple[float, ...]
    about: str


@dataclass(frozen=True)
class Curve:
    """One run."""

    run: str
    marks: tuple[Mark, ...]

    @property
    def path(self) -> str:
        """The line through the points, as SVG has it."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


@dataclass(frozen=True)
class Chart:
    """One task. Ticks are (pixels, label)."""

    task: str
    curves: tuple[Curve, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def charts(
    sweep: Sweep, lines: Sequence[Line], seeds: Mapping[tuple[Key, int], Sequence[float]]
) -> list[Chart]:
    """A chart for each task.

    Args:
        sweep: Its axis.
        lines: Of `summarised`.
        seeds: The accuracies of the single trainings, by run and task, and by point.
    """
    places = _places(sweep)
    across = tuple(zip(places, (point.name for point in sweep.points), strict=True))
    made = []
    for task in dict.fromkeys(line.task for line in lines):
        drawn = [line for line in lines if line.task == task]
        ends = [end for line in drawn for end in (line.accuracy.low, line.accuracy.high)]
        up = _ticks(min(ends), max(ends))

        def height(share: float, up: Sequence[float] = up) -> float:
            part = (share - up[0]) / (up[-1] - up[0])
            return HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP)

        curves = []
        for run in dict.fromkeys(line.run for line in drawn):
            marks = []
            for line in (line for line in drawn if line.run == run):
                mean, single = line.accuracy, seeds.get(((run, task), line.point), ())
                about = f"{sweep.points[line.point].name}: {told(line)}"
                marks.append(
                    Mark(
                        places[line.point], height(mean.value), height(mean.low),
                        height(mean.high), tuple(map(height, single)), about,
                    )
                )  # fmt: skip
            curves.append(Curve(run, tuple(sorted(marks, key=lambda mark: mark.x))))
        grid = tuple((height(share), f"{100 * share:.0f} %") for share in up)
        made.append(Chart(task, tuple(curves), across, grid))
    return made


def told(line: Line) -> str:
    """An accuracy as a reader takes it in."""
    mean = line.accuracy
    spread = "" if mean.sd is None else f" ± {100 * mean.sd:.1f}"
    limits = f"{round(100 * mean.low)} to {round(100 * mean.high)}"
    return f"{100 * mean.value:.1f} %{spread} ({limits}), n={mean.n}"


def _places(sweep: Sweep) -> list[float]:
    """Pixels from the left; values that are no numbers stand at even distance."""
    values = [point.x for point in sweep.points]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values) or len(set(numbers)) < len(numbers):
        numbers = [float(place) for place in range(len(values))]
    elif sweep.log:
        numbers = [math.log(value) for value in numbers]
    low, high = min(numbers), max(numbers)
    inner = WIDTH - LEFT - RIGHT - 48
    return [
        LEFT + 24 + inner * ((number - low) / (high - low) if high > low else 0.5)
        for number in numbers
    ]


def _ticks(low: float, high: float) -> list[float]:
    """Round shares that enclose both, five or so."""
    step = next((step for step in STEPS if high - low <= 5 * step), STEPS[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, max(last, first + 1) + 1)]


def series(pairs: Iterable[tuple[tuple[Key, int], float]]) -> dict[tuple[Key, int], list[float]]:
    """Values gathered by what they belong to."""
    made: dict[tuple[Key, int], list[float]] = {}
    for key, value in pairs:
        made.setdefault(key, []).append(value)
    return made
