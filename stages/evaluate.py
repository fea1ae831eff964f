"""Measure one run on the test rows: ``python -m stages.evaluate RUN``.

Reads ``build/checkpoints/RUN``, ``build/compiled/runs/RUN/test.jsonl``; writes
``build/evaluations/RUN/scores.json`` and ``predictions.jsonl``.
"""

from __future__ import annotations

from collections.abc import Iterator

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_json, write_rows
from stages.engines.ask import examination
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil, single
from stages.engines.local import LocalEngine
from stages.engines.request import Job, Request
from stages.engines.store import Store, default_path
from stages.scoring.judge import accuracy, by_task, judge
from stages.scoring.stats import macro
from stages.spec.read import load_params
from stages.teaching.chain import Asking, Record


def main() -> None:
    """Evaluate one run, greedy and without examples in the prompt."""
    top = root()
    params = load_params(top)
    run = argument("run", [item.id for item in params.runs])
    limit = params.evaluate["max_tokens"]
    chosen = next(read_rows(top / f"build/mix/{run}.jsonl"))["strategies"]
    folder, out = top / f"build/compiled/runs/{run}", top / f"build/evaluations/{run}"
    tasks = read_json(folder / "tasks.json")
    engine = LocalEngine(top / f"build/checkpoints/{run}")
    rows = list(read_rows(folder / "test.jsonl"))
    # an untrained student goes through all calls of the strategy that it is prompted with
    asking = Asking(engine, "test", read_json(folder / "calls.json"), ceiling=limit)

    def jobs() -> Iterator[Job[Record]]:
        for row in rows:
            if "prompts" in row:
                yield asking.chain(row, chosen[row["task"]])
            else:
                about = f"test/{row['task']}/{run}"
                yield _alone(examination(engine, row, chosen, limit, about=about))

    with Store(default_path()) as store:
        progress = Progress(f"evaluate {run}", "answers")
        counts = fulfil(jobs(), len(rows), engine, store, progress)
        answers = list(replay(jobs(), store))
    predictions = []
    for row, answer in zip(rows, answers, strict=True):
        verdict = judge(answer["completion"], row, tasks[row["task"]])
        predictions.append(
            {"id": row["id"], "task": row["task"], "question": row["question"], "gold": row["gold"],
             "answer": verdict.answer, "correct": verdict.correct,
             "follows_format": verdict.follows_format, "key": answer["calls"][-1]["key"],
             "completion": answer["completion"], "finish_reason": answer["finish_reason"],
             "completion_tokens": answer["completion_tokens"], "error": answer["error"]}
        )  # fmt: skip
    write_rows(out / "predictions.jsonl", predictions)
    groups = by_task(predictions, tasks)
    scores = {
        name: {
            **accuracy([item["correct"] for item in group]),
            "format_followed": _mean([item["follows_format"] for item in group]),
            "mean_tokens": _mean([item["completion_tokens"] for item in group]),
        }
        for name, group in groups.items()
    }
    mean, low, high = macro([[item["correct"] for item in group] for group in groups.values()])
    scores["macro"] = {
        "accuracy": round(mean, 4), "ci_low": round(low, 4), "ci_high": round(high, 4),
        "n": len(predictions),
    }  # fmt: skip
    write_json(out / "scores.json", scores)
    made = f"{len(rows)} answers, {counts.generated} generated, {counts.held} held"
    say(
        f"evaluate {run}: {made}; "
        + ", ".join(f"{k} {v['accuracy']:.1%}" for k, v in scores.items())
    )


def _alone(item: Request) -> Job[Record]:
    """One request as `Asking.chain` records a strategy of one call."""
    done = yield from single(item)
    return {
        "completion": done.text,
        "finish_reason": done.finish_reason,
        "completion_tokens": done.completion_tokens,
        "error": done.error,
        "calls": [{"key": item.key}],
    }


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0


if __name__ == "__main__":
    entry(main)
