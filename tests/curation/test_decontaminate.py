from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stages.curation.decontaminate import Questions
from stages.curation.words import words
from tests.curation.making import Made, row, samples
from tests.projects import Copy

LONG = (
    "Tina buys notebooks for her trip to the coast and pays the clerk with two large bills, "
    "then walks home along the river to count the change that she was given."
)
SUM = "What is 3 + 4?"
NAMES = ["Ada", "Bob", "Cy", "Dora", "Eve", "Finn", "Gus", "Hal", "Ida", "Jo", "Kim", "Lou"]


def exam(number: int, question: str, task: str = "exam") -> dict[str, Any]:
    return {"id": f"{task}/test/{number}", "task": task, "question": question}


def coin(*names: str) -> str:
    turns = " ".join(
        f"{name} {'flips' if len(name) % 2 else 'does not flip'} the coin." for name in names
    )
    return f"A coin is heads up. {turns} Is the coin still heads up? Here flip means reverse."


def test_a_question_that_shares_words_with_a_test_question_goes_with_all_its_rationales() -> None:
    taken = LONG.replace("Tina buys notebooks", "Max sells pens").replace("that she", "which he")
    cases = [samples(row(0, question=taken), "One.", "Two."), samples(row(1), "One.")]
    made = Made(cases, tests=[exam(0, SUM), exam(1, LONG)], decontaminate={})
    assert made.names == [(1, 0)]
    assert made.reasons == [(0, 0, "overlaps a test row"), (0, 1, "overlaps a test row")]
    assert made.dropped[0]["overlap"] == {
        "test": "exam/test/1",
        "text": "for her trip to the coast and pays the clerk with two large bills then walks home "
        "along the river to count the change",
    }


def test_a_rationale_that_brings_a_test_question_goes_alone() -> None:
    told = words(LONG)
    # over the end of the question as well, as the student reads both
    of = row(0, question=f"It is told again. {' '.join(told[:3])}")
    case = samples(of, "Fine.", " ".join(told[3:16]))
    made = Made([case], tests=[exam(0, LONG)], decontaminate={"ngram": 16})
    assert made.reasons == [(0, 1, "overlaps a test row")]
    shared = {"test": "exam/test/0", "text": " ".join(told[:16])}
    assert made.dropped[0]["overlap"] == shared
    assert Made([case], tests=[exam(0, LONG)], decontaminate={"ngram": 17}).reasons == []


def test_one_word_less_in_common_is_no_overlap() -> None:
    fourteen = " ".join(words(LONG)[2:16])
    cases = [samples(row(0, question=f"Now {fourteen} it was."), "One.")]
    assert Made(cases, tests=[exam(0, LONG)], decontaminate={"ngram": 14}).kept == []
    assert len(Made(cases, tests=[exam(0, LONG)], decontaminate={"ngram": 15}).kept) == 1


def test_short_questions_are_compared_whole() -> None:
    questions = ["what is 3+4", "What is 3 - 4?", "So what is 3 + 4?"]
    cases = [samples(row(n, question=text), SUM) for n, text in enumerate(questions)]
    made = Made(cases, tests=[exam(0, SUM)], decontaminate={})
    assert made.names == [(1, 0), (2, 0)]
    assert made.dropped[0]["overlap"] == {"test": "exam/test/0", "text": "what is 3 + 4"}


def test_a_templates_boilerplate_is_no_overlap() -> None:
    tests = [exam(n, coin(*(NAMES[n:] + NAMES)[:4])) for n in range(12)]
    train = [coin("Ada", "Bob", "Hal", "Max"), coin("Cy", "Dora", "Eve", "Finn"), coin("Max")]
    cases = [samples(row(n, question=text), "One.") for n, text in enumerate(train)]
    made = Made(cases, tests=tests, decontaminate={})
    assert made.names == [(0, 0), (2, 0)]
    assert made.dropped[0]["overlap"]["test"] == "exam/test/2"


def test_plain_ngrams_would_drop_a_whole_templated_task() -> None:
    tests = [exam(n, coin(*(NAMES[n:] + NAMES)[:4])) for n in range(3)]
    asked = [coin("Xi", "Yves", "Zoe", "Jo")]
    assert list(Questions(tests[:1], 13, 5).overlaps(asked)) == [0]
    assert Questions(tests, 13, 5).overlaps(asked) == {}


def test_boilerplate_is_a_matter_of_its_task() -> None:
    tests = [exam(0, LONG, "one"), exam(0, LONG, "two")]
    cases = [samples(row(0, question=f"Well. {LONG}"), "One.")]
    made = Made(cases, tests=tests, decontaminate={})
    assert made.dropped[0]["overlap"]["test"] == "one/test/0"


def test_test_rows_without_words_match_nothing() -> None:
    made = Made([samples(row(0, question="x"), "")], tests=[exam(0, "?!")], decontaminate={})
    assert made.names == [(0, 0)]
    assert Made([samples(row(0), "")], tests=[], decontaminate={}).names == [(0, 0)]


WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=2), WORDS, st.integers(3, 5))
def test_what_is_found_stands_in_both(asked: list[list[str]], text: list[str], size: int) -> None:
    questions = Questions([exam(n, " ".join(each)) for n, each in enumerate(asked)], size, 9)
    for shared in questions.overlaps([" ".join(text)]).values():
        assert len(shared.text.split()) >= size
        assert f" {shared.text} " in f" {' '.join(text)} "
        first = shared.text.split()[:size]
        assert f" {' '.join(first)} " in f" {' '.join(asked[int(shared.test[-1])])} "


@given(WORDS, st.integers(3, 5))
def test_a_question_in_a_longer_text_is_found(asked: list[str], size: int) -> None:
    """Unless it has less than `size` words, or repeats itself as boilerplate does."""
    questions = Questions([exam(0, " ".join(asked))], size, 9)
    found = questions.overlaps([f"x {' '.join(asked)} y"])
    assert bool(found) == (len(asked) >= size)


def test_compile_writes_the_question_of_every_test_row(project: Copy) -> None:
    from stages.compiler.build import write
    from stages.compiler.check import checked
    from stages.core.jsonl import read_rows

    write(*checked(project.root), project.root / "out")
    rows = list(read_rows(project.root / "out/tests.jsonl"))
    assert [line["id"] for line in rows] == [
        f"{task}/test/{number}" for task in ("coin_flip", "last_letter") for number in range(3)
    ]
    assert all(line.keys() == {"id", "task", "question"} for line in rows)
    assert rows[0]["question"].startswith("A coin is heads up.")
