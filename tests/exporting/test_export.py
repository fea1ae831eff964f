"""Exports of a project whose rows are hostile in part, read by the tools they are made for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stages import export
from stages.core.errors import UserError
from stages.core.jsonl import read_rows
from stages.exporting.facts import Facts
from stages.exporting.formats import faults, messages_fault, sharegpt_fault
from tests.pipeline import edited
from tests.projects import Copy
from tests.staged import RUN, SUITE, TASK, Staged

ODD = {3: "lone \ud83d one", 4: "<script>&amp; | `x`", 5: "\u202eright\u2028to left\x1b[31m"}
ROWS = 12


def row(number: int, split: str) -> dict[str, str]:
    said = 0 if number == 7 else 500 + number
    return {
        "question": f"What of {split} {number}? {ODD.get(number, '')} It is asked.",
        "answer": str(500 + number),
        "worked": f"We see {ODD.get(number, 'it')}. The answer is {said}.",
    }


@pytest.fixture
def staged(project: Copy, monkeypatch: pytest.MonkeyPatch) -> Staged:
    made = Staged(project, monkeypatch)
    take = {"train": ROWS, "test": 6, "valid": 2, "probe": 2}
    made.write(
        {split: [row(n, split) for n in range(count)] for split, count in take.items()},
        license="cc-by-4.0",
    )
    with edited(made.root / "params.yaml") as params:
        params["teacher"] |= {
            "engine": "recorded", "base_url": "https://user:hush@teacher.example/v1?key=hush",
        }  # fmt: skip
    made.train()
    return made


def write(staged: Staged, what: str, *more: str) -> Path:
    out = staged.root / "out" / what
    staged.run(export.main, what, str(out), *more)
    return out


def front(folder: Path) -> dict[str, Any]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return data


def test_the_curated_set_loads_with_datasets(
    staged: Staged, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from datasets import load_dataset

    out = write(staged, "dataset")
    told = capsys.readouterr().out.splitlines()[-1]
    assert told == (
        f"export: {out} holds {ROWS - 1} rationales of {SUITE} as Parquet; 3 texts held lone "
        "surrogates, which UTF-8 cannot hold: they stand here as the six characters \\udxxx"
    )
    loaded = load_dataset(str(out), SUITE, split="train", cache_dir=str(tmp_path / "cache"))
    kept = [number for number in range(ROWS) if number != 7]
    assert [line["question"] for line in loaded] == [
        row(number, "train")["question"].replace("\ud83d", "\\ud83d") for number in kept
    ]
    assert [line["gold"] for line in loaded] == [str(500 + number) for number in kept]
    [odd] = [line for line in loaded if "\u202e" in line["question"]]
    assert odd["rationale"] == f"We see {ODD[5]}."
    assert odd["prompt"][-1]["role"] == "user" and odd["question"] in odd["prompt"][-1]["content"]

    card = (out / "README.md").read_text(encoding="utf-8")
    assert front(out)["license"] == "cc-by-4.0"
    assert f"| {SUITE} | {TASK} | step\\_by\\_step | {ROWS - 1} | 1 |" in card
    assert "| teacher | no model: worked solutions of the data |" in card
    assert "| train.seed | 1 |" in card
    assert "hush" not in card
    manifest = json.loads((staged.root / "build/manifest.json").read_text(encoding="utf-8"))
    assert manifest["tasks"][f"{SUITE}/{TASK}"]["sha256"] in card


def test_the_same_input_gives_the_same_bytes(staged: Staged) -> None:
    first = {p: p.read_bytes() for p in write(staged, "dataset").rglob("*") if p.is_file()}
    write(staged, "dataset")
    assert {p: p.read_bytes() for p in first} == first


def test_a_teacher_is_told_by_model_and_host(staged: Staged) -> None:
    with edited(staged.root / "params.yaml") as params:
        params["teacher"] |= {"engine": "openai", "model": "big-1"}
    assert Facts.of(staged.root).teacher == "big-1 at teacher.example"


def test_nothing_of_the_users_is_overwritten(staged: Staged) -> None:
    mine = staged.root / "out/dataset"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(UserError) as caught:
        write(staged, "dataset")
    assert str(caught.value) == (
        f"{mine}: E551 this folder was not made by an export, and is not overwritten\n"
        "    hint: name a folder that is not there yet, or move this one away"
    )
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]
    (mine / "notes.txt").unlink()
    write(staged, "dataset")
    (mine / "README.md").write_text("my own words")
    with pytest.raises(UserError, match=r"README.md: E551 the export that is there was changed: 1"):
        write(staged, "dataset")
    assert (mine / "README.md").read_text() == "my own words"
    assert [path.name for path in mine.parent.iterdir()] == ["dataset"]


def chat(staged: Staged) -> Path:
    return write(staged, "chat", "--run", RUN)


def test_chat_rows_are_what_the_run_was_trained_on(staged: Staged) -> None:
    out = chat(staged)
    _, *mixed = staged.rows(f"mix/{RUN}.jsonl")
    rows = list(read_rows(out / "messages.jsonl"))
    assert len(rows) == len(mixed) == ROWS - 1
    for made, line in zip(rows, mixed, strict=True):
        text = line["completion"].replace("\ud83d", "\\ud83d")
        assert made["messages"][-1] == {"role": "assistant", "content": text}
        assert [turn["role"] for turn in made["messages"]] == ["system", "user", "assistant"]
        assert messages_fault(made) is None
    for made in read_rows(out / "conversations.jsonl"):
        assert sharegpt_fault(made) is None


def test_a_run_on_nothing_is_refused(staged: Staged) -> None:
    with edited(staged.root / "params.yaml") as params:
        params["runs"]["none"] = {"train_on": "nothing"}
    with pytest.raises(UserError, match="E514 this does not exist yet"):
        write(staged, "chat", "--run", "none")
    staged.train()
    with pytest.raises(UserError) as caught:
        write(staged, "chat", "--run", "none")
    assert str(caught.value) == (
        "build/mix/none.jsonl: E552 the run 'none' is trained on no row\n"
        "    hint: choose another run"
    )
    assert not (staged.root / "out/chat").exists()


def test_a_run_on_plain_text_makes_tasks_but_no_chats(staged: Staged) -> None:
    with edited(staged.root / "params.yaml") as params:
        params["runs"]["text"] = {"train_on": "step_by_step", "format": "text"}
    staged.train()
    with pytest.raises(UserError) as caught:
        write(staged, "chat", "--run", "text")
    assert str(caught.value) == (
        "build/mix/text.jsonl: E552 the run 'text' is trained on plain text, not on chat turns\n"
        "    hint: choose a run without `format: text`"
    )
    out = write(staged, "lm-eval", "--run", "text")
    assert 'until: [" END"]' in (out / f"{TASK}.yaml").read_text(encoding="utf-8")
    assert "--apply_chat_template" not in (out / "README.md").read_text(encoding="utf-8")
    rows = list(read_rows(out / f"{TASK}.jsonl"))
    assert len(rows) == 6
    assert {row["system"] for row in rows} == {""}


TURNS = [
    {"role": "system", "content": "s"}, {"role": "user", "content": "q"},
    {"role": "assistant", "content": "a"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        (TURNS, None),
        (TURNS[1:], None),
        (TURNS[:2], "user and assistant do not take turns, the assistant last"),
        (TURNS[2:], "user and assistant do not take turns, the assistant last"),
        ([*TURNS[:2], {"role": "tool", "content": "a"}],
         "user and assistant do not take turns, the assistant last"),
        ([*TURNS[:2], {"role": "assistant", "content": " \n"}], "a content is empty"),
        ([*TURNS[:2], {"role": "assistant", "content": None}], "a content is no text"),
        ([*TURNS[:2], {"role": "assistant", "text": "a"}],
         "a message has other keys than role and content"),
    ],
)  # fmt: skip
def test_the_rules_of_chat_rows(turns: list[Mapping[str, Any]], fault: str | None) -> None:
    assert messages_fault({"messages": turns}) == fault


def test_too_few_rows_for_openai_are_told() -> None:
    assert faults([{"messages": TURNS}] * 9) == {"OpenAI takes no fewer than 10 rows": 9}
    assert faults([{"messages": TURNS}] * 10) == {}


def test_trl_takes_the_chat_rows(staged: Staged, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl.data_utils", reason="TRL is not installed")
    from datasets import load_dataset

    out = chat(staged)
    for name in ("messages", "prompt_completion"):
        rows = load_dataset(
            "json", data_files=str(out / f"{name}.jsonl"), split="train",
            cache_dir=str(tmp_path / name),
        )  # fmt: skip
        assert len(rows) == ROWS - 1
        assert all(trl.is_conversational(line) for line in rows)


def test_llama_factory_takes_the_chat_rows(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = pytest.importorskip("llamafactory", reason="LLaMA-Factory is not installed")
    # its own `data` package would import every trainer, and what they need
    package = ModuleType("llamafactory.data")
    package.__path__ = [f"{factory.__path__[0]}/data"]
    monkeypatch.setitem(sys.modules, "llamafactory.data", package)
    from llamafactory.data import converter
    from llamafactory.data.parser import get_dataset_list

    out = chat(staged)
    [attribute] = get_dataset_list([f"tutelage_{RUN}"], str(out))
    convert = converter.SharegptDatasetConverter(attribute, None)
    rows = list(read_rows(out / attribute.dataset_name))
    assert len(rows) == ROWS - 1
    for line in rows:
        made = convert(line)
        system, user, answer = line["conversations"]
        assert made["_system"] == system["value"]
        assert made["_prompt"] == [{"role": "user", "content": user["value"]}]
        assert made["_response"] == [{"role": "assistant", "content": answer["value"]}]


def evaluated(staged: Staged) -> Path:
    """An lm-eval export of a run that answered two of six rows wrong, one without an answer."""
    said = {2: "I do not know.", 4: "The answer is 3."}
    texts = {
        row(n, "test")["question"]: said.get(n, f"{ODD.get(n)} The answer is {500 + n}.")
        for n in range(6)
    }
    staged.evaluate(RUN, lambda text: next(v for k, v in texts.items() if k in text))
    return write(staged, "lm-eval", "--run", RUN)


def test_exported_scoring_agrees_with_ours_row_by_row(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = evaluated(staged)
    monkeypatch.syspath_prepend(str(out))
    monkeypatch.delitem(sys.modules, "utils", raising=False)
    import utils  # type: ignore[import-not-found]

    rows = utils.rows(TASK, pretrained="x")["test"]
    ours = staged.rows(f"evaluations/{RUN}/predictions.jsonl")
    theirs = [
        utils.process_results(doc, [line["completion"]])["acc"]
        for doc, line in zip(rows, ours, strict=True)
    ]
    assert theirs == [float(line["correct"]) for line in ours]
    assert sum(theirs) == 4
    monkeypatch.delitem(sys.modules, "utils")


def test_lm_evaluation_harness_agrees_on_the_same_answers(staged: Staged) -> None:
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    out = evaluated(staged)
    ours = staged.rows(f"evaluations/{RUN}/predictions.jsonl")
    held = {line["id"]: line["completion"] for line in ours}
    prompts = {
        line["id"]: line["messages"] for line in staged.rows(f"compiled/runs/{RUN}/test.jsonl")
    }

    class Replayed(LM):
        """Says again what the run said, after it was asked the same."""

        tokenizer_name = "none"

        def apply_chat_template(self, chat: list[dict[str, str]], **_: Any) -> str:
            return json.dumps(chat)

        def chat_template(self, *_: Any) -> str:
            return "none"

        def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
            for request in requests:
                asked = json.loads(request.args[0])
                plain = [
                    {**turn, "content": turn["content"].replace("\ud83d", "\\ud83d")}
                    for turn in prompts[request.doc["id"]]
                ]
                assert asked == plain
                assert request.args[1]["max_gen_toks"] == 80
            return [held[request.doc["id"]] for request in requests]

        def loglikelihood(self, requests: Any, **_: Any) -> Any:
            raise AssertionError

        loglikelihood_rolling = loglikelihood

    done = lm_eval.simple_evaluate(
        Replayed(), tasks=[f"tutelage_{RUN}"], apply_chat_template=True, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(out), include_defaults=False),
    )  # fmt: skip
    scores = json.loads((staged.root / f"build/evaluations/{RUN}/scores.json").read_text())
    theirs = done["results"]
    assert round(theirs[f"tutelage_{RUN}_{TASK}"]["acc,none"], 4) == scores[TASK]["accuracy"]
    assert round(theirs[f"tutelage_{RUN}"]["acc,none"], 4) == scores["macro"]["accuracy"]
    assert 0 < scores[TASK]["accuracy"] < 1


def test_the_student_is_a_standard_checkpoint_that_answers_the_same(
    staged: Staged, tiny: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from stages.exporting.folder import copy

    evaluated(staged)
    copy(tiny, staged.root / f"build/checkpoints/{RUN}")
    out = write(staged, "student", "--run", RUN)
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
            "tokenizer_config.json", "chat_template.jinja", "README.md"} <= {
        path.name for path in out.iterdir()
    }  # fmt: skip

    def says(folder: Path) -> list[int]:
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        turns = [{"role": "user", "content": "What is it?"}]
        asked = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        made = model.generate(**asked, max_new_tokens=8, do_sample=False)
        ids: list[int] = made[0].tolist()
        return ids

    assert says(out) == says(tiny)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert f"| {TASK} | 6 | 66.7% | 30.0% | 90.3% | cc-by-4.0 |" in card
    assert "| learning\\_rate | 0.0005 |" in card
    assert front(out)["library_name"] == "transformers"
    assert "hush" not in card
