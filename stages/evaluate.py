"""Measure one run on the test rows: ``python -m stages.evaluate RUN``.

Reads ``build/checkpoints/RUN``, ``build/compiled/runs/RUN/test.jsonl``; writes
``build/evaluations/RUN/scores.json`` and ``predictions.jsonl``, one line a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_json, write_rows
from stages.engines.ask import examination, local_engine
from stages.engines.desk import replay
from stages.engines.fulfil import fulfil, single
from stages.engines.request import Job, Request
from stages.engines.store import Store, default_path
from stages.scoring.items import MACRO
from stages.scoring.judge import judge
from stages.scoring.metrics import Scores, scores
from stages.scoring.verify import score
from stages.spec.decoding import Decoding
from stages.spec.read import load_params
from stages.teaching.chain import Asking, Record


def main() -> None:
    """Evaluate one run as ``params.yaml`` says, without examples in the prompt."""
    top = root()
    params = load_params(top)
    run = argument("run", [item.id for item in params.runs])
    decoding = Decoding.of(params.evaluate)
    limit = decoding.max_tokens
    chosen = next(read_rows(top / f"build/mix/{run}.jsonl"))["strategies"]
    folder, out = top / f"build/compiled/runs/{run}", top / f"build/evaluations/{run}"
    tasks = read_json(folder / "tasks.json")
    engine = local_engine(top / f"build/checkpoints/{run}", params.runtime)
    rows = list(product(read_rows(folder / "test.jsonl"), range(decoding.samples)))
    # an untrained student goes through all calls of the strategy that it is prompted with
    later = read_json(folder / "calls.json")
    asking = Asking(engine, "test", later, decoding.values, ceiling=limit, forces=True)

    def jobs() -> Iterator[Job[Record]]:
        for row, sample in rows:
            if "prompts" in row:
                yield asking.chain(row, chosen[row["task"]], sample)
            else:
                values = {**decoding.values, "about": f"test/{row['task']}/{run}"}
                yield _alone(examination(engine, row, chosen, limit, sample=sample, **values))

    with Store(default_path()) as store:
        progress = Progress(f"evaluate {run}", "answers")
        counts = fulfil(jobs(), len(rows), engine, store, progress)
        answers = list(replay(jobs(), store))
    predictions = [
        _prediction(row, answer, tasks[row["task"]])
        | ({"sample": sample} if decoding.samples > 1 else {})
        for (row, sample), answer in zip(rows, answers, strict=True)
    ]
    write_rows(out / "predictions.jsonl", predictions)
    made = scores(predictions, tasks, decoding.samples, decoding.ks)
    write_json(out / "scores.json", made)
    told = f"{len(rows)} answers, {counts.generated} generated, {counts.held} held"
    say(
        f"evaluate {run}: {told}; " + ", ".join(f"{k} {v['accuracy']:.1%}" for k, v in made.items())
    )
    if decoding.samples > 1:
        say(f"evaluate {run}: {_majority(made, decoding)}")


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


def _prediction(row: Mapping[str, Any], answer: Record, task: Mapping[str, Any]) -> Record:
    verdict, kind = judge(answer["completion"], row, task), task["answer"]["type"]
    return {
        "id": row["id"], "task": row["task"], "question": row["question"], "gold": row["gold"],
        "answer": verdict.answer, "correct": verdict.correct,
        "follows_format": verdict.follows_format, "key": answer["calls"][-1]["key"],
        "completion": answer["completion"], "finish_reason": answer["finish_reason"],
        "completion_tokens": answer["completion_tokens"], "error": answer["error"],
        **({"f1": score(verdict.answer, row["gold"], kind)} if kind == "f1" else {}),
    }  # fmt: skip


def _majority(made: Scores, decoding: Decoding) -> str:
    """The vote of all samples, and how often it had no majority to go by."""
    most = max(decoding.ks)
    tasks = {name: score for name, score in made.items() if name != MACRO}
    votes = ", ".join(f"{name} {score[f'maj@{most}']:.1%}" for name, score in tasks.items())
    ties = sum(score["maj_ties"] for score in tasks.values())
    return (
        f"maj@{most}: {votes}; {ties} of {made[MACRO]['n']} items tied over all "
        f"{decoding.samples} samples, where the answer that came first counts"
    )


if __name__ == "__main__":
    entry(main)
