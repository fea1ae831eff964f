"""Golden completions for the shipped tasks, through each spec's own rules and verifier.

The twelve tasks of Fine-tune-CoT (Ho et al. 2022, arXiv 2212.10071), and one task of each answer
type of the other benchmarks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from stages.scoring.extract import extract
from stages.scoring.verify import verify
from stages.spec.model import Task
from stages.spec.read import load_specs
from tests.projects import REPOSITORY

TASKS = load_specs(REPOSITORY)[0].tasks


class Golden(NamedTuple):
    """A gold answer with completions that give it and completions that do not."""

    task: str
    gold: str
    right: list[str]
    wrong: list[str]
    options: tuple[str, ...] = ()


# No task has one of these for an answer.
NOTHING = [
    "", " \n", "I do not know.", "The answer is", "The answer is .", "The answer is not known.",
    "Let's think step by step.", "0 = 0", "\\boxed{}", "(", "The answer is ?",
]  # fmt: skip


def _number(task: str, gold: int, *more: str) -> Golden:
    right = [
        f"2 * {gold} / 2 = {gold}. The answer is {gold}.",
        f"So there are {gold} in all.",
        f"The answer is ${gold:,}.",
        f"The answer is {gold}.00",
        f"The answer is {gold:,} dollars.",
        f"The answer is: **{gold}**",
        f"The answer is \\boxed{{{gold}}}.",
        f"Therefore, the answer is {gold} apples.",
        f"The answer is ({gold}).",
        f"{gold}",
        f"The answer is 3. No, wait. The answer is {gold}.",
        *more,
    ]
    wrong = [
        f"The answer is {gold + 1}.",
        f"The answer is -{gold}.",
        f"The answer is {gold}0.",
        f"The answer is {gold}.5.",
        f"The answer is {gold}/7.",
        f"The answer is {gold}. The answer is 4.",
        f"The answer is {gold}. No, it is 4.",
        f"First {gold}, then twice as much: {2 * gold}.",
        f"It is not {gold} but 7.",
    ]
    return Golden(task, str(gold), right, wrong)


def _choice(task: str, gold: str, options: tuple[str, ...], *more: str) -> Golden:
    text, other = options["ABCDE".index(gold)], "A" if gold != "A" else "B"
    second = options["ABCDE".index(other)]
    right = [
        f"All others are ruled out. The answer is ({gold}).",
        f"The answer is {gold}.",
        f"The answer is {gold}) {text}",
        f"The answer is ({gold}) {text}.",
        f"The answer is: {text}.",
        f"The answer is **{gold}**.",
        f"The answer is \\boxed{{{gold}}}.",
        f"({gold})",
        f"{gold}.",
        f"{gold}",
        f"Among A through E, the answer is {gold}.",
        f"It cannot be {second}. So it is {text}.",
        f"The answer is {other}. No, wait. The answer is {gold}.",
        *more,
    ]
    wrong = [
        f"The answer is ({other}).",
        f"{other}.",
        f"The answer is {second}.",
        f"The answer is {gold}. The answer is {other}.",
        f"The answer is {gold}. No, {other}.",
        "The answer is (Z).",
        "The answer is none of these at all.",
    ]
    return Golden(task, f"({gold})", right, wrong, options)


def _yes_no(task: str, gold: str) -> Golden:
    said, other = gold.capitalize(), "yes" if gold == "no" else "no"
    right = [
        f"It follows from both. The answer is {gold}.",
        f"The answer is: {said}",
        f"the answer is **{said}**.",
        f'The answer is "{said}".',
        f"{said}, as was said.",
        f"{said}.",
        f"Therefore, the answer (Yes or No) is {gold}.",
        f"The answer is {other}. The answer is {gold}.",
    ]
    wrong = [
        f"The answer is {other}.",
        f"{other.capitalize()}, as was said.",
        f"The answer is {gold}. The answer is {other}.",
        "Nobody can tell.",
        "The answer is unknown.",
        "The answer is maybe.",
    ]
    return Golden(task, gold, right, wrong)


def _published(name: str, gold: str, right: list[str], wrong: list[str]) -> Golden:
    """A published task of numbers, which is read after its own marker alone."""
    task = f"published_arithmetic/{name}"
    mark = TASKS["published_arithmetic", name].marker
    says = [f"That is {gold}.\n{mark} {said}." for said in [gold, f"({gold})", *right]]
    denies = [f"That is {gold}.\n{mark} {said}." for said in ["4", "what?", *wrong]]
    both = f"{mark} {gold}. {mark} 4."
    return Golden(task, gold, says, [*denies, both, f"That is {gold}.", f"{mark} 4. Or {gold}."])


DATES = ("12/11/1937", "12/25/1937", "01/04/1938", "12/04/1937", "12/25/2006")
TWELVE = [
    _published("single_eq", "0.7", ["0.70 metres", ".7", "7/10"], ["7", "0.07", "0.71", "-0.7"]),
    _published("addsub", "1792", ["1,792", "$1,792.00", "**1792** shells"], ["1791", "1.792"]),
    _number("paper_arithmetic/multiarith", 39),
    _number("paper_arithmetic/gsm8k", 1200, "The answer is 1.2e3.", "It is $1,200.00 in all."),
    _number("paper_arithmetic/svamp", 145),
    _choice("paper_arithmetic/aqua", "D", ("3", "5", "6", "7", "14"), "2x = 14, so x is 7."),
    Golden(
        "symbolic/last_letter", "y a j o",
        ["The answer is yajo.", "The answer is y a j o.", 'The answer is "YAJO".',
         "y, a, j, o. The answer is: y-a-j-o", "The answer is oj. The answer is yajo."],
        ["The answer is yaj.", "The answer is ojay.", "y a j o", "The answer is yajo yajo.",
         "The answer is yajo. The answer is yaja.", "The answer is yajo. No, yaja."],
    ),
    _yes_no("symbolic/coin_flip", "no"),
    _yes_no("symbolic/coin_flip", "yes"),
    _choice(
        "paper_commonsense/commonsense_qa", "B",
        ("bank", "library", "department store", "mall", "new york"), "One reads in a library.",
    ),
    _yes_no("paper_commonsense/strategy_qa", "no"),
    _yes_no("paper_commonsense/strategy_qa", "yes"),
    _choice("paper_other/date_understanding", "B", DATES, "So tomorrow is 12/25/1937."),
    _choice("paper_other/tracking_shuffled_objects", "C", ("red ball", "blue ball", "white ball")),
]  # fmt: skip
BENCHMARKS = [
    _number("benchmarks/aime_2024", 204, "Hence $n = \\boxed{204}$ with 3 cases.",
            "The answer is $m+n = 204$.", "$$\\boxed{204}$$"),
    _number("benchmarks/aime_2025", 82, "The answer is 082."),
    _number("benchmarks/amc_2023", 27),
    Golden(
        "benchmarks/olympiadbench", "$\\frac{1}{2}$",
        ["So it is \\boxed{\\frac{1}{2}}.", "The answer is $\\frac12$.", "The answer is 0.5.",
         "The answer is $x = \\frac{1}{2}$.", "The answer is \\boxed{1/2}.",
         "**Final answer**\n\\[\\boxed{\\frac{2}{4}}\\]", "The answer is \\(\\dfrac{1}{2}\\)."],
        ["\\boxed{\\frac{1}{3}}", "\\boxed{0=0}", "\\boxed{2}", "The answer is 0 = 0.",
         "The answer is $\\frac{1}{2}$ or $1$.", "The answer is $\\frac{1}{2}$. The answer is 4.",
         "\\boxed{\\frac{1}{2}} or rather \\boxed{1}", "Half of it: $\\frac{1}{2}$", "\\boxed{1}"],
    ),
    Golden(
        "benchmarks/olympiadbench", "$2$, $-2$",
        ["\\boxed{-2, 2}", "\\boxed{\\pm 2}", "The answer is $x = 2$ or $x = -2$."],
        ["\\boxed{2}", "\\boxed{2, -2, 3}", "\\boxed{-2}", "\\boxed{(2, -3)}"],
    ),
    Golden(
        "benchmarks/olympiadbench", "$(1,1), (3,2)$",
        ["\\boxed{(3,2),(1,1)}", "The answer is $(1, 1)$ and $(3, 2)$."],
        ["\\boxed{(1,1)}", "\\boxed{(1,1),(2,3)}"],
    ),
    _choice("benchmarks/arc_challenge", "C", ("wood", "paper", "a metal spoon")),
    _choice("orca2/race_high", "B", ("By bus.", "By train.", "On foot.", "By car.")),
    Golden(
        "orca2/drop", "19\n19 yards",
        ["31 - 12 = 19. The answer is 19.", "The answer is 19 yards.", "The answer is: 19.0"],
        ["The answer is 9.", "19", "The answer is 19. The answer is 20.", "The answer is 0 = 0.",
         "The answer is yards."],
    ),
    Golden(
        "orca2/drop", "Ada Short | Ben Long",
        ["The answer is Ada Short and Ben Long.", "The answer is Ben Long, Ada Short."],
        ["The answer is Ada Short.", "The answer is Ada Long.", "The answer is Ada and Ben."],
    ),
    Golden(
        "orca2/drop", "May 1990\n1 May 1990",
        ["The answer is May 1990.", "The answer is 1 May 1990."],
        ["The answer is May 1991.", "The answer is 1990 or 1991."],
    ),
    _choice("orca2_agieval/lsat_ar", "E", ("Monday", "Tuesday", "Friday", "Sunday", "no day")),
    _choice("orca2_agieval/sat_math", "A", ("$t=\\frac{a}{2}$", "$t=2a$", "$t=a$", "$t=3a$")),
    _number("orca2_bbh/object_counting", 15),
    Golden(
        "orca2_bbh/multistep_arithmetic_two", "-123",
        ["7 - 130 = -123. The answer is -123.", "The answer is \u2212123.", "= -123"],
        ["The answer is 123.", "The answer is -12.", "The answer is -123. The answer is 7."],
    ),
    Golden(
        "orca2_bbh/boolean_expressions", "False",
        ["not True is False. The answer is False.", "So it is all false.", "The answer is: false"],
        ["The answer is True.", "True", "The answer is False. The answer is True."],
        ("True", "False"),
    ),
    Golden(
        "orca2_bbh/formal_fallacies", "invalid",
        ["The answer is invalid.", "So the argument is invalid.", "The answer is: Invalid"],
        ["The answer is valid.", "So the argument is valid.", "The answer is that it fails."],
        ("valid", "invalid"),
    ),
    Golden(
        "orca2_bbh/word_sorting", "apple boat pear",
        ["The answer is apple boat pear.", "The answer is apple, boat, pear.",
         "The answer is:\n1. apple\n2. boat\n3. pear", "The answer is apple, boat and pear."],
        ["The answer is apple pear boat.", "The answer is apple boat.", "apple boat pear",
         "The answer is pear boat apple.", "The answer is apple boat pear. The answer is pear."],
    ),
    Golden(
        "orca2_bbh/dyck_languages", "] ) }",
        ["The answer is ] ) }.", "The answer is: ] ) }", "The answer is `] ) }`."],
        ["The answer is ] }.", "The answer is ) ] }.", "] ) }", "The answer is [ ( {."],
    ),
    _yes_no("orca2_bbh/navigate", "no"),
]  # fmt: skip
GOLDEN = TWELVE + BENCHMARKS
NAMES = [f"{golden.task}-{at}" for at, golden in enumerate(GOLDEN)]


def _task(golden: Golden) -> Task:
    suite, _, name = golden.task.partition("/")
    return TASKS[suite, name]


def accepted(golden: Golden, completion: str, gold: str | None = None) -> bool:
    """Whether the completion counts as the gold answer."""
    task, wanted = _task(golden), golden.gold if gold is None else gold
    found = extract(completion, task.extract, task.answer_type, golden.options).answer
    return verify(found, wanted, task.answer_type, golden.options)


def test_every_task_of_fine_tune_cot_is_here() -> None:
    names = {golden.task.partition("/")[2] for golden in TWELVE}
    assert names == {
        "single_eq", "addsub", "multiarith", "gsm8k", "aqua", "svamp", "last_letter", "coin_flip",
        "commonsense_qa", "strategy_qa", "date_understanding", "tracking_shuffled_objects",
    }  # fmt: skip


def test_every_answer_type_of_the_shipped_tasks_is_here() -> None:
    shipped = {task.answer_type for task in TASKS.values()}
    assert {_task(golden).answer_type for golden in GOLDEN} >= shipped


@pytest.mark.parametrize("golden", GOLDEN, ids=NAMES)
def test_what_gives_the_answer(golden: Golden) -> None:
    assert [said for said in golden.right if not accepted(golden, said)] == []


@pytest.mark.parametrize("golden", GOLDEN, ids=NAMES)
def test_what_does_not_give_the_answer(golden: Golden) -> None:
    assert [said for said in [*golden.wrong, *NOTHING] if accepted(golden, said)] == []


def _shuffled(goldens: list[Golden]) -> Iterator[tuple[Golden, Golden]]:
    others = random.Random(1).sample(goldens, len(goldens))
    yield from zip(goldens, others, strict=True)


def test_the_gold_of_another_row_is_refused() -> None:
    for golden, other in _shuffled(GOLDEN):
        if _task(golden).answer_type == _task(other).answer_type and golden.gold != other.gold:
            right = [said for said in golden.right if accepted(golden, said, other.gold)]
            assert right == [], (golden.task, other.gold)
    for golden in GOLDEN:
        for letter in "ABCDE"[: len(golden.options)]:
            if f"({letter})" != golden.gold and golden.gold.startswith("("):
                wrong = [said for said in golden.right if accepted(golden, said, f"({letter})")]
                assert wrong == []


# Hedges, denials, calculations and contradictions, with the gold that they must not meet.
NOT_SAID = [
    ("paper_arithmetic/aqua", "(A)", "The answer is A or B."),
    ("paper_arithmetic/aqua", "(B)", "The answer is A or B."),
    ("paper_arithmetic/aqua", "(A)", "The answer is (A), (B), (C), (D) or (E)."),
    ("paper_arithmetic/aqua", "(E)", "(A) 3 (B) 5 (C) 6 (D) 7 (E) 14"),
    ("paper_arithmetic/aqua", "(B)", "The answer is not B."),
    ("paper_arithmetic/aqua", "(B)", "The answer is neither A nor B."),
    ("paper_arithmetic/aqua", "(D)", "The answer is (D) 14."),
    ("paper_arithmetic/aqua", "(E)", "The answer is (D) 14."),
    ("paper_arithmetic/gsm8k", "3", "The answer is 3 or 4."),
    ("paper_arithmetic/gsm8k", "4", "The answer is 3 or 4."),
    ("paper_arithmetic/gsm8k", "3", "The answer is between 3 and 5."),
    ("paper_arithmetic/gsm8k", "3", "The answer is not 3."),
    ("paper_arithmetic/gsm8k", "3", "The answer is 3 + 4 = 7."),
    ("paper_arithmetic/gsm8k", "0", "The answer is 0 = 0."),
    ("paper_arithmetic/gsm8k", "1", "The answer is \\frac{1}{2}."),
    ("paper_arithmetic/gsm8k", "12", "The answer is 12 000."),
    ("paper_arithmetic/gsm8k", "5", "The answer is unknown; it may be 5."),
    ("paper_commonsense/strategy_qa", "yes", "The answer is yes or no."),
    ("paper_commonsense/strategy_qa", "no", "The answer is yes or no."),
    ("paper_commonsense/strategy_qa", "yes", "The answer is not yes."),
    ("paper_commonsense/strategy_qa", "no", "Yes. There is no air."),
]
SAID = [
    ("paper_arithmetic/aqua", "(D)", "The answer is (D) 15."),
    ("paper_arithmetic/aqua", "(D)", "The answer is not (E) but (D)."),
    ("paper_arithmetic/gsm8k", "7", "The answer is 3 + 4 = 7."),
    ("paper_arithmetic/gsm8k", "0.5", "The answer is \\frac{1}{2}."),
    ("paper_arithmetic/gsm8k", "12000", "The answer is 12 000."),
    ("paper_arithmetic/gsm8k", "0.6", "The answer is 3/5, or 0.6."),
    ("paper_commonsense/strategy_qa", "yes", "The answer is that there is no air, so yes."),
    ("paper_commonsense/strategy_qa", "no", "The answer is No, there is no air."),
    ("paper_commonsense/strategy_qa", "yes", "Yes. There is no air."),
    ("paper_other/date_understanding", "(B)", "The answer is December 25, 1937."),
]


@pytest.mark.parametrize(("task", "gold", "said"), NOT_SAID)
def test_what_a_reader_would_not_take_for_the_answer(task: str, gold: str, said: str) -> None:
    assert not accepted(_same(task, gold), said)


@pytest.mark.parametrize(("task", "gold", "said"), SAID)
def test_what_a_reader_would_take_for_the_answer(task: str, gold: str, said: str) -> None:
    assert accepted(_same(task, gold), said)


def _same(task: str, gold: str) -> Golden:
    """The task's golden row with another gold."""
    return next(golden for golden in GOLDEN if golden.task == task)._replace(gold=gold)
