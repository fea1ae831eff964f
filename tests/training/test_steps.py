from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from stages.training.steps import passes, plan, targets
from stages.training.tokenise import Example

LENGTHS = [(7 * i) % 23 + 1 for i in range(50)]
BY_TOKENS = {"seed": 1, "epochs": 2, "batch_size": 4, "batch_tokens": 60}


def tokens(rows: list[int]) -> int:
    return sum(LENGTHS[row] for row in rows)


def padded(rows: list[int]) -> int:
    return len(rows) * max(LENGTHS[row] for row in rows)


def test_steps_hold_as_many_tokens_as_they_may() -> None:
    made = plan(LENGTHS, BY_TOKENS)
    seen = Counter(row for step in made for row in step)
    assert seen == Counter(dict.fromkeys(range(50), 2))
    assert all(tokens(step) <= 60 for step in made)
    taken = 0
    for step, after in pairwise(made):
        taken += len(step)
        # the next row did not fit any more, but where an epoch ends
        assert tokens([*step, after[0]]) > 60 or taken == 50
    assert made == plan(LENGTHS, BY_TOKENS)
    assert made != plan(LENGTHS, {**BY_TOKENS, "seed": 2})


def test_a_row_that_is_longer_is_a_step_of_its_own() -> None:
    assert sorted(plan([5, 50, 5], {**BY_TOKENS, "batch_tokens": 10, "epochs": 1})) in (
        [[0, 2], [1]], [[1], [2, 0]], [[0], [1], [2]],
    )  # fmt: skip


@pytest.mark.parametrize("limit", [None, 25, 60, 10_000])
@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_passes_are_the_step_cut_up(limit: int | None, processes: int) -> None:
    for step in plan(LENGTHS, {**BY_TOKENS, "batch_tokens": None, "batch_size": 6}):
        made = passes(step, LENGTHS, limit, processes)
        assert len(made) == processes
        assert len({len(each) for each in made}) == 1
        assert sorted(row for each in made for rows in each for row in rows) == sorted(step)
        for rows in (rows for each in made for rows in each if len(rows) > 1):
            assert limit is None or padded(rows) <= limit


def test_a_step_that_fits_is_one_pass_in_its_own_order() -> None:
    assert passes([3, 1, 2], LENGTHS, None) == [[[3, 1, 2]]]
    assert passes([3, 1, 2], LENGTHS, 1000) == [[[3, 1, 2]]]


def test_processes_get_like_work() -> None:
    for step in plan(LENGTHS, {**BY_TOKENS, "batch_tokens": 200}):
        loads = [tokens(each[0]) for each in passes(step, LENGTHS, None, 2)]
        assert max(loads) - min(loads) <= max(LENGTHS[row] for row in step)


def test_targets_are_completion_tokens() -> None:
    examples = [Example("a", [1, 2, 3, 4], 3), Example("b", [1, 2], 1), Example("c", [1] * 9, 2)]
    assert targets(examples, [0, 2]) == 1 + 7
