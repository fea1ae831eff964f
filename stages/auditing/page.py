"""An audit as Markdown. What models and data sets wrote stays text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stages.auditing.differ import AS_TEXT, WORDS, cause
from stages.auditing.readings import Reading
from stages.auditing.tally import Counts, Tally
from stages.reporting.visible import visible

LONGEST = 6000
"""Characters of a text that are shown."""
IN_CELL = 80
BOX = "[ ] right / [ ] wrong"


def page(suite: str, source: str, tally: Tally, wanted: int, seed: int) -> Iterator[str]:
    """The lines of the file.

    Args:
        suite: Its name.
        source: What was read, as the end of "The rationales are …".
        tally: Of all its readings.
        wanted: Accepts and rejects of each task.
        seed: By which they were drawn.
    """
    yield f"# Audit of the verifier: {suite}\n\n"
    yield (
        f"The rationales are {source}. Of each task up to {wanted} accepted and {wanted} rejected "
        f"ones are drawn with seed {seed}, each reason in its turn. Tick under each whether the "
        "verifier was right. Text in a box was written by a model or comes with the data: judge "
        "it, follow nothing in it.\n\n"
    )
    yield from _summary(tally)
    yield from _differences(tally)
    for task in dict.fromkeys(task for task, _ in tally.counts):
        for accepted, told in ((True, "accepted"), (False, "rejected")):
            chosen = tally.chosen(task, accepted=accepted)
            yield f"## {task}: {told}\n\n"
            if not chosen:
                yield "None.\n\n"
            for number, one in enumerate(chosen, start=1):
                yield from _case(number, one)


def _summary(tally: Tally) -> Iterator[str]:
    published = any(counts.known for counts in tally.counts.values())
    names = ["task", "strategy", "rationales", "accepted", "by the first rule", "accuracy"]
    if published:
        names += ["publisher's accuracy", "its statements read as numbers", "rows that differ"]
    yield f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n"
    for (task, strategy), counts in tally.counts.items():
        cells = [
            task, strategy, f"{counts.total:,}", f"{counts.accepted:,}",
            _share(counts.by_first, counts.total), _accuracy(counts),
        ]  # fmt: skip
        if published:
            differ = [it for it in tally.differ if (it.task, it.strategy) == (task, strategy)]
            as_numbers = counts.theirs + sum(cause(it) in AS_TEXT for it in differ)
            cells += [_share(right, counts.known) for right in (counts.theirs, as_numbers)]
            cells.append(str(len(differ)))
        yield f"| {' | '.join(cells)} |\n"
    yield (
        "\nAccuracy: rationales that are whole and whose answer verifies, with a 95 % interval. "
        "By the first rule: those of them whose answer stands where the task asks for it, as a "
        "share of all.\n\n"
    )


def _differences(tally: Tally) -> Iterator[str]:
    if not tally.differ:
        return
    yield "## Where the publisher reads otherwise\n\n"
    yield "| row | stated | read here | by the publisher | gold | right for | why |\n"
    yield f"|{'---|' * 7}\n"
    causes = []
    for one in tally.differ:
        causes.append(cause(one))
        cells = [one.row, one.stated, one.answer or "", one.predicted or "", one.gold]
        right = "us" if one.accepted else "the publisher"
        yield f"| {' | '.join(map(inline, cells))} | {right} | {causes[-1]} |\n"
    yield "\n"
    for word in filter(causes.__contains__, WORDS):
        yield f"- {word} ({causes.count(word)}): {WORDS[word]}\n"
    yield "\n"


def _case(number: int, one: Reading) -> Iterator[str]:
    yield f"### {number}. {inline(one.row)}, {one.strategy}, sample {one.sample + 1}\n\n"
    yield f"Question:\n\n{fenced(one.question)}\nRationale:\n\n{fenced(one.text)}\n"
    read = inline(one.answer) if one.answer is not None else "nothing"
    verdict = "accepted" if one.accepted else "rejected"
    yield f"Read: {read}. Gold: {inline(one.gold)}. Verdict: {verdict}, {inline(one.why)}."
    if one.predicted is not None:
        yield f" Publisher's reading: {inline(one.predicted)}."
    yield f"\n\n{BOX}\n\n"


def _accuracy(counts: Counts) -> str:
    low, high = counts.limits
    return f"{_share(counts.accepted, counts.total)} ({100 * low:.1f} to {100 * high:.1f})"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def fenced(text: str) -> str:
    """A block of code that the text cannot end: its fence is longer than any run in the text."""
    shown = visible(text)
    if len(shown) > LONGEST:
        shown = f"{shown[:LONGEST]}\n… {len(shown) - LONGEST:,} characters more"
    return f"{_ticks(shown, 3)}text\n{shown}\n{_ticks(shown, 3)}\n"


def inline(text: str) -> str:
    """The text as code in a line or a table's cell; cut where it is long, empty as a dash."""
    shown = re.sub(r"\s*\n\s*", " ↵ ", visible(text).strip()).replace("\t", " ")
    if len(shown) > IN_CELL:
        shown = f"{shown[: IN_CELL - 1]}…"
    if not shown:
        return "-"
    ticks, blank = _ticks(shown, 1), " " if "`" in shown else ""
    # a pipe ends a cell even inside code, and a tick at an end would join the marks
    return f"{ticks}{blank}{shown}{blank}{ticks}".replace("|", "\\|")


def _ticks(text: str, least: int) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
