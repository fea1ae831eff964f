"""What kind of mistake an answer is that is not right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stages.reporting.arithmetic import false_equation
from stages.scoring.extract import Extraction, follows_format
from stages.scoring.find import first_number, item
from stages.scoring.latex import last_box
from stages.scoring.numeric import number
from stages.scoring.texts import lower
from stages.scoring.verify import agrees, read

REFUSED = "no reply"
LOOP = "repeated loop"
CUT = "truncated"
FORMAT = "format"
SILENT = "no answer"
SUM = "wrong arithmetic"
OTHER = "other wrong answer"

KINDS = {
    REFUSED: "the model gave an error, or nothing at all",
    LOOP: "the text ends in one passage written three times or more, one after the other",
    CUT: "the limit in tokens ended the text",
    FORMAT: "the gold answer stands in the last line, but not where the task reads it",
    SILENT: "no rule of the task finds an answer",
    SUM: "an equation of the text does not hold, beyond rounding",
    OTHER: "none of these: another answer than the gold one",
}
"""The kinds with what they mean; the first that holds counts."""

TAIL = 4_000
"""Characters from the end in which a loop is looked for."""
TIMES, SHORTEST = 3, 60
"""A loop is so many times one passage, and so many characters in all, blanks drawn together."""
LINE = 300


def kind(
    text: str,
    found: Extraction,
    gold: str,
    answer_type: str,
    options: Sequence[str] = (),
    *,
    error: str = "",
    finish_reason: str = "stop",
) -> str:
    """The first of `KINDS` that holds of an answer that is not right.

    Args:
        text: What the model wrote.
        found: The answer in it.
        gold: The right one, in canonical form.
        answer_type: One of `stages.scoring.verify.ANSWER_TYPES`.
        options: For a choice, the option texts.
        error: Of the endpoint.
        finish_reason: ``length`` where the limit ended the text.
    """
    if error or not text.strip():
        return REFUSED
    if loops(text):
        return LOOP
    if finish_reason == "length":
        return CUT
    if not follows_format(found) and stands(text, gold, answer_type, options):
        return FORMAT
    if found.answer is None:
        return SILENT
    return SUM if false_equation(text) else OTHER


def loops(text: str) -> bool:
    """Whether the text ends in one passage over and over, the last time perhaps broken off."""
    turned = " ".join(text[-2 * TAIL :].split())[-TAIL:][::-1]
    # the prefix function of Knuth, Morris and Pratt: turned[: i + 1] has the period i + 1 - pi[i]
    pi = [0] * len(turned)
    for i in range(1, len(turned)):
        k = pi[i - 1]
        while k and turned[i] != turned[k]:
            k = pi[k - 1]
        pi[i] = k + (turned[i] == turned[k])
        # the blank behind the last time is stripped
        if i + 1 >= SHORTEST and i + 2 >= TIMES * (i + 1 - pi[i]):
            return True
    return False


def stands(text: str, gold: str, answer_type: str, options: Sequence[str] = ()) -> bool:
    """Whether the last line of a text holds the gold answer, wherever in it."""
    line = text.strip()[-LINE:].rpartition("\n")[2]
    return any(
        answer is not None and agrees(answer, gold, answer_type, options)
        for answer in _answers(line, gold, answer_type, options)
    )


def _answers(
    line: str, gold: str, answer_type: str, options: Sequence[str]
) -> Iterator[str | None]:
    if answer_type in ("number", "choice", "yes_no", "date"):
        yield item(line, answer_type, options, last=True)
        if answer_type == "number":
            first = first_number(line)
            yield number(first) if first else None
    elif answer_type in ("maths", "list"):
        boxed = last_box(line)
        yield read(boxed, answer_type) if boxed else None
        yield read(line.rpartition("=")[2].rpartition(":")[2], answer_type)
    elif lower(gold).strip() and f" {_words(gold)} " in f" {_words(line)} ":
        yield gold


def _words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in lower(text)).split())
