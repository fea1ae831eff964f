"""Chains through a build: where each link lies, and which commit brought it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stages import trace
from stages.core.errors import UserError
from stages.core.jsonl import read_json
from tests.pipeline import edited
from tests.repository import Repository
from tests.tracing.conftest import ASKED, TASK, other


@pytest.fixture
def traced(
    built: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    def run(*arguments: str) -> list[dict[str, Any]]:
        monkeypatch.setattr("sys.argv", ["trace", *arguments, "--format", "json"])
        capsys.readouterr()
        trace.main()
        return list(json.loads(capsys.readouterr().out))

    return run


def line(built: Repository, place: str) -> str:
    """The line that ``file:line`` names."""
    file, _, number = place.rpartition(":")
    return built.read(file).splitlines()[int(number) - 1]


def test_a_metric_back_to_the_spec_and_the_commits(built: Repository, traced: Any) -> None:
    chain = traced("--metric", f"best/{TASK}")
    links = {link["link"]: link for link in chain}
    assert [link["link"] for link in chain] == [
        "metric", "answers", "checkpoint", "training rows", "verdicts", "requests", "decision",
        "templates", "spec", "commits",
    ]  # fmt: skip
    assert links["metric"]["scores"] == {"accuracy": 0.5, "n": 1}
    assert (links["answers"]["count"], links["answers"]["right"]) == (1, 0)
    checkpoint = links["checkpoint"]
    assert checkpoint["md5"] == "0123456789abcdef0123456789abcdef.dir"
    assert checkpoint["commit"]["commit"] == built.results  # type: ignore[attr-defined]
    assert (checkpoint["best_step"], checkpoint["valid_accuracy"]) == (2, 0.5)
    assert (links["training rows"]["count"], links["training rows"]["strategies"]) == (
        1, {"step_by_step": 1},
    )  # fmt: skip
    assert links["verdicts"]["counts"] == {"step_by_step": {"kept": 1, "wrong answer": 1}}
    requests = links["requests"]
    assert [each["keys"] for each in requests["rationales"]] == [[ASKED.key], ["ab" * 32]]
    store = requests["store"]
    assert (requests["count"], store["held"], store["usd"]) == (2, 1, 0.25)
    assert store["models"] == [{"endpoint": ASKED.endpoint, "model": "wise", "answers": 1}]
    assert links["decision"]["selected"]["reason"] == "it won"
    manifest = read_json(built.root / "build/manifest.json")
    (strategy,) = links["templates"]["strategies"]
    prompts = manifest["tasks"][f"symbolic/{TASK}"]["prompts"]
    assert strategy["prompts_sha256"] == prompts["step_by_step"]
    assert {part["file"]: part["sha256"] for part in strategy["templates"]} == {
        f"templates/{name}": manifest["templates"][name]
        for name in manifest["strategies"]["step_by_step"]["templates"]
    }
    spec = links["spec"]
    assert line(built, spec["file"]) == f"id: {TASK}"
    assert {part: line(built, place).split(":")[0].strip() for part, place in spec["parts"].items()
            } == {"data.source": "source", "row.question": "question", "row.gold": "gold",
                  "answer.extract": "extract"}  # fmt: skip
    assert (
        spec["sha256"] == spec["compiled_sha256"] == manifest["tasks"][f"symbolic/{TASK}"]["sha256"]
    )
    assert spec["commit"]["subject"] == "start"
    assert links["commits"]["head"]["subject"] == "later"
    assert links["commits"]["dvc.lock"]["subject"] == "results"


def test_a_train_row_forward(built: Repository, traced: Any) -> None:
    chain = traced("--row", f"{TASK}/train/0")
    assert [(link["link"], link.get("run")) for link in chain] == [
        ("spec", None), ("templates", None), ("decision", None), ("row", None), ("requests", None),
        ("verdicts", None), ("training rows", "direct"), ("checkpoint", "direct"),
        ("metric", "direct"), ("training rows", "best"), ("checkpoint", "best"),
        ("metric", "best"), ("commits", None),
    ]  # fmt: skip
    links = {(link["link"], link.get("run")): link for link in chain}
    (made,) = links["requests", None]["rationales"]
    assert (made["file"], made["keys"]) == ("build/rationales/symbolic.jsonl:1", [ASKED.key])
    (verdict,) = links["verdicts", None]["rationales"]
    assert (verdict["file"], verdict["verdict"]) == ("build/curated/symbolic.jsonl:1", "kept")
    (row,) = links["training rows", "best"]["rows"]
    assert json.loads(line(built, row["file"]))["id"] == row["id"] == f"{TASK}/train/0/0"
    assert line(built, links["spec", None]["parts"]["data.splits.train"]).strip()[:6] == "train:"


def test_a_row_that_was_dropped_is_trained_on_as_an_answer_alone(traced: Any) -> None:
    links = {(link["link"], link.get("run")): link for link in traced("--row", f"{TASK}/train/1")}
    (verdict,) = links["verdicts", None]["rationales"]
    assert (verdict["verdict"], verdict["answer"]) == (
        "wrong answer", other(links["row", None]["gold"]),
    )  # fmt: skip
    assert links["training rows", "direct"]["count"] == 1
    assert links["training rows", "best"]["count"] == 0


def test_a_test_row_back(traced: Any) -> None:
    chain = traced("--row", f"symbolic/{TASK}/test/0")
    assert [(link["link"], link.get("run")) for link in chain] == [
        ("row", None), ("answers", "direct"), ("metric", "direct"), ("checkpoint", "direct"),
        ("training rows", "direct"), ("answers", "best"), ("metric", "best"),
        ("checkpoint", "best"), ("training rows", "best"), ("verdicts", None), ("requests", None),
        ("decision", None), ("templates", None), ("spec", None), ("commits", None),
    ]  # fmt: skip
    (answer,) = chain[1]["answers"]
    assert (answer["answer"], answer["correct"], answer["key"][:7]) == ("yes", True, "direct0")


def test_a_request_by_the_beginning_of_its_key(traced: Any) -> None:
    request, spec, *_ = traced("--key", ASKED.key[:9])
    assert (request["key"], request["row"], request["model"]) == (
        ASKED.key, f"{TASK}/train/0", "wise",
    )  # fmt: skip
    assert request["used_in"] == ["build/rationales/symbolic.jsonl:1"]
    assert spec["link"] == "spec"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metric", f"bset/{TASK}"), "params.yaml names no run 'bset'\n"
         "    hint: did you mean 'best'?"),
        (("--metric", "best/coin"), f"the build has no task 'coin'\n"
         f"    hint: did you mean '{TASK}'?"),
        (("--row", "coin_flip"), "'coin_flip' is not the name of a row\n"
         "    hint: a row is task/split/number, such as coin_flip/test/0"),
        (("--row", f"{TASK}/train/99"), f"the build has no row '{TASK}/train/99'\n"
         f"    hint: the last one is {TASK}/train/2"),
        (("--row", f"{TASK}/tset/0"), f"the build has no row '{TASK}/tset/0'\n    hint: splits are "
         "train, probe, valid and test; probe has rows where a run selects by it"),
        (("--key", "abc"), "'abc' is too short\n    hint: give 4 digits"),
        (("--key", "ffff0000"), "0 requests have a key that begins with 'ffff0000'\n"
         "    hint: `make trace ROW=…` shows those of a row"),
    ],
)  # fmt: skip
def test_names_that_there_are_not(traced: Any, arguments: tuple[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        traced(*arguments)
    assert str(caught.value) == f"command line: E513 {message}"


def test_the_text_says_what_was_edited_and_hides_no_character(
    built: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"specs/tasks/symbolic/{TASK}.yaml"
    before = built.read(spec)
    with edited(built.root / spec) as task:
        task["title"] = "Another"
    monkeypatch.setattr("sys.argv", ["trace", "--metric", f"best/{TASK}"])
    capsys.readouterr()
    trace.main()
    out = capsys.readouterr().out
    built.write(spec, before)
    assert "  edited since compiled: True\n" in out
    assert ", edited since\n" in out.partition("\nspec\n")[2]
    assert "answer <U+202E>no, gold yes, correct False" in out
    assert all(char.isprintable() or char == "\n" for char in out)
