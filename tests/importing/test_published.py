from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import UserError
from stages.importing.published import TASKS, convert
from tests.projects import Copy

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "reasoning-teacher"
CHECKOUTS = [os.environ.get(name, "") for name in ("ZERO_SHOT_COT", "REASONING_TEACHER")]
SUM = "Therefore, the answer (arabic numerals) is"
AMONG = "Therefore, among A through {}, the answer is"
YES_NO = "Therefore, the answer (Yes or No) is"
BAR = "*" * 25 + "\n"
HINT = "\n    hint: take it as it was published"

Asked = tuple[str, str, str, str, str]
"""Question, rationale and reply as they came, the publisher's reading, the gold answer."""


def _log(trigger: str, *asked: Asked) -> str:
    entries = [
        f"{BAR}{number}st data\n1_th_sampling\n"
        f"Q: {question}\nA: Let's think step by step.{said} \n{trigger}{reply}\n"
        f"pred_before : {reply}\npred_after : {read}\npred_list : ['{read}']\npred_mode : {read}\n"
        f"GT : {gold}\n{BAR}"
        for number, (question, said, reply, read, gold) in enumerate(asked, start=1)
    ]
    return (
        "*****************************\n"
        f'Namespace(cot_trigger="Let\'s think step by step.", '
        f"direct_answer_trigger='\\n{trigger}', model='gpt3-xl')\n"
        "*****************************\n"
        f"setup data loader ...\ndata size : {len(asked)}\n{''.join(entries)}"
        "accuracy : 50.0\n./log/any_api_log.json\n"
    )


def _sums(*questions: str) -> str:
    rows = [{"iIndex": i, "lSolutions": [3.0], "sQuestion": q} for i, q in enumerate(questions)]
    return json.dumps(rows)


def _lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _examples(*rows: Any) -> str:
    return json.dumps({"name": "any", "examples": rows}, indent=2)


def _choices(stem: str, *texts: str) -> dict[str, Any]:
    labelled = [{"label": "ABCDE"[i], "text": text} for i, text in enumerate(texts)]
    return {"answerKey": "B", "question": {"stem": stem, "choices": labelled}}


PEARS: Asked = ("1 pear and 2?", " 1 + 2 = 3.", " 3.", "3", "3")
FIGS: Asked = ("5 figs less 1?", "\n\n5 - 1 = 4.\n", " :\n\n4", "4", "4")
AGAIN = f" 6. \n\nSo it is. \n{SUM} 8."
TODAY = "Today is 1/1/2021. What is it tomorrow? Answer Choices:"
SEATS = "Al has a fig, Bo a pear. They swap. Al has the"
SAID: dict[str, tuple[str, list[Asked]]] = {
    "single_eq": (SUM, [PEARS, FIGS]),
    "addsub": (SUM, [PEARS]),
    "multiarith": (SUM, [FIGS, PEARS, (PEARS[0], " It is 4.", "4", "4", "3")]),
    "gsm8k": (SUM, [("A kiwi costs $2, three?", " 2 + 2 + 2 is 6.", AGAIN, "6", "6")]),
    "aqua": (
        AMONG.format("E"), [("2x = 4? Answer Choices: (A) 1 (B) 2 ", " So 2.", " B", "B", "B")]
    ),
    "svamp": (SUM, [("He has 2 figs. He eats 1. Left?", " One.", " one", "", "1")]),
    "date_understanding": (
        AMONG.format("F"),
        [
            (f"On 2/2 {TODAY} (A) 2/3 (B) 2/4", " So 2/3.", " A.", "A", "A"),
            (f"{TODAY} (A) 01/03/2021 (B) 01/02/2021", " Tomorrow.", " A.", "A", "B"),
        ],
    ),
    "tracking_shuffled_objects": (
        AMONG.format("C"),
        [
            (
                f"{SEATS} \nWhich choice is true ? Answer Choices: (A) fig. (B) pear.",
                " Al has the pear.", " B.", "B", "B",
            )
        ],
    ),
    "last_letter_concatenation": (
        "Therefore, the answer is", [('Take "Jo Al".', ' o, l. So "ol".', ' "ol".', "ol", "ol")]
    ),
    "coin_flip": (YES_NO, [("Jo flips it. Up?", " Jo flips it, so no.", " No.", "no", "no")]),
    "commonsense_qa": (
        AMONG.format("E"),
        [("Where is a fig? Answer Choices: (A) sky (B) tree", " Trees bear figs.", "B.", "B", "B")],
    ),
    "strategy_qa": (YES_NO, [("Is a fig a fruit — or not?", " Sí.", " Yes", "yes", "yes")]),
}  # fmt: skip
DATA = {
    "single_eq": _sums(FIGS[0], f" {PEARS[0]} "),
    "addsub": _sums(PEARS[0]),
    "multiarith": _sums(f" {PEARS[0]} ", FIGS[0], PEARS[0]),
    "gsm8k": _lines({"question": "A kiwi costs $2, three?", "answer": "2*3\n#### 6"}),
    "aqua": _lines({"question": "2x = 4?", "options": ["A)1", "B)2 "], "correct": "B"}),
    "svamp": json.dumps(
        [{"Body": "He has 2 figs. He eats 1.", "Question": "Left?", "Answer": 1.0}]
    ),
    "date_understanding": _examples(
        {"input": TODAY.partition(" Answer")[0], "target_scores": {"01/02/2021": 1}},
        {"input": "On 2/2 " + TODAY.partition(" Answer")[0], "target_scores": {"2/3": 1}},
    ),
    "tracking_shuffled_objects": _examples(
        {"input": f"{SEATS} ", "target_scores": {"fig.": 0, "pear.": 1}}
    ),
    "last_letter_concatenation": _examples({"question": 'Take "Jo Al".', "answer": "ol"}),
    "coin_flip": _examples({"question": "Jo flips it. Up?", "answer": "no"}),
    "commonsense_qa": _lines(_choices("Where is a fig?", "sky", "tree")),
    "strategy_qa": _examples(
        {"input": "Is a fig a fruit — or not?", "target_scores": {"Yes": 1, "No": 0}}
    ),
}
LISTS = {
    **{name: ([], [0]) for name in TASKS},
    "single_eq": ([1], [0]),
    "multiarith": ([0, 2], [1]),
    "multiarith__template": ([1], [0, 2]),
    "gsm8k": ([0, 7472], [7473]),
    "aqua": ([9], [97467]),
    "date_understanding": ([0], [1]),
    "date_understanding__template": ([1], [0]),
    "commonsense_qa": ([*range(9741)], [9741]),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """All that is read of a checkout of zero_shot_cot, in its layout."""
    folder = tmp_path / "zero_shot_cot"
    (folder / "log").mkdir(parents=True)
    for name, task in TASKS.items():
        log = folder / f"log/{task.log}_zero_shot_cot.log"
        log.write_text(_log(SAID[name][0], *SAID[name][1]), encoding="utf-8")
        data = folder / "dataset" / task.data
        data.parent.mkdir(parents=True)
        data.write_text(DATA[name], encoding="utf-8")
    return folder


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """The lists of a checkout of reasoning-teacher."""
    folder = tmp_path / "reasoning-teacher"
    (folder / "data/split").mkdir(parents=True)
    for name, (train, test) in LISTS.items():
        file = name if "__" in name else f"{name}__default"
        text = json.dumps({"train": train, "test": test}, indent=4)
        (folder / f"data/split/{file}.json").write_text(text)
    return folder


def _row(name: str, number: int, split: str, asked: Asked, trigger: str) -> dict[str, str]:
    question, said, reply, read, gold = asked
    return {
        "id": f"{name}-{number}",
        "split": split,
        "question": question,
        "answer": gold,
        "rationale": said.strip(),
        "answer_prompt": trigger,
        "answer_completion": reply.strip(),
        "predicted": read,
    }


def _converted(
    source: Path, splits: Path, dataset_order: bool = False
) -> dict[str, list[dict[str, str]]]:
    out = source.parent / "out"
    assert len(list(convert(source, splits, out, dataset_order))) == 14
    return {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in out.iterdir()
    }


def test_the_command_writes_fourteen_files_and_says_what_is_in_them(
    project: Copy, source: Path, splits: Path
) -> None:
    done = project.run(
        "-m", "stages.import_specs", "published", str(source), str(splits), "data/published"
    )
    assert done.stderr == ""
    out = project.root / "data/published"
    told = {
        "single_eq": "2 rows (1 train, 1 test), 100.00 % right",
        "addsub": "1 rows (0 train, 1 test), 100.00 % right",
        "multiarith": "3 rows (2 train, 1 test), 66.67 % right",
        "multiarith_template": "3 rows (1 train, 2 test), 66.67 % right",
        "gsm8k": "1 rows (0 train, 1 test), 100.00 % right",
        "aqua": "1 rows (0 train, 1 test), 100.00 % right",
        "svamp": "1 rows (0 train, 1 test), 0.00 % right",
        "date_understanding": "2 rows (1 train, 1 test), 50.00 % right",
        "date_understanding_template": "2 rows (1 train, 1 test), 50.00 % right",
        "tracking_shuffled_objects": "1 rows (0 train, 1 test), 100.00 % right",
        "last_letter_concatenation": "1 rows (0 train, 1 test), 100.00 % right",
        "coin_flip": "1 rows (0 train, 1 test), 100.00 % right",
        "commonsense_qa": "1 rows (0 train, 1 test), 100.00 % right",
        "strategy_qa": "1 rows (0 train, 1 test), 100.00 % right",
    }
    assert done.stdout.splitlines() == [
        f"data/published/{name}.jsonl: {words}, sha256 "
        + hashlib.sha256((out / f"{name}.jsonl").read_bytes()).hexdigest()
        for name, words in told.items()
    ]
    assert sorted(path.stem for path in out.iterdir()) == sorted(told)
    assert (out / "strategy_qa.jsonl").read_text(encoding="utf-8") == (
        '{"id": "strategy_qa-0", "split": "test", "question": "Is a fig a fruit — or not?", '
        '"answer": "yes", "rationale": "Sí.", '
        '"answer_prompt": "Therefore, the answer (Yes or No) is", "answer_completion": "Yes", '
        '"predicted": "yes"}\n'
    )


def test_tasks_laid_out_by_the_log_keep_its_order(source: Path, splits: Path) -> None:
    made = _converted(source, splits)
    again = SAID["multiarith"][1][2]
    assert made["multiarith"] == [
        _row("multiarith", 0, "train", FIGS, SUM),
        _row("multiarith", 1, "test", PEARS, SUM),
        _row("multiarith", 2, "train", again, SUM),
    ]
    assert made["multiarith"][0]["rationale"] == "5 - 1 = 4."
    assert made["multiarith"][0]["answer_completion"] == ":\n\n4"
    # the same rows, split by the templates of the data set: both pears are of one
    assert made["multiarith_template"] == [
        _row("multiarith", 0, "train", FIGS, SUM),
        _row("multiarith", 1, "test", PEARS, SUM),
        _row("multiarith", 2, "test", again, SUM),
    ]


def test_the_order_of_the_data_set_gives_the_splits_of_the_paper(
    source: Path, splits: Path
) -> None:
    made = _converted(source, splits, dataset_order=True)
    again = SAID["multiarith"][1][2]
    assert made["single_eq"] == [
        _row("single_eq", 0, "test", FIGS, SUM),
        _row("single_eq", 1, "train", PEARS, SUM),
    ]
    assert [row["split"] for row in made["multiarith_template"]] == ["test", "train", "test"]
    assert made["multiarith"] == [
        _row("multiarith", 0, "train", PEARS, SUM),
        _row("multiarith", 1, "test", FIGS, SUM),
        _row("multiarith", 2, "train", again, SUM),
    ]


def test_rows_are_numbered_as_the_lists_number_them(source: Path, splits: Path) -> None:
    made = _converted(source, splits)
    asked = SAID["gsm8k"][1][0]
    assert made["gsm8k"] == [
        {
            **_row("gsm8k", 7473, "test", asked, SUM),
            "rationale": "2 + 2 + 2 is 6.",
            "answer_completion": f"6. \n\nSo it is. \n{SUM} 8.",
        }
    ]
    assert [row["id"] for row in made["aqua"]] == ["aqua-97467"]
    asked = SAID["commonsense_qa"][1][0]
    assert made["commonsense_qa"] == [
        _row("commonsense_qa", 9741, "test", asked, AMONG.format("E"))
    ]


def test_options_are_those_that_the_teacher_saw(source: Path, splits: Path) -> None:
    made = _converted(source, splits)
    trigger, (second, first) = SAID["date_understanding"]
    assert made["date_understanding"] == [
        _row("date_understanding", 0, "train", first, trigger),
        _row("date_understanding", 1, "test", second, trigger),
    ]
    assert made["date_understanding_template"] == [
        _row("date_understanding", 0, "test", first, trigger),
        _row("date_understanding", 1, "train", second, trigger),
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            "log/addsub_zero_shot_cot.log",
            "data size : 1",
            "data size : 2",
            "{}: E403 the log holds 1 of its 2 entries" + HINT,
        ),
        (
            "log/addsub_zero_shot_cot.log",
            "data size",
            "size",
            "{}: E403 this is not the log of a zero_shot_cot run" + HINT,
        ),
        (
            "log/singleeq_zero_shot_cot.log",
            "pred_before :  :\n",
            "",
            "{}:19:1: E403 this entry is not complete\n    2st data\n    ^" + HINT,
        ),
        (
            "log/addsub_zero_shot_cot.log",
            f"{SUM} 3.",
            "So it is 3.",
            "{}:7:1: E403 this entry is not complete\n    1st data\n    ^" + HINT,
        ),
        (
            "log/addsub_zero_shot_cot.log",
            "Q: 1 pear",
            "Q: 2 pears",
            "{}: E403 the question of entry 1 is not in {source}/dataset/AddSub/AddSub.json" + HINT,
        ),
        (
            "dataset/AddSub/AddSub.json",
            "[",
            '[{"sQuestion": "More?"}, ',
            "{source}/log/addsub_zero_shot_cot.log: E403 1 of the questions in {} are not in this "
            "log" + HINT,
        ),
        (
            "dataset/AddSub/AddSub.json",
            "sQuestion",
            "Problem",
            "{}: E403 row 1 is not a question as this data set holds them" + HINT,
        ),
        ("dataset/AddSub/AddSub.json", None, "3", "{}: E403 the file holds no list of rows" + HINT),
        (
            "dataset/grade-school-math/test.jsonl",
            '"answer"',
            'answer"',
            "{}:1:41: E403 the file is not JSON: Expecting property name enclosed in double quotes"
            + HINT,
        ),
        (
            "dataset/AddSub/AddSub.json",
            None,
            "[" * 200_000,
            "{}: E403 a value in the file is too deep or too long to be read" + HINT,
        ),
    ],
)
def test_a_spoilt_source_is_named(
    source: Path, splits: Path, file: str, old: str | None, new: str, told: str
) -> None:
    path = source / file
    text = path.read_text(encoding="utf-8")
    assert old is None or old in text
    path.write_text(new if old is None else text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        list(convert(source, splits, source.parent / "out"))
    assert str(caught.value) == told.replace("{source}", str(source)).replace("{}", str(path))
    assert not (source.parent / "out").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"train": [0], "test": []}', "row 1 of date_understanding is in neither list"),
        (
            '{"train": [0, 2], "test": [1]}',
            "row 2 of date_understanding is listed, and is not there",
        ),
        ('{"train": [0, 1]}', "the file does not hold the lists 'train' and 'test'"),
        ("{", "the file does not hold the lists 'train' and 'test'"),
        ("[]", "the file does not hold the lists 'train' and 'test'"),
        ('{"train": [[0]], "test": [1]}', "the file does not hold the lists 'train' and 'test'"),
    ],
)
def test_spoilt_lists_are_named(source: Path, splits: Path, text: str, told: str) -> None:
    path = splits / "data/split/date_understanding__template.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        list(convert(source, splits, source.parent / "out"))
    assert str(caught.value) == f"{path}: E403 {told}{HINT}"


def test_what_is_not_there_is_named_at_once(project: Copy, source: Path, splits: Path) -> None:
    (source / "log/gsm8k_zero_shot_cot.log").unlink()
    (source / "dataset/CommonsenseQA/dev_rand_split.jsonl").unlink()
    (splits / "data/split/multiarith__template.json").unlink()
    command = ("-m", "stages.import_specs", "published")
    done = project.run(*command, str(source), str(splits), "out")
    assert (done.returncode, done.stdout) == (2, "")
    hints = [
        "    hint: FROM is a checkout of kojima-takeshi188/zero_shot_cot",
        "    hint: SPLITS is a checkout of itsnamgyu/reasoning-teacher",
    ]
    assert done.stderr.splitlines() == [
        f"{splits}/data/split/multiarith__template.json: E101 this file does not exist",
        hints[1],
        f"{source}/dataset/CommonsenseQA/dev_rand_split.jsonl: E101 this file does not exist",
        hints[0],
        f"{source}/log/gsm8k_zero_shot_cot.log: E101 this file does not exist",
        hints[0],
    ]
    done = project.run(*command, "nowhere", "here", "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "here: E101 this folder does not exist",
        hints[1],
        "nowhere: E101 this folder does not exist",
        hints[0],
    ]
    assert not (project.root / "out").exists()


def test_a_file_in_the_folders_place_is_named(source: Path, splits: Path) -> None:
    with pytest.raises(UserError) as caught:
        list(convert(source, splits, source / "dataset/AddSub/AddSub.json"))
    assert str(caught.value) == (
        f"command line: E513 {source}/dataset/AddSub/AddSub.json/single_eq.jsonl cannot be "
        "written: File exists\n"
        "    hint: name a folder, there or not, that you may write to"
    )


def test_a_source_in_another_encoding_is_named(source: Path, splits: Path) -> None:
    path = source / "log/strategyqa_zero_shot_cot.log"
    path.write_bytes(path.read_text(encoding="utf-8").replace("—", "-").encode("cp1252"))
    with pytest.raises(UserError) as caught:
        list(convert(source, splits, source.parent / "out"))
    assert str(caught.value) == f"{path}: E403 the file is not UTF-8 text{HINT}"


@pytest.mark.skipif(
    not all(CHECKOUTS), reason="ZERO_SHOT_COT and REASONING_TEACHER name no checkouts"
)
@pytest.mark.skipif(not SHARED.is_dir(), reason="the public data are not at ../shared/data")
def test_the_true_sources_give_the_public_data(tmp_path: Path) -> None:
    source, splits = map(Path, CHECKOUTS)
    told = [line.partition(": ")[2] for line in convert(source, splits, tmp_path)]
    assert [line.partition(", sha256")[0] for line in told] == [
        "508 rows (356 train, 152 test), 77.95 % right",
        "395 rows (276 train, 119 test), 69.62 % right",
        "600 rows (420 train, 180 test), 78.67 % right",
        "600 rows (413 train, 187 test), 78.67 % right",
        "1319 rows (0 train, 1319 test), 40.71 % right",
        "254 rows (0 train, 254 test), 33.46 % right",
        "1000 rows (700 train, 300 test), 62.10 % right",
        "369 rows (258 train, 111 test), 67.48 % right",
        "369 rows (261 train, 108 test), 67.48 % right",
        "750 rows (525 train, 225 test), 52.40 % right",
        "500 rows (350 train, 150 test), 57.60 % right",
        "500 rows (350 train, 150 test), 91.40 % right",
        "1221 rows (0 train, 1221 test), 64.62 % right",
        "2290 rows (1603 train, 687 test), 54.76 % right",
    ]
    public = sorted(SHARED.glob("*.jsonl"))
    assert len(public) == 6
    for path in public:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.skipif(
    not all(CHECKOUTS), reason="ZERO_SHOT_COT and REASONING_TEACHER name no checkouts"
)
def test_in_the_order_of_the_data_set_no_template_is_in_both_splits(tmp_path: Path) -> None:
    """The lists were drawn by template, in blocks of nine for dates: proof of what they number."""
    source, splits = map(Path, CHECKOUTS)
    list(convert(source, splits, tmp_path, dataset_order=True))
    text = (tmp_path / "date_understanding_template.jsonl").read_text(encoding="utf-8")
    split = [json.loads(line)["split"] for line in text.splitlines()]
    assert all(len(set(split[at : at + 9])) == 1 for at in range(0, 369, 9))
    text = (tmp_path / "multiarith_template.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    by_text: dict[str, set[str]] = {}
    for row in rows:
        by_text.setdefault(row["question"], set()).add(row["split"])
    assert len(by_text) == 580
    assert all(len(splits) == 1 for splits in by_text.values())
