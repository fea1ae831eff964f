"""Measure one run on the test rows: ``python -m stages.evaluate RUN``.

Reads ``build/checkpoints/RUN``, ``build/compiled/runs/RUN/test.jsonl``; writes
``build/evaluations/RUN/scores.json`` and ``predictions.jsonl``.
"""

from __future__ import annotations

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_json, write_rows
from stages.engines.ask import request
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil, single
from stages.engines.local import LocalEngine
from stages.engines.store import Store, default_path
from stages.scoring.judge import accuracy, by_task, judge
from stages.scoring.stats import macro
from stages.spec.read import load_params


def main() -> None:
    """Evaluate one run, greedy and without examples in the prompt."""
    top = root()
    params = load_params(top)
    run = argument("run", [item.id for item in params.runs])
    limit = params.evaluate["max_tokens"]
    folder, out = top / f"build/compiled/runs/{run}", top / f"build/evaluations/{run}"
    tasks = read_json(folder / "tasks.json")
    engine = LocalEngine(top / f"build/checkpoints/{run}")
    asked = [
        (row, request(engine, row["messages"], limit, about=f"test/{row['task']}/{run}"))
        for row in read_rows(folder / "test.jsonl")
    ]
    with Store(default_path()) as store:
        progress = Progress(f"evaluate {run}", "answers")
        jobs = [single(item) for _, item in asked]
        counts = fulfil(jobs, len(asked), engine, store, progress)
        answers = list(replay([single(item) for _, item in asked], store))
    predictions = []
    for (row, item), answer in zip(asked, answers, strict=True):
        verdict = judge(answer.text, row, tasks[row["task"]])
        predictions.append(
            {"id": row["id"], "task": row["task"], "question": row["question"], "gold": row["gold"],
             "answer": verdict.answer, "correct": verdict.correct,
             "follows_format": verdict.follows_format, "key": item.key, "completion": answer.text,
             "finish_reason": answer.finish_reason,
             "completion_tokens": answer.completion_tokens, "error": answer.error}
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
    made = f"{len(asked)} answers, {counts.generated} generated, {counts.held} held"
    say(
        f"evaluate {run}: {made}; "
        + ", ".join(f"{k} {v['accuracy']:.1%}" for k, v in scores.items())
    )


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0


if __name__ == "__main__":
    entry(main)
