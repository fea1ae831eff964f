"""Checking 1,500 tasks, rendering beside bare Jinja2 and lm-evaluation-harness, peak memory."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jinja2
import yaml

ROOT = Path(__file__).parents[1]
SUITES, TASKS, ROWS = 10, 150, 24
RENDERED = 20_000
LM_EVAL_ROWS = 2_000
QUESTION = "{0} has {1} apples and buys {2} more. How many apples does {0} have now?"


def rows_file(path: Path, count: int, start: int = 0) -> str:
    """Write word problems as JSONL; returns the SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for at in range(start, start + count):
            question = QUESTION.format(f"Person{at}", at % 97, at % 89)
            file.write(json.dumps({"question": question, "answer": at % 97 + at % 89}) + "\n")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def task(name: str, file: str, sha256: str, sizes: dict[str, int]) -> str:
    splits, before = {}, None
    for split, size in sizes.items():
        splits[split] = {"take": size, **({"after": before} if before else {})}
        before = split
    spec = {
        "spec": 1,
        "id": name,
        "title": "Add two numbers",
        "data": {"source": {"file": file, "sha256": sha256}, "splits": splits},
        "row": {"question": {"get": "question"}, "gold": {"get": "answer"}},
        "answer": {"type": "number", "extract": [{"after": "The answer is"}, {"last": "number"}]},
        "strategies": [path.stem for path in sorted((ROOT / "specs/strategies").glob("*.yaml"))],
        "examples": [{"completion": "The answer is 12.", "answer": "12"}],
    }
    return yaml.safe_dump(spec, sort_keys=False)


def project(root: Path, suites: list[str]) -> None:
    """The shipped strategies and templates, an endpoint as the teacher, and these suites."""
    for name in ("templates", "specs/strategies", "specs/schema"):
        shutil.copytree(ROOT / name, root / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= {
        "suites": suites,
        "tasks": None,
        "teacher": {"engine": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"},
        "probe": {"strategies": "all", "max_tokens": 64},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def many_tasks(root: Path) -> None:
    suites = [f"suite{number}" for number in range(SUITES)]
    project(root, suites)
    sizes = dict.fromkeys(("test", "valid", "probe", "train"), ROWS // 4)
    for suite in suites:
        for number in range(TASKS):
            name = f"{suite}_task{number}"
            file = f"data/{suite}/{name}.jsonl"
            digest = rows_file(root / file, ROWS, start=number)
            path = root / f"specs/tasks/{suite}/{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(task(name, file, digest, sizes))


def big_task(root: Path, count: int) -> None:
    project(root, ["one"])
    digest = rows_file(root / "data/rows.jsonl", count)
    sizes = {"test": 10, "valid": 10, "probe": 10, "train": count - 30}
    path = root / "specs/tasks/one/sums.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(task("sums", "data/rows.jsonl", digest, sizes))


def seconds(root: Path, *arguments: str) -> tuple[float, float]:
    """Wall seconds and peak MiB of a stage run as a user runs it."""
    # A child's peak is known only for the largest so far, so each run has its own parent.
    code = (
        "import resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "subprocess.run([sys.executable, '-m', *sys.argv[1:]], check=True, "
        "stdout=subprocess.DEVNULL)\n"
        "spent = time.perf_counter() - start\n"
        "print(spent, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=root, env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    spent, peak = map(float, done.stdout.split())
    return round(spent, 2), round(peak, 1)


def check(root: Path) -> dict[str, float]:
    many_tasks(root)
    cold, _ = seconds(root, "stages.compile", "--check")
    for path in sorted((root / "specs/tasks/suite3").glob("*.yaml"))[:3]:
        path.write_text(path.read_text().replace("Add two numbers", "Add two whole numbers"))
    three, _ = seconds(root, "stages.compile", "--check")
    shipped, _ = seconds(ROOT, "stages.compile", "--check")
    return {
        "check_1500_cold_s": cold,
        "check_1500_three_changed_s": three,
        "check_shipped_s": shipped,
    }


def rate(count: int, work: Callable[[], object]) -> float:
    """Items a second, the best of three runs."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = max(best, count / (time.perf_counter() - start))
    return best


def rendering(root: Path) -> dict[str, float]:
    """Prompts a second on one core: ours rendered and written, bare Jinja2 rendered alone."""
    from stages.compiler.build import write
    from stages.compiler.check import checked

    big_task(root, RENDERED)
    loaded = checked(root)
    names = sorted(loaded[0].strategies)
    prompts = (RENDERED - 20) * len(names)
    ours = rate(prompts, lambda: write(*loaded, root / "out"))

    bare = jinja2.Environment(loader=jinja2.FileSystemLoader(root / "templates"))
    pairs = [
        (bare.get_template(call.system), bare.get_template(call.user))
        for name in names
        for call in loaded[0].strategies[name].calls
        if call.system
    ]
    rows = list(loaded[1]["one", "sums"]["train"])

    def render_bare() -> None:
        for row in rows:
            values = {"question": row.question, "answer_marker": "The answer is"}
            for system, user in pairs:
                system.render(values)
                user.render(values)

    theirs = rate(len(rows) * len(pairs), render_bare)
    figures = {
        "prompts_per_s": round(ours),
        "jinja2_prompts_per_s": round(theirs),
        "ratio_to_jinja2": round(ours / theirs, 2),
    }
    harness = lm_eval_rate(root)
    if harness:
        figures |= {
            "lm_eval_requests_per_s": round(harness),
            "ratio_to_lm_eval": round(ours / harness, 1),
        }
    return figures


def lm_eval_rate(root: Path) -> float | None:
    """Requests a second that lm-evaluation-harness builds for the same rows, where installed."""
    try:
        from lm_eval.api.task import ConfigurableTask
    except ImportError:
        print("lm_eval is not installed; its figure is left out", file=sys.stderr)
        return None
    file = root / "data/some.jsonl"
    rows_file(file, LM_EVAL_ROWS)
    config = {
        "task": "sums",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(file)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "Think step by step, then answer. {{question}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n\n"]},
    }
    made = ConfigurableTask(config=config)
    return rate(LM_EVAL_ROWS, lambda: made.build_all_requests(limit=None, rank=0, world_size=1))


def memory(folder: Path) -> dict[str, float]:
    peaks = {}
    for count in (10_000, 100_000, 1_000_000):
        root = folder / str(count)
        root.mkdir()
        big_task(root, count)
        peaks[f"compile_peak_mib_{count}_rows"] = seconds(root, "stages.compile")[1]
        shutil.rmtree(root)
    return peaks


def main() -> None:
    parts = sys.argv[1:] or ["check", "rendering", "memory"]
    figures: dict[str, float] = {}
    for name in parts:
        with tempfile.TemporaryDirectory() as folder:
            figures |= {"check": check, "rendering": rendering, "memory": memory}[name](
                Path(folder)
            )
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"benchmark": "compile", **figures, "benchmark_peak_mib": round(own, 1)}))


if __name__ == "__main__":
    main()
