"""A built project of any size, as the stages would have left it, with hostile texts among it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml

from stages.core.jsonl import write_json, write_rows
from tests.projects import REPOSITORY

RUN, STRATEGY, TASK, SUITE = "steps", "step_by_step", "sums", "symbolic"
SCRIPT = "<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"
HOSTILE = {
    "script": f"{SCRIPT} </script><!-- {{{{ 7 * 7 }}}} The answer is 1.",
    "controls": "a\x00b\x1b[31mc\x07\x7f\x85 d\r\ne\u2028f The answer is 1.",
    "bidi": "abc \u202eRTL\u202c \u200f\u2066x\u2069 שלום مرحبا The answer is 1.",
    "emoji": "👩\u200d🚀 👍🏽 🇩🇪 The answer is 1.",
    "surrogates": "\ud800 high \udfff low The answer is 1.",
    "long": "word " * 200_000 + "The answer is 1.",
    "one_line": "x" * 1_000_000 + " The answer is 1.",
}
TALE = "the shelf holds some jars and a few of them were sold before noon so we count them"
WORDS = TALE.split()
RULES = {"type": "number", "extract": [{"after": "The answer is"}, {"last": "number"}]}


def rationale(draw: random.Random, gold: int) -> tuple[str, str]:
    """About 1 KB that ends in an answer, and what `curate` says of it."""
    said = " ".join(draw.choices(WORDS, k=150))
    a, b = draw.randint(2, 99), draw.randint(2, 99)
    kind = draw.random()
    if kind < 0.7:
        return f"{said}. {a} + {b} = {a + b}. The answer is {gold}.", "kept"
    if kind < 0.85:
        return f"{said}. {a} + {b} = {a + b + 1}. The answer is {gold + 1}.", "wrong answer"
    if kind < 0.93:
        return f"{said}. I cannot say", "no answer found"
    return f"{said} " + "and then " * 20, "cut short"


def build(top: Path, rows: int, tested: int = 20, seed: int = 0) -> int:
    """Write `rows` rationales besides the hostile ones under `top`; returns how many there are."""
    draw = random.Random(seed)
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    params |= {"suites": [SUITE], "tasks": None, "runs": {RUN: {"train_on": STRATEGY}}}
    params["evaluate"] = {"max_tokens": 8}
    (top / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    texts = [*HOSTILE.items(), *((None, None) for _ in range(rows))]
    train, rationales, curated, dropped = [], [], [], []
    for at, (name, text) in enumerate(texts):
        gold = 1 if name else draw.randint(2, 99)
        question = f"Row {at}: {name or ' '.join(draw.choices(WORDS, k=20))}?"
        if name == "script":
            question += SCRIPT
        said, reason = (text, "kept") if text else rationale(draw, gold)
        row = {"id": f"{TASK}/train/{name or at}", "task": TASK}
        train.append(
            {**row, "question": question, "gold": str(gold), "answer": str(gold), "options": [],
             "worked": {}, "prompts": {STRATEGY: {"max_tokens": 99, "messages": [
                 {"role": "system", "content": "Reason step by step."},
                 {"role": "user", "content": f"Question: {question}\nReason."}]}}}
        )  # fmt: skip
        place = {**row, "strategy": STRATEGY, "sample": 0}
        rationales.append(
            {**place, "completion": said, "completion_tokens": 100, "error": "",
             "finish_reason": "length" if reason == "cut short" else "stop",
             "calls": [{"prompt_tokens": 50}]}
        )  # fmt: skip
        if reason == "kept":
            curated.append({**place, "rationale": said, "answer": str(gold)})
        else:
            dropped.append({**place, "reason": reason, "answer": None, "gold": str(gold),
                            "completion": said})  # fmt: skip
    counts: dict[str, int] = {"kept": len(curated)}
    for line in dropped:
        counts[line["reason"]] = counts.get(line["reason"], 0) + 1
    of_rows = {
        "rows": len(texts), "kept": len(curated), "vanished": [], "added": {},
        "difficulty": {"by": "characters", "parts": [], "before": 1.0, "after": 1.0,
                       "trained": None},
    }  # fmt: skip
    header = {"counts": {TASK: {STRATEGY: counts}}, "rows": {TASK: {STRATEGY: of_rows}}}
    suite, run = top / f"build/compiled/suites/{SUITE}", top / f"build/compiled/runs/{RUN}"
    tasks = {TASK: {"suite": SUITE, "answer": RULES}}
    write_json(suite / "tasks.json", tasks)
    write_rows(suite / "train.jsonl", train)
    write_rows(top / f"build/rationales/{SUITE}.jsonl", rationales)
    write_rows(top / f"build/curated/{SUITE}.jsonl", curated)
    write_rows(top / f"build/yield/{SUITE}.jsonl", [header, *dropped])
    write_json(top / f"build/selected/{SUITE}.json", selected())
    mix = {"run": RUN, "train_on": STRATEGY, "strategies": {TASK: STRATEGY}}
    write_rows(top / f"build/mix/{RUN}.jsonl", [mix])
    write_json(run / "tasks.json", tasks)
    asked = [
        {"id": f"{TASK}/test/{at}", "task": TASK, "question": f"Test {at}?", "gold": "7",
         "options": [], "messages": [{"role": "user", "content": f"Test {at}?"}]}
        for at in range(tested)
    ]  # fmt: skip
    write_rows(run / "test.jsonl", asked)
    folder = top / f"build/evaluations/{RUN}"
    write_rows(folder / "predictions.jsonl", list(map(prediction, asked)))
    score = {"accuracy": 0.5, "ci_low": 0.3, "ci_high": 0.7, "n": tested, "mean_tokens": 12.5}
    write_json(folder / "scores.json", {TASK: score, "macro": score})
    loss = [{"step": step, "loss": 2 / step} for step in range(1, 500)]
    write_json(top / f"build/training/{RUN}/loss.json", loss)
    valid = [{"step": 250, "valid_accuracy": 0.4}, {"step": 499, "valid_accuracy": 0.5}]
    write_json(top / f"build/training/{RUN}/valid.json", valid)
    return len(texts) + tested


def prediction(row: dict[str, Any]) -> dict[str, Any]:
    """Every second one is right."""
    right = int(row["id"].rpartition("/")[2]) % 2 == 0
    return {
        **{name: row[name] for name in ("id", "task", "question", "gold")},
        "completion": f"3 + 4 = {7 if right else 8}. The answer is {7 if right else 8}.",
        "answer": "7" if right else "8", "correct": right, "follows_format": True, "error": "",
        "finish_reason": "stop", "completion_tokens": 12,
    }  # fmt: skip


def selected() -> dict[str, Any]:
    """A choice between two strategies."""
    evidence = [
        {"strategy": name, "correct": right, "n": 10, "accuracy": right / 10, "ci_low": 0.05,
         "ci_high": 0.8, "mean_tokens": 20.0, "p_best": p}
        for name, right, p in (("direct", 2, 0.1), (STRATEGY, 6, 0.9))
    ]  # fmt: skip
    return {
        TASK: {"strategy": STRATEGY, "reason": "it is the best <b>", "at_floor": False,
               "evidence": evidence, "chance": 0.1}
    }  # fmt: skip
