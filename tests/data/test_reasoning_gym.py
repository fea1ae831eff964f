from __future__ import annotations

import sys

import pytest

from stages.core.errors import UserError
from stages.core.jsonl import canonical
from stages.data.reasoning_gym import BLOCK, generate


def _message(**options: object) -> str:
    with pytest.raises(UserError) as caught:
        generate(1, 2, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_library_draws_item_i_from_the_seed_plus_i() -> None:
    from reasoning_gym import create_dataset  # type: ignore[import-untyped]

    first = create_dataset("chain_sum", seed=5, size=4)
    shifted = create_dataset("chain_sum", seed=7, size=4)
    assert [first[2]["question"], first[3]["question"]] == [
        shifted[0]["question"],
        shifted[1]["question"],
    ]


def test_first_row_of_a_seed() -> None:
    row = generate(7, 1, family="gsm_symbolic")[0]
    assert row["question"] == (
        "David collects garbage from 6 different apartment complexes. The first 5 have 100 "
        "apartments each and the last one is 25% bigger than the other 5 combined. David collects "
        "garbage 6 times a week from each place and he gets paid $0.25 per collection for each "
        "apartment. How much money does he make in a week? Give the result as your final answer. "
        "Do not include units."
    )
    assert row["answer"] == "1687.5"
    assert row["metadata"]["variables"]["rate_per_apartment"] == 0.25
    assert row["worked"] == {
        "direct": "The answer is 1687.5.",
        "step_by_step": "The first 5 complexes have 500 apartments\n"
        "The third one has 500*0.25=125 more apartments than those 5 combined\n"
        "So in total, it has 500+125=625 apartments\n"
        "So he goes to 625+500=1125 apartments each time\n"
        "That means he visits 1125*6=6750 apartments every week\n"
        "So he makes 6750*$0.25=$1687.5 every week\n"
        "The answer is 1687.5.",
    }


def test_worked_solutions_end_in_the_gold_answer() -> None:
    rows = generate(3, 800, family="gsm_symbolic")
    for row in rows:
        steps = row["worked"]["step_by_step"]
        assert steps.endswith(f"\nThe answer is {row['answer']}.")
        assert "####" not in steps
        assert float(row["metadata"]["answer_cot"].split("####")[1]) == float(row["answer"])
    # A solution in decimals still ends in the gold answer as it is written.
    assert any(row["metadata"]["answer_cot"].endswith(f"{row['answer']}.0") for row in rows)


# acre builds its items at once, so the library itself lets the size decide them.
@pytest.mark.parametrize("family", ["gsm_symbolic", "chain_sum", "acre"])
def test_a_longer_result_begins_with_the_shorter_one(family: str) -> None:
    assert generate(5, 10, family=family) == generate(5, 50, family=family)[:10]


def test_questions_are_unique_across_blocks() -> None:
    rows = generate(4, 2 * BLOCK + 50, family="gsm_symbolic")
    assert len({row["question"] for row in rows}) == 2 * BLOCK + 50
    assert rows[: BLOCK + 5] == generate(4, BLOCK + 5, family="gsm_symbolic")


def test_a_small_family_ends() -> None:
    config = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    rows = generate(1, 5000, family="chain_sum", config=config)
    assert 100 < len(rows) < 400
    assert len({row["question"] for row in rows}) == len(rows)


def test_other_families_have_direct_answers_only() -> None:
    row = generate(2, 1, family="chain_sum", config={"min_terms": 3, "max_terms": 3})[0]
    assert row["worked"] == {"direct": f"The answer is {row['answer']}."}
    assert row["metadata"]["num_terms"] == 3


def test_metadata_is_json() -> None:
    canonical(generate(2, 2, family="knights_knaves"))


def test_unknown_family() -> None:
    assert _message(family="gsm_symbollic") == (
        "reasoning_gym: E404 unknown family 'gsm_symbollic'\n    hint: did you mean 'gsm_symbolic'?"
    )


def test_unknown_setting() -> None:
    assert _message(family="chain_sum", config={"terms": 3}) == (
        "reasoning_gym: E404 family 'chain_sum' refuses its config: "
        "ChainSumConfig.__init__() got an unexpected keyword argument 'terms'\n"
        "    hint: see the family's config class in reasoning-gym"
    )


def test_setting_out_of_range() -> None:
    assert _message(family="chain_sum", config={"min_terms": 0}) == (
        "reasoning_gym: E404 family 'chain_sum' refuses its config: min_terms must be positive\n"
        "    hint: see the family's config class in reasoning-gym"
    )


def test_seed_inside_the_config() -> None:
    assert _message(family="chain_sum", config={"seed": 3}) == (
        "reasoning_gym: E404 config of family 'chain_sum' sets 'seed'\n"
        "    hint: give `seed` beside `config`; the size follows from the splits"
    )


def test_family_without_gold_answers() -> None:
    assert _message(family="rubiks_cube") == (
        "reasoning_gym: E404 family 'rubiks_cube' has rows without a gold answer\n"
        "    hint: choose a family whose rows carry an answer"
    )


def test_library_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    assert _message(family="chain_sum") == (
        "reasoning_gym: E409 the package 'reasoning-gym' is not installed\n"
        "    hint: install it, or choose another source"
    )
