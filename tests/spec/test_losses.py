"""Losses that cannot be had, told before anything runs."""

from __future__ import annotations

import pytest

from stages.core.errors import UserError
from stages.spec.losses import Loss
from stages.spec.read import load_params
from tests.projects import Copy, Spot

LOSS = "  loss: sft  "
RUN = "  selected: {train_on: selected}  "
LOCAL = ("  engine: recorded  ", "  engine: local  ")
ENDPOINT = (
    "  engine: recorded  ",
    "  engine: openai\n  model: m\n  base_url: http://127.0.0.1:9/v1\n  top_logprobs: 20\n  #",
)


def params(project: Copy, *edits: tuple[str, str]) -> list[Spot]:
    """Where » stood in each edit, in the file as it ends up."""
    for old, new in edits:
        text = project.read("params.yaml")
        assert text.count(old) == 1, old
        if "local" in new:
            text = text.replace("  model: null  ", "  model: student  ", 1)
        elif "openai" in new:
            text = text.replace("  model: null  ", "  #", 1).replace("  base_url: null  ", "  #", 1)
        project.write("params.yaml", text.replace(old, new))
    lines, spots = project.read("params.yaml").split("\n"), list[Spot]()
    for number, line in enumerate(lines):
        before, mark, after = line.partition("»")
        if mark:
            lines[number] = before + after
            spots.append(Spot("params.yaml", number + 1, len(before) + 1, before + after))
    project.write("params.yaml", "\n".join(lines))
    return spots


def test_the_recorded_teacher_has_no_probabilities(project: Copy) -> None:
    """Two runs, one place."""
    (spot,) = params(project, (LOSS, "  loss: »forward_kl  "))
    message = spot.says(
        "E510 loss: forward_kl needs the teacher's probabilities, and the recorded teacher has "
        "none",
        "write teacher.engine: local, or loss: sft",
    )
    assert project.problems() == [message]
    with pytest.raises(UserError) as found:  # as every stage behind compile says
        load_params(project.root)
    assert str(found.value) == message


def test_an_endpoint_that_is_not_asked_for_them(project: Copy) -> None:
    silent = ENDPOINT[0], ENDPOINT[1].replace("  top_logprobs: 20\n", "")
    run = "  selected: {train_on: selected, train: {loss: »jsd, beta: 0.3}}  "
    (spot,) = params(project, silent, (RUN, run))
    assert project.problems() == [
        spot.says(
            "E510 loss: jsd needs the teacher's probabilities, and the openai teacher is not asked "
            "for them",
            "add teacher.top_logprobs, such as 20, or write teacher.engine: local, or loss: sft",
        )
    ]


def test_what_a_record_cannot_serve_for_is_told_at_once(project: Copy) -> None:
    spots = params(
        project,
        ENDPOINT,
        (LOSS, "  loss: »forward_kl\n  »temperature: 2\n  »on_policy: 0.5\n  »beta: 0.5  "),
    )
    assert project.problems() == [
        spots[0].says(
            "E510 the run 'direct' trains on answers, of which nobody recorded probabilities",
            "train on a strategy, write loss: sft for this run, or take a local teacher",
        ),
        spots[1].says(
            "E510 recorded probabilities cannot be tempered, as only the first few are known",
            "take `temperature` out, or take a local teacher",
        ),
        spots[2].says(
            "E510 only a local teacher can score what the student writes",
            "take `on_policy` out, or take a local teacher",
        ),
        spots[3].says("E510 `beta` is read by loss: jsd alone", "take it out, or change the loss"),
    ]


def test_keys_that_no_loss_reads(project: Copy) -> None:
    run = "  selected: {train_on: selected, train: {»hard_weight: 0.5}}  "
    spots = params(project, (RUN, run), (LOSS, "  loss: sft\n  »on_policy: 1  "))
    readers = "is read by loss: forward_kl or reverse_kl or jsd alone"
    hint = "take it out, or change the loss"
    assert project.problems() == [
        spots[0].says(f"E510 `hard_weight` {readers}", hint),
        spots[1].says(f"E510 `on_policy` {readers}", hint),
    ]


def test_a_run_may_read_what_all_share(project: Copy) -> None:
    run = "  selected: {train_on: selected, train: {loss: jsd}}  "
    params(project, LOCAL, (RUN, run), (LOSS, "  loss: sft\n  beta: 0.2\n  temperature: 2  "))
    assert project.problems() == []


def test_a_run_that_trains_on_nothing_needs_nothing(project: Copy) -> None:
    run = "  selected: {train_on: nothing, train: {loss: jsd}}  "
    params(project, (RUN, run))
    assert project.problems() == []


@pytest.mark.parametrize(
    ("stated", "beta"), [("forward_kl", 0.0), ("reverse_kl", 1.0), ("jsd", 0.5), ("sft", 0.5)]
)
def test_a_name_stands_for_a_beta(stated: str, beta: float) -> None:
    loss = Loss.of({"loss": stated, "epochs": 3, "temperature": 2})
    assert loss == Loss(stated, beta=beta, temperature=2)
    assert loss.soft == (stated != "sft")
    assert Loss.of({"loss": "jsd", "beta": 0.1}).beta == 0.1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("loss: »kl", "E113 train.loss cannot be 'kl'"),
        ("loss: sft\n  beta: »1", "E116 train.beta: 1 must be less than 1"),
        ("loss: sft\n  hard_weight: »1", "E116 train.hard_weight: 1 must be less than 1"),
    ],
)
def test_values_that_mean_nothing(project: Copy, key: str, message: str) -> None:
    (spot,) = params(project, (LOSS, f"  {key}  "))
    (problem,) = project.problems()
    assert problem.startswith(spot.says(message))
