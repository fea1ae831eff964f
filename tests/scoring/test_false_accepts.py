"""What must never count as right: another row's gold, nothing, a tautology, a retraction."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from stages.scoring.extract import extract
from stages.scoring.verify import ANSWER_TYPES, read, verify

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
public = pytest.mark.skipif(not DATA.is_dir(), reason="the public data are not at ../shared/data")

NUMBERS = ("single_eq", "addsub", "multiarith", "svamp")
OPTIONS = ("Karl", "Helga", "Lola")
# An answer of each type, as a model writes it.
ANSWERS = {
    "number": "7", "choice": "B", "yes_no": "yes", "exact": "nk", "string": "New York",
    "letters": "yajo", "maths": "\\frac{x}{2}", "list": "a, b", "date": "05/06/2021", "f1": "Bears",
}  # fmt: skip
OTHERS = {
    "number": "8", "choice": "C", "yes_no": "no", "exact": "nj", "string": "Boston",
    "letters": "yaja", "maths": "\\frac{x}{3}", "list": "b, a", "date": "05/07/2021", "f1": "Lions",
}  # fmt: skip
AFTER = {"after": "The answer is"}
RULES: list[dict[str, Any]] = [AFTER, {"whole": True}, {"boxed": True}]
NOTHING = [
    "", " ", "\n", ".", "$$", "\\boxed{}", "{}", "[]", "()", "The answer is", "The answer is .",
    "I do not know.", "The answer is not known.", "0 = 0", "x = x", "1 = 1", "The answer is 0 = 0.",
    "$0 = 0$", "The answer is x = x.", "=", "\\text{}", "\\frac{}{}", "?" * 50_000, "7 " * 20_000,
    "{" * 20_000, "\\boxed{" * 4000, "\\frac{1}{" * 100, "The answer is " * 3000,
]  # fmt: skip
assert ANSWERS.keys() == OTHERS.keys() == set(ANSWER_TYPES)


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_nothing_and_tautologies(answer_type: str) -> None:
    golds = [ANSWERS[answer_type], OTHERS[answer_type]]
    if answer_type in ("number", "maths", "f1"):
        golds += ["0", "1", "x"] if answer_type != "number" else ["0", "1"]
    for text in NOTHING:
        for gold in golds:
            if text.endswith("x = x.") and answer_type == "f1":
                continue  # F1 counts words, and the sentence has the right one
            assert not verify(text, gold, answer_type, OPTIONS), (text[:40], gold)
            for rule in RULES:
                found = extract(text, [rule], answer_type, OPTIONS).answer
                if answer_type == "number" and text.startswith("The answer is 0 = 0"):
                    continue  # the first number of the statement is taken
                assert not verify(found, gold, answer_type, OPTIONS), (text[:40], rule, gold)


TAKEN_BACK = [
    "The answer is {}. No, {}.",
    "The answer is {}. Wait, it is {}.",
    "The answer is {}.\nActually, the result is {}.",
    "The answer is {}. Sorry, {}.",
    "The answer is {}. Hmm, no. {}.",
]


@pytest.mark.parametrize("form", TAKEN_BACK)
@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_what_is_taken_back_is_not_the_answer(answer_type: str, form: str) -> None:
    first, second = ANSWERS[answer_type], OTHERS[answer_type]
    completion = form.format(first, second)
    found = extract(completion, [AFTER], answer_type, OPTIONS)
    assert found.answer is None
    assert not verify(completion, first, answer_type, OPTIONS)
    restated = form.format(first, f"the answer is {second}")
    found = extract(restated, [AFTER], answer_type, OPTIONS)
    assert verify(found.answer, second, answer_type, OPTIONS)
    assert not verify(found.answer, first, answer_type, OPTIONS)


def test_the_next_rule_reads_what_was_said_instead() -> None:
    rules: list[dict[str, Any]] = [AFTER, {"last": "number"}]
    assert extract("The answer is 5. No, 6.", rules, "number").answer == "6"
    assert extract("The answer is 5. No other number fits.", rules, "number").answer == "5"
    assert extract("The answer is no. No, it is tails.", [AFTER], "yes_no").answer == "no"
    assert extract("The answer is yes. No, it is tails.", [AFTER], "yes_no").answer is None


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_the_answer_of_the_type_itself_is_accepted(answer_type: str) -> None:
    gold, other = ANSWERS[answer_type], OTHERS[answer_type]
    for text in (f"So. The answer is {gold}.", f"The answer is: {gold}", f"the answer is\n{gold}"):
        found = extract(text, [AFTER], answer_type, OPTIONS)
        assert verify(found.answer, gold, answer_type, OPTIONS)
        assert not verify(found.answer, other, answer_type, OPTIONS)


STATED = re.compile(r"-?[0-9]+(?:,[0-9]{3})*(?:/[0-9]+|\.[0-9]+)?|\.[0-9]+")


def lines(name: str) -> Iterator[dict[str, Any]]:
    for line in (DATA / name).read_text(encoding="utf-8").rstrip("\n").split("\n"):
        yield json.loads(line)


def golds(name: str) -> list[str]:
    if name.startswith("gsm8k"):
        return [row["answer"].rpartition("####")[2].strip() for row in lines(f"{name}.jsonl")]
    if name.startswith("bbh/"):
        held = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
        return [row["target"] for row in held["examples"]]
    return [row["answer"] for row in lines(f"reasoning-teacher/{name}.jsonl")]


SETS = {
    "gsm8k_train_1000": ("number", "maths", "f1", "exact", "string", "list"),
    "gsm8k_test_400": ("number", "maths", "f1", "exact", "string", "list"),
    "bbh/boolean_expressions": ("exact", "string", "list", "f1", "maths"),
    "bbh/navigate": ("yes_no", "exact", "string", "f1", "maths"),
    "bbh/object_counting": ("number", "maths", "f1", "list"),
    "coin_flip": ("yes_no", "exact", "string", "f1", "letters"),
    "tracking_shuffled_objects": ("choice", "exact", "maths"),
    **dict.fromkeys(NUMBERS, ("number", "maths", "f1")),
}


def equal(one: str, other: str) -> bool:
    """What the verifier is held against: equal texts, or equal numbers."""
    try:
        a, b = (Fraction(it.replace(",", "")) for it in (one, other))
    except ValueError:
        return one.casefold() == other.casefold()
    return abs(a - b) <= abs(a) / 10**6


@public
@pytest.mark.parametrize(("name", "answer_type"), [(n, t) for n, ts in SETS.items() for t in ts])
def test_another_row_s_gold_is_not_accepted(name: str, answer_type: str) -> None:
    held = golds(name)
    draw = random.Random(name)
    for _ in range(3):
        for gold, other in zip(held, draw.sample(held, len(held)), strict=True):
            accepted = verify(other, gold, answer_type)
            if answer_type in ("exact", "list") and gold != other:
                assert not accepted, (other, gold)
            else:
                assert accepted == equal(gold, other), (other, gold)


@public
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("answer_type", ["number", "maths", "f1"])
def test_a_completion_is_not_accepted_for_another_row(name: str, answer_type: str) -> None:
    rows = list(lines(f"reasoning-teacher/{name}.jsonl"))
    others = random.Random(name).sample(rows, len(rows))
    for row, other in zip(rows, others, strict=True):
        rules = [{"after": row["answer_prompt"]}]
        said = extract(f"{row['answer_prompt']} {row['answer_completion']}", rules, answer_type)
        if not verify(said.answer, other["answer"], answer_type):
            continue
        # One of the numbers that it states must be the gold.
        stated = STATED.findall(row["answer_completion"])
        assert any(equal(it, other["answer"]) for it in stated), row["id"]
        assert "=" not in (said.answer or "")


@public
@pytest.mark.parametrize("name", SETS)
def test_every_gold_is_met_by_itself(name: str) -> None:
    for gold in golds(name):
        for answer_type in SETS[name]:
            assert read(gold, answer_type) is not None
            assert verify(f" {gold}\n", gold, answer_type), (gold, answer_type)


FILES = dict.fromkeys(NUMBERS, "number") | {
    "coin_flip": "yes_no", "tracking_shuffled_objects": "choice",
}  # fmt: skip
Read = tuple[str | None, str, list[str]]


def read_rows(name: str) -> list[Read]:
    """What the teacher's completion of each row answers, and the row's gold and options."""
    made = []
    for row in lines(f"reasoning-teacher/{name}.jsonl"):
        listed = row["question"].partition("Answer Choices:")[2]
        options = re.findall(r"\([A-Z]\) (.*?)\.(?= \(|$)", listed)
        said = f"{row['rationale']} {row['answer_prompt']} {row['answer_completion']}"
        found = extract(said, [{"after": row["answer_prompt"]}], FILES[name], options)
        made.append((found.answer, row["answer"], options))
    return made


@public
@pytest.mark.parametrize("name", FILES)
def test_shuffled_golds_are_met_no_more_than_by_chance(name: str) -> None:
    """Over every pairing of a completion with a row's gold, and in seeded shuffles."""
    rows, kind = read_rows(name), FILES[name]
    n, said, kept = len(rows), Counter(row[0] for row in rows), Counter(row[1] for row in rows)
    met = {(one, gold): verify(one, gold, kind) for one in said for gold in kept}
    every = sum(said[one] * kept[gold] for (one, gold), right in met.items() if right)
    # so often do two golds agree that are drawn from the task's own
    chance = sum(kept[one] * kept[other] for one in kept for other in kept if equal(one, other))
    assert every <= chance
    share = chance / n**2
    for seed in range(20):
        drawn = random.Random(seed).sample([gold for _, gold, _ in rows], n)
        right = sum(met[row[0], gold] for row, gold in zip(rows, drawn, strict=True))
        assert right <= n * share + 4.5 * (n * share * (1 - share)) ** 0.5, seed


@public
@pytest.mark.parametrize("name", FILES)
def test_an_answer_is_right_under_one_of_two_golds_that_contradict(name: str) -> None:
    contrary = {"yes": "no", "no": "yes", "A": "B", "B": "C", "C": "A"}
    for said, gold, options in read_rows(name):
        other = contrary.get(gold) or str(Fraction(gold) + 1)
        both = [verify(said, it, FILES[name], options) for it in (gold, other)]
        assert sum(both) <= 1, (said, gold, other)
        # and a completion that states both is held to one of them
        told = extract(
            f"The answer is {gold}. The answer is {other}.", [AFTER], FILES[name], options
        )
        assert verify(told.answer, other, FILES[name], options)
        assert not verify(told.answer, gold, FILES[name], options)


LISTED = [
    "(A) Karl (B) Helga (C) Lola", "A, B, C", "A, B or C", "Karl, Helga and Lola",
    "{} (A) Karl, (B) Helga, (C) Lola.", "{} A, B or C.", "{} Karl or Helga or Lola.",
    "(A) Karl. (B) Helga. (C) Lola. {} one of these.",
]  # fmt: skip


@pytest.mark.parametrize("text", LISTED)
@pytest.mark.parametrize(
    "rules", [[AFTER], [{"whole": True}], [{"last": "choice"}], [AFTER, {"last": "choice"}]]
)
def test_listing_all_options_is_right_for_one_gold_at_most(
    text: str, rules: list[dict[str, Any]]
) -> None:
    said = extract(text.format("The answer is"), rules, "choice", OPTIONS).answer
    assert sum(verify(said, gold, "choice", OPTIONS) for gold in "ABC") <= 1
    # as an answer alone it is none
    assert not any(verify(text, gold, "choice", OPTIONS) for gold in "ABC")


@pytest.mark.parametrize("text", ["The answer is yes or no.", "yes/no", "Yes, no.", "no and yes"])
def test_saying_yes_and_no_is_right_for_one_gold_at_most(text: str) -> None:
    for rule in (AFTER, {"last": "yes_no"}, {"first": "yes_no"}, {"whole": True}):
        said = extract(text, [rule], "yes_no").answer
        assert sum(verify(said, gold, "yes_no") for gold in ("yes", "no")) <= 1


@public
@pytest.mark.parametrize("name", NUMBERS)
def test_an_equation_of_nothing_meets_no_gold(name: str) -> None:
    """By math-verify, which takes a bare equation for a relation and might find it true."""
    rules = [{"after": "The answer is"}, {"boxed": True}]
    for gold in {gold for _, gold, _ in read_rows(name)}:
        for text in (
            "",
            "0 = 0",
            "The answer is 0 = 0.",
            "$0=0$",
            "\\boxed{0=0}",
            f"{gold} = {gold}",
        ):
            said = extract(text, rules, "maths").answer
            assert not verify(said, gold, "maths"), (text, gold)
