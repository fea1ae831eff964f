"""Ask the teacher for rationales: ``python -m stages.teach SUITE``.

Only under the strategies that runs train on.

Reads ``build/compiled/suites/SUITE/``, ``build/selected/SUITE.json``; writes
``build/rationales/SUITE.jsonl``.
"""

from __future__ import annotations

from stages.core.console import Progress, argument, entry, root, say
from stages.core.jsonl import read_json, read_rows, write_rows
from stages.engines.ask import request, sampling, teacher_engine
from stages.engines.fulfil import fulfil
from stages.engines.recorded import RecordedEngine
from stages.engines.store import Store, default_path
from stages.spec.read import load_params


def main() -> None:
    """Teach one suite."""
    top = root()
    params = load_params(top)
    suite = argument("suite", params.suites)
    tasks = read_json(top / f"build/compiled/suites/{suite}/tasks.json")
    selected = read_json(top / f"build/selected/{suite}.json")
    engine = teacher_engine(params.teacher, params.runtime, top)
    values = sampling(params.teacher)
    asked, texts = [], {}
    for row in read_rows(top / f"build/compiled/suites/{suite}/train.jsonl"):
        task = tasks[row["task"]]
        wanted = [*task["fixed"], *([selected[row["task"]]["strategy"]] if task["selects"] else [])]
        for strategy in dict.fromkeys(wanted):
            prompt = row["prompts"][strategy]
            for sample in range(params.samples):
                item = request(
                    engine, prompt["messages"], prompt["max_tokens"], sample=sample, **values
                )
                asked.append((row, strategy, item))
                texts[item.key] = row["worked"].get(strategy, "")
    progress = Progress(f"teach {suite}", "rationales")
    requests = [item for _, _, item in asked]
    if isinstance(engine, RecordedEngine):  # free, and the row itself is the record
        done = fulfil(requests, RecordedEngine(texts), None, progress)
    else:
        with Store(default_path()) as store:
            done = fulfil(requests, engine, store, progress)
    write_rows(
        top / f"build/rationales/{suite}.jsonl",
        (
            {"id": row["id"], "task": row["task"], "strategy": strategy, "sample": item.sample,
             **done.answer(item)}
            for row, strategy, item in asked
        ),
    )  # fmt: skip
    say(f"teach {suite}: {len(asked)} rationales, {done.generated} asked for, {done.held} held")


if __name__ == "__main__":
    entry(main)
