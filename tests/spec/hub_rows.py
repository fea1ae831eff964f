"""Made-up rows in the field layouts of the data sets on the Hub, with what a spec makes of them.

Row `n` of every data set is made by a function of its number, so that any number of rows can be had
and all are different. The texts are invented; only names and nesting of fields are the data sets'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Raw = dict[str, Any]


class Made(NamedTuple):
    """A row as the Hub gives it, and the question, gold and options that are made of it."""

    raw: Raw
    question: str
    gold: str
    options: tuple[str, ...] = ()


class Shape(NamedTuple):
    """A data set: its splits, with fewer rows than in truth where those are thousands."""

    splits: Mapping[str, int]
    row: Callable[[int], Made]


THINGS = "apple boat chair drum egg fork glove hat iron jar kite lamp mug nail oar pen quilt ring"
WORDS = THINGS.split()


def listed(texts: Sequence[str]) -> str:
    """Options in a line, as the specs show them."""
    shown = " ".join(f"({letter}) {text}" for letter, text in zip("ABCDE", texts, strict=False))
    return f"Answer Choices: {shown}"


def _multiarith(n: int) -> Made:
    thing = f"{WORDS[n % 18]}s of {WORDS[n // 18 % 18]}"
    asked = f"Mia had {n} {thing} and got 7 more. How many {thing} has she now?"
    return Made({"question": f" {asked} ", "final_ans": str(n + 7)}, asked, str(n + 7))


def _gsm8k(n: int) -> Made:
    asked = f"A crate holds {n} jars at 1000 grams each. What do the jars of the crate weigh?"
    told = f"They weigh {n} * 1000 = <<{n}*1000={n * 1000}>>{n * 1000} grams.\n#### {n * 1000:,}"
    return Made({"question": asked, "answer": told}, asked, f"{n * 1000:,}")


def _svamp(n: int) -> Made:
    body, end = f"Each pack of {n} pens costs 76 coins. Ada has 2 packs", "How many pens are there?"
    raw = {
        "ID": f"chal-{n}", "Body": body, "Question": end, "Equation": f"( {n}.0 * 2.0 )",
        "Answer": str(2 * n), "Type": "Multiplication", "question_concat": f"{body} {end}",
    }  # fmt: skip
    return Made(raw, f"{body} {end}", str(2 * n))


def _aqua(n: int) -> Made:
    texts = [f"{n + at} %" for at in range(4)] + ["None of these"]
    asked, gold = f"What share of 100 is {n}?", "ABCDE"[0]
    raw = {
        "question": asked, "options": [f"{k}){t}" for k, t in zip("ABCDE", texts, strict=True)],
        "rationale": f"It is {n} of 100, {n} %.\nAnswer A.", "correct": gold,
    }  # fmt: skip
    return Made(raw, f"{asked}\n{listed(texts)}", gold, tuple(texts))


def _commonsense(n: int) -> Made:
    texts = [WORDS[(n + at) % 18] for at in range(5)]
    asked, gold = f"What would {n} people sit down on?", "ABCDE"[n % 5]
    raw = {
        "id": f"{n:032x}", "question": asked, "question_concept": "sitting down",
        "choices": {"label": list("ABCDE"), "text": texts}, "answerKey": gold,
    }  # fmt: skip
    return Made(raw, f"{asked}\n{listed(texts)}", gold, tuple(texts))


def _strategy(n: int) -> Made:
    asked = f"Would {n} boats outnumber a crew of 100?"
    raw = {
        "qid": f"{n:020x}", "term": "Boat", "description": "vessel", "question": asked,
        "answer": n > 100, "facts": "A crew of 100 are 100 people.",
    }  # fmt: skip
    return Made(raw, asked, "yes" if n > 100 else "no")


def _arc(n: int) -> Made:
    # Three to five options, and some exams number them.
    texts = [WORDS[(n + at) % 18] for at in range(3 + n % 3)]
    labels = ["A", "B", "C", "D", "E"] if n % 2 else ["1", "2", "3", "4", "5"]
    asked, right = f"Which of these {n} samples conducts heat best?", n % len(texts)
    raw = {
        "id": f"Mercury_{n}", "question": asked,
        "choices": {"text": texts, "label": labels[: len(texts)]}, "answerKey": labels[right],
    }  # fmt: skip
    return Made(raw, f"{asked}\n{listed(texts)}", "ABCDE"[right], tuple(texts))


def _race(n: int) -> Made:
    texts = [f"By {word}." for word in ("bus", "train", "boat", "car")]
    article, asked, gold = f"Li has {n} cousins. He visits them by train.", "How?", "B"
    raw = {
        "example_id": f"high{n}.txt", "article": article, "answer": gold, "question": asked,
        "options": texts,
    }  # fmt: skip
    return Made(raw, f"{article}\n\n{asked}\n{listed(texts)}", gold, tuple(texts))


def _answer(number: str = "", spans: Sequence[str] = (), date: Sequence[str] = ("", "", "")) -> Raw:
    day, month, year = date
    return {
        "number": number, "date": {"day": day, "month": month, "year": year}, "spans": list(spans),
        "worker_id": "", "hit_id": "",
    }  # fmt: skip


def _drop(n: int) -> Made:
    first, others, gold = [
        (_answer(str(n + 3)), [_answer(f"{n + 3}"), _answer(spans=["3 more"])], f"{n + 3} 3 more"),
        (_answer(spans=["Ada Short", "Ben Long"]), [], "Ada Short | Ben Long"),
        (_answer(date=("", "May", "1990")), [_answer(date=("1", "May", "1990"))], "May 1990"),
        (_answer(), [], "no answer on record"),
    ][n % 4]
    golds = {0: f"{n + 3}\n{n + 3}\n3 more", 2: "May 1990\n1 May 1990"}
    passage, asked = f"In game {n // 4}, the home team led by {n}.", f"What of it, in {n} words?"
    held = {key: [other[key] for other in others] for key in _answer()}
    raw = {
        "section_id": f"nfl_{n // 4}", "passage": passage, "question": asked, "query_id": f"{n}",
        "answer": first, "validated_answers": held,
    }  # fmt: skip
    return Made(raw, f"{passage}\n\n{asked}", golds.get(n % 4, gold))


def _aime(n: int) -> Made:
    asked = f"Find the remainder when ${n}^2$ is divided by $1000$."
    gold = f"{n * n % 1000:03}"
    raw = {
        "id": n, "problem": asked, "solution": f"It is \\boxed{{{gold}}}.", "answer": gold,
        "url": f"https://example.org/{2022 + n // 30}_AIME_I_Problems/Problem_{n}",
    }  # fmt: skip
    return Made(raw, asked, gold)


def _aime25(n: int) -> Made:
    asked = f"Find the sum of the first ${n}$ odd numbers."
    return Made({"problem": asked, "answer": str(n * n), "id": str(n)}, asked, str(n * n))


def _amc(n: int) -> Made:
    asked = f"What is the area of a rectangle of ${n}$ by $2$?"
    raw = {"id": n % 43, "problem": asked, "answer": 2.0 * n, "url": "https://example.org/AMC"}
    return Made(raw, asked, str(2 * n))


def _olympiad(n: int) -> Made:
    answers = (
        [f"$\\frac{{1}}{{{n + 2}}}$"],
        [f"${n}$", f"$-{n}$"],
        [f"$2^{{{n}}}$, where $n$ is odd"],
    )
    asked, context = f"Find all values for $n = {n}$.", "Let $n$ be given." if n % 2 else None
    raw = {
        "id": n, "question": asked, "solution": ["See above."], "final_answer": answers[n % 3],
        "context": context, "image_1": None, "modality": "Text-only", "difficulty": "Competition",
        "is_multiple_answer": n % 3 == 1, "unit": None, "answer_type": "Expression", "error": None,
        "question_type": "Open-ended", "subfield": "Algebra", "subject": "Math",
        "language": "English",
    }  # fmt: skip
    gold = ", ".join(answers[n % 3]).removesuffix(", where $n$ is odd")
    return Made(raw, f"{context}\n\n{asked}" if context else asked, gold)


def _agieval(options: int) -> Callable[[int], Made]:
    def row(n: int) -> Made:
        texts = [f"The {WORDS[(n + at) % 18]} is shown first." for at in range(options)]
        stem = f"Things are shown, one after the other.Q: With {n} of them, which must be true?"
        marks = [f"({letter})" for letter in "ABCDE"]
        choices = [mark + text for mark, text in zip(marks, texts, strict=False)]
        asked = f"{stem} Answer Choices: {' '.join(choices)}"
        ending = f"\nA: Among A through {'ABCDE'[options - 1]}, the answer is"
        raw = {"query": asked + ending, "choices": choices, "gold": [n % options]}
        return Made(raw, asked, "ABCDE"[n % options], tuple(texts))

    return row


def _bbh_choice(n: int) -> Made:
    texts = tuple(f"a {WORDS[(n + at) % 18]}" for at in range(3))
    told = "\n".join(f"({letter}) {text}" for letter, text in zip("ABC", texts, strict=True))
    # Eight rows a template, whatever their options.
    beside = f"{WORDS[n // 8 % 18]} and {WORDS[n // 144]}"
    asked = f"Nora has bought {n} things beside {beside}. One is\nOptions:\n{told}"
    gold = f"({'ABC'[n % 3]})"
    return Made({"input": asked, "target": gold}, asked, gold, texts)


def _bbh_spoilt(*rows: int) -> Callable[[int], Made]:
    """Options parted at a comma, so that the gold is none of them."""

    def row(n: int) -> Made:
        made = _bbh_choice(n)
        return made if n not in rows else Made({**made.raw, "target": "a b, c"}, "", "")

    return row


def _bbh_yes_no(n: int) -> Made:
    asked, gold = f"Take {n} steps left. Are you back?\nOptions:\n- Yes\n- No", ("No", "Yes")[n % 2]
    return Made({"input": asked, "target": gold}, asked, gold)


def _bbh_boolean(n: int) -> Made:
    asked, gold = "not " * n + "True is", str(n % 2 == 0)
    return Made({"input": asked, "target": gold}, asked, gold, ("True", "False"))


def _bbh_fallacy(n: int) -> Made:
    asked = f"Of {n} cats some purr. So all do. Valid or not?\nOptions:\n- valid \n- invalid"
    gold = ("valid", "invalid")[n % 2]
    return Made({"input": asked, "target": gold}, asked, gold, ("valid", "invalid"))


def _bbh_number(n: int) -> Made:
    asked = f"(({n} - 9) * (2 - 3)) ="
    return Made({"input": asked, "target": str(9 - n)}, asked, str(9 - n))


def _bbh_dyck(n: int) -> Made:
    opened = [("[", "]"), ("(", ")"), ("{", "}"), ("<", ">")]
    digits = [n // 4**place % 4 for place in range(5)]
    asked = f"Close the brackets. Input: {' '.join(opened[digit][0] for digit in digits)}"
    gold = " ".join(opened[digit][1] for digit in reversed(digits))
    return Made({"input": asked, "target": gold}, asked, gold)


def _bbh_words(n: int) -> Made:
    words = [WORDS[(n + at) % 18] + "xyz"[n // 18 % 3] * (n // 54 + 1) for at in (4, 0, 2)]
    asked = f"Sort the following words alphabetically: List: {' '.join(words)}"
    gold = " ".join(sorted(words))
    return Made({"input": asked, "target": gold}, asked, gold)


BBH: dict[str, tuple[int, Callable[[int], Made]]] = {
    "boolean_expressions": (250, _bbh_boolean),
    "causal_judgement": (187, _bbh_yes_no),
    "dyck_languages": (250, _bbh_dyck),
    "formal_fallacies": (250, _bbh_fallacy),
    "movie_recommendation": (250, _bbh_spoilt(163)),
    "multistep_arithmetic_two": (250, _bbh_number),
    "navigate": (250, _bbh_yes_no),
    "object_counting": (250, _bbh_number),
    "penguins_in_a_table": (146, _bbh_choice),
    "ruin_names": (250, _bbh_spoilt(99, 144)),
    "snarks": (178, _bbh_choice),
    "sports_understanding": (250, _bbh_yes_no),
    "web_of_lies": (250, _bbh_yes_no),
    "word_sorting": (250, _bbh_words),
}
"""Those that differ from 250 rows with lettered options."""
AGIEVAL = {
    "logiqa-en": (651, 4), "lsat-ar": (230, 5), "lsat-lr": (510, 5), "lsat-rc": (269, 5),
    "sat-en": (206, 4), "sat-math": (220, 4),
}  # fmt: skip
"""Test rows, and options of each."""
SHAPES: dict[str, Shape] = {
    "AI-MO/aimo-validation-aime": Shape({"train": 90}, _aime),
    "AI-MO/aimo-validation-amc": Shape({"train": 83}, _amc),
    "ChilleD/MultiArith": Shape({"train": 420, "test": 180}, _multiarith),
    "ChilleD/SVAMP": Shape({"train": 700, "test": 300}, _svamp),
    "ChilleD/StrategyQA": Shape({"train": 1603, "test": 687}, _strategy),
    "EleutherAI/drop": Shape({"train": 1200, "validation": 300}, _drop),
    "Hothan/OlympiadBench": Shape({"train": 674}, _olympiad),
    "allenai/ai2_arc": Shape({"train": 1119, "validation": 299, "test": 1172}, _arc),
    "deepmind/aqua_rat": Shape({"train": 10_000, "validation": 254, "test": 254}, _aqua),
    "ehovy/race": Shape({"train": 1200, "validation": 200, "test": 300}, _race),
    "math-ai/aime25": Shape({"test": 30}, _aime25),
    "openai/gsm8k": Shape({"train": 900, "test": 1319}, _gsm8k),
    "tau/commonsense_qa": Shape({"train": 900, "validation": 1221, "test": 1140}, _commonsense),
    **{
        f"hails/agieval-{name}": Shape({"test": rows}, _agieval(options))
        for name, (rows, options) in AGIEVAL.items()
    },
}


def shape(repo: str, config: str | None) -> Shape:
    """How a data set is laid out."""
    if repo != "SaylorTwift/bbh":
        return SHAPES[repo]
    rows, row = BBH.get(str(config), (250, _bbh_choice))
    return Shape({"test": rows}, row)


def made(repo: str, config: str | None, split: str, most: int | None = None) -> list[Made]:
    """The rows of ``train``, ``train[60:]`` or ``train+test``, numbered over all splits.

    Args:
        most: So many rows a split, where it has more.
    """
    held = shape(repo, config)
    numbers: dict[str, range] = {}
    begin = 1
    for name, size in held.splits.items():
        numbers[name] = range(begin, begin + size)
        begin += size
    rows: list[Made] = []
    for part in split.split("+"):
        match = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", part)
        assert match and match[1] in numbers, f"{repo} has no split {part!r}"
        taken = numbers[match[1]]
        if match[2] is not None:
            taken = taken[int(match[2] or 0) : int(match[3]) if match[3] else None]
        # Rows that a spec leaves out are known by their place, from 0.
        first = numbers[match[1]][0]
        rows += [held.row(n - first if len(held.splits) == 1 else n) for n in taken[:most]]
    return rows


def load(repo: str, config: str | None, revision: str, split: str) -> list[Raw]:
    """In the place of `stages.data.hub.load`."""
    return [row.raw for row in made(repo, config, split)]


def load_few(repo: str, config: str | None, revision: str, split: str) -> list[Raw]:
    """As `load`, with few rows a split."""
    return [row.raw for row in made(repo, config, split, most=60)]
