"""Why the publisher of a completion and the verifier read it otherwise, in one word."""

from __future__ import annotations

import re

from stages.auditing.readings import Reading
from stages.scoring.numeric import close, read_number

WORDS = {
    "spelling": "the same number otherwise written, as 12.30 for 12.3: the publisher compares text",
    "rounding": "the same number with its last digits rounded otherwise",
    "fraction": "a fraction, of which the publisher reads the numerator: 3 of 3/4 for 0.75",
    "point": "a decimal that begins with its point, which the publisher drops: .25 becomes 25",
    "words": "the statement has no digits, so that another rule of the task read a number in the "
    "rationale: look whether it is what the words say",
    "elsewhere": "the publisher and the task's rules read different places of the completion",
    "silent": "one of the two read no answer",
    "unexplained": "none of the above",
}  # fmt: skip
"""Each word that `cause` may give, explained for who reads it in a table."""
AS_TEXT = ("spelling", "rounding", "fraction", "point")
"""Those that come of comparing texts: the publisher's own statement, as a number, is the gold."""

_FRACTION = re.compile(r"[^0-9]{0,3}([0-9]+)\s?/\s?[0-9]+")
_POINT = re.compile(r"[^0-9.]{0,3}\.([0-9]+)")


def cause(reading: Reading) -> str:
    """A key of `WORDS`, for a reading that its publisher does not share.

    Raises:
        ValueError: Publisher and verifier agree.
    """
    if reading.agreed or reading.predicted is None:
        raise ValueError(f"{reading.row} is read alike")
    if reading.accepted and reading.rule:
        return "elsewhere" if re.search("[0-9]", reading.stated) else "words"
    theirs, gold = read_number(reading.predicted), read_number(reading.gold)
    if reading.kind == "number" and reading.accepted and theirs and gold:
        if theirs == gold:
            return "spelling"
        if close(theirs, gold):
            return "rounding"
        for pattern, word in ((_FRACTION, "fraction"), (_POINT, "point")):
            found = pattern.match(reading.stated)
            if found and found[1] == reading.predicted:
                return word
    if reading.answer is None or not reading.predicted:
        return "silent"
    return "elsewhere" if reading.answer != reading.predicted else "unexplained"
