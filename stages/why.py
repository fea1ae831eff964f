"""What `make repro` would run, why, and what that costs: ``make why``, ``python -m stages.why``.

Runs nothing, and writes nothing but what the response store and DVC's own state keep.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from stages.changes.costs import Costs, costs, training_line
from stages.changes.pending import ABSENT, Cause, Pending, pending
from stages.core.console import clock, entry, root, say
from stages.spec.read import load_params
from stages.tracing.visible import visible

SHOWN = 8
"""Files of a folder that are named; ``--all`` names the rest."""


def main() -> None:
    """Print each stage with its causes, those that may follow, and the costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--all", action="store_true", help="name every changed file")
    arguments = parser.parse_args()
    top = root()
    params = load_params(top)
    found = pending(top)
    computed = [item.stage for item in found if not item.held]
    if arguments.format == "json":
        told: dict[str, Any] = {"stages": [asdict(item) for item in found]}
        told["costs"] = asdict(costs(top, params, computed))
        say(json.dumps(told, indent=2))
        return
    if not found:
        say("why: every stage is up to date; nothing would run")
        return
    sure = [item for item in found if item.causes]
    for item in sure:
        say("\n".join(_told(item, None if arguments.all else SHOWN)))
    later = [item.stage for item in found if not item.causes]
    if later:
        say("behind them, each only if what it reads comes out other than before")
        say(f"  {', '.join(later)}")
    # behind the causes, which are there at once; the specs may have mistakes, too
    say("costs, at most" if later else "costs")
    for line in _costs(costs(top, params, computed)):
        say(f"  {line}")
    say(f"why: {len(sure)} stages would run, {len(later)} may follow")


def _told(item: Pending, limit: int | None) -> Iterator[str]:
    yield item.stage + (" (held in DVC's run cache: nothing is computed)" if item.held else "")
    for cause in item.causes:
        yield f"  {cause.kind} {_change(cause)}"
        names = cause.files.names
        if names:
            known = f"by Git, since {cause.files.since}" if cause.files.since else "by DVC's cache"
            yield f"    files, {known}:"
            yield from (f"      {visible(name)}" for name in names[:limit])
            if limit and len(names) > limit:
                yield f"      and {len(names) - limit} more; --all names them"


def _change(cause: Cause) -> str:
    if cause.kind == "never ran":
        return f"here: {visible(cause.name)}"
    if cause.kind in ("parameter", "command"):
        return f"{visible(cause.name)}: {_value(cause.then)} → {_value(cause.now)}"
    return f"{visible(cause.name)}: {cause.change}"


def _value(value: Any) -> str:
    return ABSENT if value == ABSENT else visible(json.dumps(value, ensure_ascii=False))


def _costs(found: Costs) -> Iterator[str]:
    teaching = found.teaching
    if teaching is None:
        yield "teacher: nothing to ask"
    else:
        usd = "nobody knows the price" if teaching.usd is None else f"{teaching.usd:.2f} USD"
        time = "no time known" if teaching.seconds is None else f"about {clock(teaching.seconds)}"
        yield (
            f"teacher: {teaching.requests} requests, about {teaching.tokens:,} tokens, {usd}, "
            f"{time}; `make plan` has the tasks"
        )
    yield from map(training_line, found.training)
    known = [item for item in found.answers if item.count is not None]
    if known:
        yield "answers of the student: " + ", ".join(f"{item.stage} {item.count}" for item in known)
    if unknown := [item.stage for item in found.answers if item.count is None]:
        yield f"answers of the student: no figure yet for {', '.join(unknown)}"


if __name__ == "__main__":
    entry(main)
