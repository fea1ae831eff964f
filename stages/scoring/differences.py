"""Two sets of results of the same runs and tasks as one table of differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stages.scoring import clustered
from stages.scoring.items import MACRO, Counts, Item, Runs, sampled
from stages.scoring.paired import (
    RESAMPLES,
    SEED,
    Pairs,
    bootstrap,
    holm,
    mcnemar,
    newcombe,
    newcombe_independent,
    pairs,
    sign_flips,
)

LEVEL = 0.05

Matched = Sequence[tuple[Item, Item]]
"""One task's items, then and now."""


@dataclass(frozen=True)
class Row:
    """One run on one task, or on the mean of its tasks, ``macro``.

    Args:
        n_then: Items behind the first accuracy.
        n_now: Items behind the second.
        accuracy_then: A share; for ``macro`` the mean of the tasks' accuracies.
        accuracy_now: The same of the second.
        difference: Now minus then, a share.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        bootstrap: The percentile interval, drawn within tasks; None when items are not paired.
        p: Of no difference, two-sided; None when the items are not paired.
        p_corrected: By Holm over all rows.
        verdict: ``gain``, ``loss`` or ``within noise``.
    """

    run: str
    task: str
    n_then: int
    n_now: int
    accuracy_then: float
    accuracy_now: float
    difference: float
    low: float
    high: float
    bootstrap: tuple[float, float] | None = None
    p: float | None = None
    p_corrected: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class LeftOut:
    """Items of one run and task that are in no row: in one side only, or not the same question."""

    run: str
    task: str
    only_then: int
    only_now: int
    changed: int = 0

    def __str__(self) -> str:
        told = [(self.only_then, "only then"), (self.only_now, "only now")]
        told.append((self.changed, "with another question or gold answer"))
        items = ", ".join(f"{count} {words}" for count, words in told if count)
        return f"left out of {self.run}, {self.task}: {items}"


def paired_rows(then: Runs, now: Runs) -> tuple[list[Row], list[LeftOut]]:
    """Compare item by item.

    The p is McNemar's; of ``macro``, which a run with several tasks has, it is by sign flips
    within tasks. Intervals are Newcombe's. Where an item has several samples on either side, what
    is paired is its share of right ones: the p is then by sign flips throughout, and intervals are
    those of `clustered`. The verdict is p corrected against 0.05.
    """
    rows, left_out = list[Row](), list[LeftOut]()
    for run, task_names in _names(then, now):
        tasks = dict[str, Matched]()
        for task in task_names:
            old, new = then.get(run, {}).get(task, {}), now.get(run, {}).get(task, {})
            shared = [name for name in old if name in new]
            # an id is a place in the draw: under another seed it stands for another question
            same = [name for name in shared if old[name].question == new[name].question]
            out = len(old) - len(shared), len(new) - len(shared), len(shared) - len(same)
            if any(out):
                left_out.append(LeftOut(run, task, *out))
            if same:
                tasks[task] = [(old[name], new[name]) for name in same]
        made = [_task_row(run, task, matched) for task, matched in tasks.items()]
        if len(made) > 1:
            several = list(tasks.values())
            limits, drawn = _limits(several)
            macro = _macro(run, made, limits)
            made.append(replace(macro, bootstrap=drawn, p=p_value(several)))
        rows += made
    corrected = holm([row.p for row in rows if row.p is not None])
    return [
        replace(row, p_corrected=p, verdict=_verdict(row, p < LEVEL))
        for row, p in zip(rows, corrected, strict=True)
    ], left_out


def p_value(tasks: Sequence[Matched]) -> float:
    """Of no difference in the mean over tasks, two-sided.

    McNemar's for one task, sign flips for several; where an item has several samples, sign flips
    of the changes in its share of right ones.
    """
    if _most(tasks) != (1, 1):
        return clustered.sign_flips([_shares(task) for task in tasks])
    counts = [_pairs(task) for task in tasks]
    return mcnemar(counts[0]) if len(counts) == 1 else sign_flips(counts)


def unpaired_rows(then: Counts, now: Counts) -> tuple[list[Row], list[LeftOut]]:
    """Compare numbers alone, as of independent samples.

    Intervals are Newcombe's for independent proportions; there is no p. The verdict is whether
    the row's own interval leaves out 0: it is not corrected for the number of rows.
    """
    rows, left_out = list[Row](), list[LeftOut]()
    for run, task_names in _names(then, now):
        old, new = then.get(run, {}), now.get(run, {})
        shared = [task for task in task_names if task in old and task in new]
        left_out += [
            LeftOut(run, task, old.get(task, (0, 0))[1], new.get(task, (0, 0))[1])
            for task in task_names
            if task not in shared
        ]
        made = []
        for task in shared:
            (before, m), (after, n) = old[task], new[task]
            limits = newcombe_independent([old[task]], [new[task]])
            made.append(
                Row(run, task, m, n, before / m, after / n, after / n - before / m, *limits)
            )
        if len(made) > 1:
            sides = [[side[task] for task in shared] for side in (old, new)]
            made.append(_macro(run, made, newcombe_independent(sides[0], sides[1])))
        rows += made
    return [
        replace(row, verdict=_verdict(row, row.low > 0 or row.high < 0)) for row in rows
    ], left_out


def method(
    rows: Sequence[Row], numbers: Sequence[str], samples: tuple[int, int] = (1, 1)
) -> Iterator[str]:
    """How the rows were made, in lines for their reader.

    Args:
        rows: As made here.
        numbers: What of the two sides came without items; empty for paired rows.
        samples: Of an item at most, then and now.
    """
    if numbers:
        yield (
            f"unpaired: of {' and '.join(numbers)} only accuracies are at hand; both sides count "
            "as independent samples: as a rule wider intervals, and no p"
        )
        yield "gain, loss: the row's own interval leaves out 0, whatever the number of rows"
        return
    draws = f"{RESAMPLES:,} draws from seed {SEED}"
    if samples == (1, 1):
        yield "paired: on items that both answered, by McNemar's exact test and Newcombe's interval"
        if any(row.task == MACRO for row in rows):
            yield f"macro: the mean of the tasks; p by sign flips within tasks, {draws}"
    else:
        yield (
            "paired: on items that both answered, by each item's share of right samples, "
            f"of {samples[0]} then and {samples[1]} now"
        )
        yield (
            f"p by sign flips of the items' changes within tasks, {draws}; Newcombe's interval "
            "from the effective number of outcomes"
        )
    yield f"gain, loss: p corrected for the number of rows, {len(rows)}, is below {LEVEL}"


def _names(
    then: Mapping[str, Mapping[str, object]], now: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[str, list[str]]]:
    for run in sorted(then.keys() | now.keys()):
        yield run, list(dict.fromkeys([*now.get(run, ()), *then.get(run, ())]))


def _task_row(run: str, task: str, matched: Matched) -> Row:
    n = len(matched)
    then, now = sum(old.share for old, _ in matched), sum(new.share for _, new in matched)
    limits, drawn = _limits([matched])
    shares = then / n, now / n, (now - then) / n
    return Row(run, task, n, n, *shares, *limits, drawn, p_value([matched]))


def _limits(tasks: Sequence[Matched]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The interval of the mean over tasks, and the bootstrapped one."""
    most = _most(tasks)
    if most == (1, 1):
        counts = [_pairs(task) for task in tasks]
        drawn = bootstrap(counts)
        return newcombe(counts), (drawn.low, drawn.high)
    shares = [_shares(task) for task in tasks]
    return clustered.difference(shares, most), clustered.bootstrap(shares)


def _most(tasks: Sequence[Matched]) -> tuple[int, int]:
    """The most samples of an item, then and now."""
    sides = ([pair[side] for task in tasks for pair in task] for side in (0, 1))
    then, now = map(sampled, sides)
    return then, now


def _shares(matched: Matched) -> clustered.Change:
    return [old.share for old, _ in matched], [new.share for _, new in matched]


def _pairs(matched: Matched) -> Pairs:
    then = {str(place): old.share == 1 for place, (old, _) in enumerate(matched)}
    return pairs(then, {str(place): new.share == 1 for place, (_, new) in enumerate(matched)})


def _macro(run: str, rows: list[Row], limits: tuple[float, float]) -> Row:
    then = sum(row.accuracy_then for row in rows) / len(rows)
    now = sum(row.accuracy_now for row in rows) / len(rows)
    sizes = sum(row.n_then for row in rows), sum(row.n_now for row in rows)
    return Row(run, MACRO, *sizes, then, now, now - then, *limits)


def _verdict(row: Row, clear: bool) -> str:
    if not clear:
        return "within noise"
    return "gain" if row.difference > 0 else "loss"
