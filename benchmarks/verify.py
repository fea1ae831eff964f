"""Completions judged in a second on one core, by answer type: ``make bench verify``.

A completion is a rationale of 300 characters that states its answer behind the marker; half are
right. Median of five rounds in processor time, extraction and comparison together. Maths is given
twice: numbers, which are compared as text, and formulas, which a worker process compares (wall
time, since the work is done there; each pair is new to it).
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from stages.scoring.judge import judge
from stages.scoring.verify import ANSWER_TYPES

ROWS, ROUNDS, FORMULAS, TARGET = 4000, 5, 150, 20_000
WORDS = "the shelf holds some rows of jars and a few of them were sold before noon so we count"
NAMES = ["Ann Lee", "Tom Brady", "the Bears", "Oakland Raiders", "Dr. Who", "New York", "Kim Ng"]
ITEM = tuple[str, dict[str, Any], dict[str, Any]]


def stated(kind: str, draw: random.Random) -> tuple[str, str]:
    """A gold answer, and how a model may write it."""
    number = draw.randint(2, 99_999)
    if kind in ("number", "maths"):
        return str(number), draw.choice([f"{number:,}", f"${number}.00", f"**{number}** apples"])
    if kind == "choice":
        letter = draw.choice("ABC")
        return letter, draw.choice(
            [f"({letter})", f"{letter}", f"({letter}) {NAMES['ABC'.index(letter)]}"]
        )
    if kind == "yes_no":
        word = draw.choice(["yes", "no"])
        return word, draw.choice([word, f"{word.title()}, it is"])
    if kind == "date":
        month, day, year = draw.randint(1, 12), draw.randint(1, 28), draw.randint(1900, 2030)
        name = time.strftime("%B", time.strptime(str(month), "%m"))
        return f"{month:02}/{day:02}/{year}", draw.choice(
            [f"{month}/{day}/{year}", f"{name} {day}, {year}", f"{year}-{month:02}-{day:02}"]
        )
    some = draw.sample(NAMES, 3)
    if kind == "list":
        return json.dumps(some), f"{some[0]}, {some[1]} and {some[2]}"
    if kind == "f1":
        return " | ".join(some[:2]), f"{some[0]} and {some[1]}"
    return some[0], f'"{some[0]}"'


def rows(kind: str, draw: random.Random) -> list[ITEM]:
    """What `judge` is given; every second completion states the answer of another row."""
    pairs = [stated(kind, draw) for _ in range(ROWS)]
    task = {"answer": {"type": kind, "extract": [{"after": "The answer is"}]}}
    made = []
    for index, (gold, _) in enumerate(pairs):
        said = pairs[index if index % 2 else index - 1][1]
        steps = " ".join(draw.choices(WORDS.split(), k=62))
        row = {"gold": gold, "options": NAMES[:3] if kind == "choice" else []}
        made.append((f"{steps}. The answer is {said}.", row, task))
    return made


def formulas(draw: random.Random) -> list[ITEM]:
    task = {"answer": {"type": "maths", "extract": [{"boxed": True}]}}
    made: list[ITEM] = []
    for index in range(FORMULAS):
        a, b = draw.randint(2, 999), draw.randint(2, 999)
        said, gold = draw.choice(
            [
                (rf"(x+{a})(x-{b})", rf"x^2 + {a - b}x - {a * b}"),
                (rf"\frac{{{a}\sqrt{{{b}}}}}{{{b}}}", rf"\frac{{{a}}}{{\sqrt{{{b}}}}}"),
                (rf"\frac{{{a}\pi}}{{{b}}}", rf"{a}\pi/{b + index % 2}"),
            ]
        )
        made.append((rf"So it is $\boxed{{{said}}}$.", {"gold": gold, "options": []}, task))
    return made


def rate(items: list[ITEM], clock: Callable[[], float], rounds: int) -> int:
    taken = []
    for _ in range(rounds):
        start = clock()
        for completion, row, task in items:
            judge(completion, row, task)
        taken.append(clock() - start)
    return round(len(items) / statistics.median(taken))


def main() -> None:
    draw = random.Random(0)
    rates = {}
    for kind in ANSWER_TYPES:
        items = rows(kind, draw)
        assert sum(judge(*item).correct for item in items) >= ROWS // 2, kind
        rates[kind] = rate(items, time.process_time, ROUNDS)
    judge(*formulas(draw)[0])  # starts the worker
    plain = {kind: value for kind, value in rates.items() if kind != "maths"}
    slowest = min(plain, key=plain.__getitem__)
    print(
        json.dumps(
            {
                "bench": "verify", "per_second": rates,
                "formulas_per_second": rate(formulas(draw), time.perf_counter, 1),
                "slowest": slowest, "target": TARGET, "met": plain[slowest] >= TARGET,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
