"""What DVC itself costs a stage, beside make on the same graph: ``make bench dvc_overhead``.

A project of the shape of this one (a chain for each suite, a pair of stages for each run, one that
gathers) whose commands copy a small file is brought up to date from nothing, once more when nothing
has changed, and after a change of one suite's source; by ``dvc repro`` and by GNU make. Prints
seconds, and the seconds that DVC adds to each stage that runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHAIN = ("probe", "select", "teach", "curate")
Stage = tuple[str, list[str], str]  # name, deps, output


def graph(suites: int, runs: int) -> list[Stage]:
    made: list[Stage] = [("compile", ["source"], "compiled")]
    for suite in range(suites):
        before = "compiled"
        for step in CHAIN:
            made.append((f"{step}{suite}", [before, f"source{suite}"], f"{step}{suite}.out"))
            before = f"{step}{suite}.out"
    made.append(("mix", [f"curate{suite}.out" for suite in range(suites)], "mixed"))
    for run in range(runs):
        made.append((f"train{run}", ["mixed"], f"model{run}"))
        made.append((f"evaluate{run}", [f"model{run}"], f"scores{run}"))
    made.append(("report", [f"scores{run}" for run in range(runs)], "page"))
    return made


def command(stage: Stage) -> str:
    return f"cat {' '.join(stage[1])} > {stage[2]}"


def project(folder: Path, stages: list[Stage], suites: int) -> None:
    folder.mkdir()
    for name in ("source", *(f"source{suite}" for suite in range(suites))):
        (folder / name).write_text(name)
    listed = {name: {"cmd": command((name, d, o)), "deps": d, "outs": [o]} for name, d, o in stages}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": listed}))
    rules = "".join(f"{o}: {' '.join(d)}\n\t@{command((n, d, o))}\n" for n, d, o in stages)
    (folder / "Makefile").write_text(f"page:\n{rules}")
    for line in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(line, cwd=folder, check=True, env=ENVIRONMENT)


def timed(folder: Path, *line: str) -> float:
    start = time.perf_counter()
    subprocess.run(line, cwd=folder, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - start


def measure(suites: int, runs: int) -> dict[str, Any]:
    stages = graph(suites, runs)
    made: dict[str, Any] = {"stages": len(stages)}
    with tempfile.TemporaryDirectory() as name:
        for tool, line in (("dvc", ["dvc", "repro"]), ("make", ["make", "page"])):
            folder = Path(name) / tool
            project(folder, stages, suites)
            whole, idle = timed(folder, *line), timed(folder, *line)
            time.sleep(1.1)  # make compares times of files
            (folder / "source0").write_text("changed")
            one = timed(folder, *line)
            took = {"from_nothing": whole, "nothing_changed": idle, "one_suite": one}
            made[tool] = {key: round(value, 2) for key, value in took.items()}
    added = made["dvc"]["from_nothing"] - made["make"]["from_nothing"]
    made["added_s_per_stage"] = round(added / len(stages), 3)
    return made


ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 4, 8], help="suites, and runs")
    args = parser.parse_args()
    print(
        json.dumps(
            {"benchmark": "dvc_overhead", "sizes": [measure(size, size) for size in args.sizes]}
        )
    )


if __name__ == "__main__":
    main()
