"""What `report` gathers from predictions, and what its page says of how runs were measured."""

from __future__ import annotations

from typing import Any

import pytest

from stages import report
from stages.core.jsonl import write_json, write_rows
from stages.scoring import clustered
from stages.scoring.paired import Pairs, mcnemar
from stages.spec.model import Params
from stages.spec.read import load_params
from tests.pipeline import edited
from tests.projects import Copy


def measure(project: Copy, rights: dict[str, list[str]], **section: Any) -> Params:
    """Two runs' predictions: a question for each text, a sample for each of its letters."""
    with edited(project.root / "params.yaml") as params:
        params["runs"] = {run: {"train_on": "nothing"} for run in rights}
        params["evaluate"] = {"max_tokens": 8, **section}
    for run, texts in rights.items():
        rows = [
            {"id": f"sums/test/{i}", "task": "sums", "question": f"<{i}>", "gold": "1",
             "correct": right == "r", "completion": f"{run} & {sample}", "answer": None,
             "error": "", "finish_reason": "stop", "completion_tokens": 3,
             **({"sample": sample} if len(samples) > 1 else {})}
            for i, samples in enumerate(texts) for sample, right in enumerate(samples)
        ]  # fmt: skip
        folder = project.root / f"build/evaluations/{run}"
        write_rows(folder / "predictions.jsonl", rows)
        several = {"samples": 2, "pass@1": 0.5, "pass@2": 0.75, "maj@1": 0.5, "maj@2": 0.5,
                   "maj_ties": 1} if "samples" in section else {}  # fmt: skip
        score = {"accuracy": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": len(texts)}
        write_json(folder / "scores.json", {"sums": {**score, **several}, "macro": score})
        for name in ("valid", "loss"):
            write_json(project.root / f"build/training/{run}/{name}.json", [])
        write_rows(project.root / f"build/mix/{run}.jsonl", [
            {"run": run, "train_on": "nothing", "strategies": {"sums": ""}}
        ])  # fmt: skip
        compiled = project.root / f"build/compiled/runs/{run}"
        answer = {"type": "number", "extract": [{"after": "answer is"}]}
        write_json(compiled / "tasks.json", {"sums": {"answer": answer}})
        write_rows(compiled / "test.jsonl", [
            {"id": f"sums/test/{i}", "task": "sums", "question": f"<{i}>", "gold": "1",
             "options": [], "messages": [{"role": "user", "content": f"<{i}>"}]}
            for i in range(len(texts))
        ])  # fmt: skip
    write_json(project.root / "build/compiled/suites/symbolic/tasks.json", {})
    for name in ("compiled/suites/symbolic/train", "rationales/symbolic", "curated/symbolic"):
        write_rows(project.root / f"build/{name}.jsonl", [])
    write_rows(project.root / "build/yield/symbolic.jsonl", [{"counts": {}, "rows": {}}])
    selected = {"sums": {"strategy": "direct", "reason": "r", "at_floor": False, "evidence": []}}
    write_json(project.root / "build/selected/symbolic.json", selected)
    return load_params(project.root)


def test_one_sample_is_tested_by_mcnemar(project: Copy) -> None:
    params = measure(project, {"base": list("rrwww"), "tuned": list("rwrrr")})
    made = report.gather(project.root, params)
    assert made["tuned"]["sums"]["p_against_base"] == float(f"{mcnemar(Pairs(1, 3, 1, 0)):.3g}")
    assert "p_against_base" not in made["base"]["sums"]
    assert made["tuned"]["macro"] == {"accuracy": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": 5}


def test_several_samples_are_paired_by_share(project: Copy) -> None:
    section = {"samples": 2, "temperature": 0.7}
    params = measure(project, {"base": ["rw", "ww", "rr"], "tuned": ["rr", "rw", "rr"]}, **section)
    made = report.gather(project.root, params)
    p = clustered.sign_flips([([0.5, 0.0, 1.0], [1.0, 0.5, 1.0])])
    assert made["tuned"]["sums"]["p_against_base"] == float(f"{p:.3g}")


GREEDY = "Share of test rows answered rightly, greedy decoding, with a 95 % interval (Wilson; "
ONE = "Share of test rows answered rightly, one answer sampled at temperature 0.5, with a 95 % "
SEVERAL = (
    "Mean share of right answers among 2 to each test row, sampled at temperature 0.7, with a "
)


@pytest.mark.parametrize(
    ("rights", "section", "told"),
    [
        ("rw", {}, GREEDY),
        ("rw", {"temperature": 0.5}, ONE),
        (["rw", "wr"], {"samples": 2, "temperature": 0.7}, SEVERAL),
    ],
)
def test_the_page_says_how_runs_were_measured(
    project: Copy, rights: Any, section: dict[str, Any], told: str
) -> None:
    params = measure(project, {"base": list(rights), "tuned": list(rights)}, **section)
    chosen = report.selections(project.root, params)
    page = report.render(project.root, params, report.gather(project.root, params), chosen)
    assert f"<p>{told}" in page
    several = "samples" in section
    assert ("p is McNemar&#39;s" in page or "p is McNemar's" in page) != several
    row = "<tr><th>base</th><th>sums</th><td>50.0 %</td><td>75.0 %</td><td>50.0 %</td>"
    assert (row in page) == several
    # what has no data is told
    for told in (
        "<p>No strategy was probed: sums takes direct.</p>", "<p>Not trained.</p>",
        "<p>No rationale was asked for.</p>", "writes this page with their curves to",
    ):  # fmt: skip
        assert told in page
    # the example of a mistake is no markup
    assert "base &amp; " in page
    assert "&lt;0&gt;" in page or "&lt;1&gt;" in page
    assert f"{2 * sum(map(len, rights))} texts. Keys:" in page


def test_sweeps_that_have_run_are_drawn_on_a_page_of_their_own(project: Copy) -> None:
    params = measure(project, {"base": list("rw"), "tuned": list("rw")})
    mean = {"value": 0.5, "low": 0.4, "high": 0.6, "sd": None, "n": 9, "seeds": 1}
    points = [{"name": "1", "x": 1.0}, {"name": "8", "x": 8.0}]
    rows = [{"run": "tuned", "task": "sums", "point": "1", "seed": 1, "accuracy": 0.5}]
    lines = [
        {"run": "tuned", "task": "sums", "point": point["name"], "accuracy": mean, "gain": None}
        for point in points
    ]
    write_json(
        project.root / "build/sweeps/tiny.json",
        {"title": "Rows <b>", "axis": "rows", "rows": rows, "summary": lines, "points": points},
    )
    metrics = report.gather(project.root, params)
    page = report.render(project.root, params, metrics, {}, sweeps=True)
    assert "<h3>Rows &lt;b&gt;</h3>" in page
    assert page.count('aria-label="tuned, 8: 50.0 % (40 to 60)"') == 2  # interval and dot
    assert "<p>No run selects a strategy by task, so that none was probed.</p>" in page
    bare = report.render(project.root, params, metrics, {})
    assert "tuned, 8" not in bare


def test_the_yield_is_told_and_escaped(project: Copy) -> None:
    params = measure(project, {"base": list("rw"), "tuned": list("rw")})
    rows = {
        "rows": 3, "kept": 2, "vanished": ["<sums>/train/0"], "added": {"repeated": 2},
        "difficulty": {
            "by": "share of samples that are right", "before": 0.5, "after": 0.75,
            "trained": 0.8333,
            "parts": [
                {"part": "never right", "rows": 1, "kept": 0},
                {"part": "always right", "rows": 2, "kept": 2},
            ],
        },
    }  # fmt: skip
    counts = {"sums": {"steps": {"kept": 3, "wrong answer": 3}}}
    header = {"counts": counts, "rows": {"sums": {"steps": rows}}}
    write_rows(project.root / "build/yield/symbolic.jsonl", [header])
    metrics = report.gather(project.root, params)
    page = report.render(project.root, params, metrics, {})
    table = page.partition('<h2 id="yield">')[2].partition("<tbody>")[2].partition("</table>")[0]
    shown = [
        part.partition(">")[2].partition("</td>")[0].strip() for part in table.split("<td")[1:]
    ]
    assert shown == [
        "symbolic",
        "sums",
        "steps",
        "kept: 3, wrong answer: 3; added, repeated: 2",
        "2 of 3; gone: &lt;sums&gt;/train/0",
        "never right: 0 of 1, always right: 2 of 2",
        "share of samples that are right: 0.50, 0.75, 0.83",
    ]
