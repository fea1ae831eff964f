"""From a result back to its sources, from a row forward: ``make trace``.

``METRIC=run/task``, ``ROW=task/split/number`` or ``KEY=`` the beginning of a request's key. Reads
``build/``, ``dvc.lock``, the specs, Git and the response store; writes nothing.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, is_dataclass
from typing import Any

from stages.core.console import entry, root, say
from stages.core.errors import user_error
from stages.spec.read import load_params
from stages.tracing.chain import Tracer
from stages.tracing.held import Held, Row
from stages.tracing.keys import request
from stages.tracing.told import told


def main() -> None:
    """Print the chain."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--metric", help="run/task: from a score back")
    what.add_argument("--row", help="task/split/number: a test row back, a train row forward")
    what.add_argument("--key", help="the beginning of a request's key")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    top = root()
    tracer = Tracer(Held(top), load_params(top))
    if arguments.metric:
        run, _, task = arguments.metric.partition("/")
        chain = tracer.metric(run, task)
    elif arguments.row:
        chain = tracer.row(arguments.row)
    else:
        chain = _of_key(tracer, arguments.key)
    if arguments.format == "json":
        say(json.dumps(chain, indent=2, default=_plain))
    else:
        say("\n".join(line for link in chain for line in told(link)))


def _of_key(tracer: Tracer, prefix: str) -> list[Row]:
    if len(prefix) < 4:
        raise user_error("command line", "E513", f"{prefix!r} is too short", "give 4 digits")
    found = request(tracer.held, tracer.params, prefix.lower())
    return [found, *(tracer.row(found["row"]) if found.get("row") else [])]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"no JSON for {type(value)}")


if __name__ == "__main__":
    entry(main)
