"""What a student learns beside its rows' tokens: probabilities of a model, or recorded ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.core.errors import UserError
from stages.engines.local import Generator, LocalEngine
from stages.spec.losses import Loss
from stages.training import soft
from stages.training.divergence import full, top_k
from stages.training.objective import Objective, completion_loss
from stages.training.packing import packed_attention, unlearned
from stages.training.sampling import sampled
from stages.training.sft import train
from stages.training.soft import ByRecord, Guided
from stages.training.targets import check_head, targets
from stages.training.tokenise import Example
from tests.models import random_model
from tests.tiny import save_tiny
from tests.training.test_sft import SETTINGS, row, silent

ASKED = [{"role": "user", "content": "Think, then say whether coin is up."}]
LIMIT = 6


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher with other weights and the student's tokenizer."""
    return save_tiny(tmp_path_factory.mktemp("models") / "teacher", seed=7)


@pytest.fixture
def student(tiny: Path) -> Generator:
    return Generator.load(tiny)


def by_model(
    student: Generator, teacher: Path, *, count: int = 3, kept: bool = False, **settings: Any
) -> tuple[list[Example], Objective]:
    rows = [row(number) | ({} if kept else {"teacher": ASKED}) for number in range(count)]
    header = {"run": "steps", "teacher": LocalEngine(teacher).model}
    given = {**SETTINGS, "loss": "forward_kl", "max_length": 128, **settings}
    return targets(teacher, header, rows, student.tokenizer, given, LIMIT)


def logits(model: Any, example: Any, asked: Any = ()) -> torch.Tensor:
    """Of the completion's tokens, from one whole row at a time."""
    completion = example.ids[example.prompt :]
    prompt = list(asked) or example.ids[: example.prompt]
    whole = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0]
    return whole[len(prompt) - 1 : -1]


def gradient(loss: torch.Tensor, model: Any) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return model.get_input_embeddings().weight.grad.clone()


@pytest.mark.parametrize("chunk", [1, 5, 1000])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "reverse_kl", "temperature": 2.0},
        {"loss": "jsd", "beta": 0.3, "hard_weight": 0.4},
    ],
)
def test_loss_and_gradient_are_those_of_whole_logits(
    student: Generator, other: Path, monkeypatch: pytest.MonkeyPatch, chunk: int,
    settings: dict[str, Any],
) -> None:  # fmt: skip
    vocabulary = student.model.config.vocab_size
    monkeypatch.setattr(soft, "LOGITS", chunk * vocabulary)
    examples, objective = by_model(student, other, **settings)
    total = objective.loss(student.model, objective.collate(examples, False), 0)

    teacher, loss = Generator.load(other).model, Loss.of({"loss": "forward_kl", **settings})
    wanted = torch.zeros(())
    for example in examples:
        mine = logits(student.model, example)
        theirs = logits(teacher, example, example.asked).detach()
        goal = torch.tensor(example.ids[example.prompt :])
        hard = torch.nn.functional.cross_entropy(mine, goal, reduction="sum")
        apart = full(mine, theirs, loss.beta, loss.temperature).sum()
        wanted = wanted + loss.hard_weight * hard + (1 - loss.hard_weight) * apart
    assert total.item() == pytest.approx(wanted.item(), rel=1e-4)
    made, known = (gradient(value, student.model) for value in (total, wanted))
    assert torch.allclose(made, known, rtol=1e-3, atol=1e-4)
    assert all(weight.grad is None for weight in teacher.parameters())


def test_no_more_logits_than_a_chunk_are_made_at_once(
    student: Generator, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soft, "LOGITS", 4 * student.model.config.vocab_size)
    examples, objective = by_model(student, other)
    seen: list[int] = []
    student.model.get_output_embeddings().register_forward_hook(
        lambda module, given, made: seen.append(made.shape[0])
    )
    total = objective.loss(student.model, objective.collate(examples, False), 0)
    total.backward()
    assert max(seen) == 4
    assert sum(seen) == sum(len(example.ids) - example.prompt for example in examples)


def test_the_teacher_that_is_the_student_has_nothing_to_teach(
    student: Generator, tiny: Path
) -> None:
    examples, objective = by_model(student, tiny, kept=True)
    total = objective.loss(student.model, objective.collate(examples, False), 0)
    assert abs(total.item()) < 1e-4
    examples, objective = by_model(student, tiny)
    total = objective.loss(student.model, objective.collate(examples, False), 0)
    assert total.item() > 0.1, "with another prompt it has"


def test_training_brings_the_student_to_the_teachers_probabilities(
    student: Generator, other: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "epochs": 40, "batch_size": 3, "learning_rate": 1e-2}
    examples, objective = by_model(student, other, kept=True)
    log = train(student, examples, lambda _: 0.5, settings, tmp_path, silent, objective=objective)
    first, last = (log.steps[at]["loss"] for at in (0, -1))
    assert last < 0.2 * first


def one_hot(student: Generator, chance: float, *, skip: int = 0) -> list[Example]:
    """Rows whose record gives each token of the completion so much, but for the first few."""
    made: list[Example] = []
    for example in by_hand(student):
        completion = example.ids[example.prompt :]
        ids = np.array([[index] for index in completion], np.int32)
        chances = np.full(ids.shape, math.log(chance), np.float32)
        ids[:skip] = -1
        made.append(Guided(example.id, example.ids, example.prompt, tops=(ids, chances)))
    return made


def by_hand(student: Generator) -> list[Example]:
    given = {**SETTINGS, "loss": "sft", "max_length": 128}
    return targets(Path(), {"run": "steps"}, map(row, range(3)), student.tokenizer, given, LIMIT)[0]


def test_what_is_certain_on_record_is_cross_entropy(student: Generator) -> None:
    objective = ByRecord(Loss("forward_kl", beta=0.0))
    batch = objective.collate(one_hot(student, 1.0), False)
    total = objective.loss(student.model, batch, 0)
    wanted = completion_loss(student.model, batch)
    assert total.item() == pytest.approx(wanted.item(), rel=1e-3)


@pytest.mark.parametrize("chunk", [2, 1000])
def test_tokens_that_are_not_on_record_are_learned_as_text(
    student: Generator, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(soft, "LOGITS", chunk * student.model.config.vocab_size)
    objective = ByRecord(Loss("jsd", beta=0.5, hard_weight=0.25))
    examples = one_hot(student, 0.6, skip=2)
    total = objective.loss(student.model, objective.collate(examples, False), 0)
    wanted = torch.zeros(())
    for example in examples:
        mine, goal = logits(student.model, example), torch.tensor(example.ids[example.prompt :])
        own = torch.nn.functional.cross_entropy(mine, goal, reduction="none")
        chances = torch.full((len(goal) - 2, 1), math.log(0.6))
        told = top_k(mine[2:], goal[2:, None], chances, 0.5)
        wanted = wanted + own[:2].sum() + (0.25 * own[2:] + 0.75 * told).sum()
    assert total.item() == pytest.approx(wanted.item(), rel=1e-4)
    made, known = (gradient(value, student.model) for value in (total, wanted))
    assert torch.allclose(made, known, rtol=1e-3, atol=1e-4)


def test_rows_of_the_pipeline_with_their_record(
    student: Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(0), row(1)]
    text = rows[0]["completion"][:5]
    rows[0]["logprobs"] = [[letter, -0.1, [[letter, -0.1], ["x", -2.5]]] for letter in text]
    given = {**SETTINGS, "loss": "forward_kl", "max_length": 128}
    examples, objective = targets(Path(), {"run": "steps"}, rows, student.tokenizer, given, LIMIT)
    tokens = sum(len(example.ids) - example.prompt for example in examples)
    assert capsys.readouterr().out == (
        f"train steps: the teacher's probabilities of 5 of {tokens} tokens\n"
    )
    batch = objective.collate(examples, False)
    assert batch["tops"].shape == (tokens, 2)
    assert (batch["tops"] >= 0).any(-1).sum() == 5
    total = objective.loss(student.model, batch, 0)
    assert len(batch["labels"]) == tokens
    assert total.isfinite()


def spied(student: Generator, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The completions that are sampled from here on."""
    seen: list[Any] = []

    def noted(*values: Any) -> list[list[int]]:
        seen.append(sampled(*values))
        return seen[-1]

    monkeypatch.setattr(soft, "sampled", noted)
    return seen


def test_on_policy_scores_what_the_student_writes(
    student: Generator, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spied(student, monkeypatch)
    student.model.train()
    examples, objective = by_model(student, other, on_policy=1.0, hard_weight=0.5)
    total = objective.loss(student.model, objective.collate(examples, False), 3)
    assert student.model.training
    teacher, wanted, own = Generator.load(other).model, 0.0, 0
    for example, written in zip(examples, seen[0], strict=True):
        assert 1 <= len(written) <= LIMIT
        prompt = example.ids[: example.prompt]
        made = Guided("", [*prompt, *written], len(prompt), example.asked)
        mine, theirs = logits(student.model, made), logits(teacher, made, example.asked)
        wanted += full(mine, theirs, 0.0, 1.0).sum().item()
        own += len(written)
    count = sum(len(example.ids) - example.prompt for example in examples)
    assert total.item() == pytest.approx(wanted / own * count, rel=1e-4)
    total.backward()


def test_the_share_of_steps_on_policy_is_what_it_says_and_drawn_again_the_same(
    student: Generator, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spied(student, monkeypatch)
    examples, objective = by_model(student, other, on_policy=0.3, count=1)
    batch = objective.collate(examples, False)
    with torch.no_grad():
        first = [objective.loss(student.model, batch, step).item() for step in range(60)]
        drawn = len(seen)
        torch.manual_seed(99)
        again = [objective.loss(student.model, batch, step).item() for step in range(60)]
    assert first == again
    assert 8 <= drawn <= 30
    assert len({tuple(map(tuple, one)) for one in seen}) > 1, "other steps draw other completions"


def test_sampling_is_by_its_seed_alone_and_within_the_limit(student: Generator) -> None:
    prompts = [[5, 6, 7], [8, 9, 10, 11, 12]]
    before = torch.random.get_rng_state()

    def draw(seed: int, words: int = 258) -> list[list[int]]:
        return sampled(student.model, prompts, 12, 1, words, seed)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(len(written) <= 12 for written in draw(1))
    assert all(index < 40 for written in draw(1, 40) for index in written)


def test_what_is_sampled_ends_with_the_end_of_turn(student: Generator) -> None:
    drawn = [w for seed in range(30) for w in sampled(student.model, [[5, 6]], 30, 1, 258, seed)]
    ended = [written for written in drawn if len(written) < 30]
    assert ended
    assert all(written[-1] == 1 and 1 not in written[:-1] for written in ended)


def test_sampled_tokens_come_with_the_students_probabilities(student: Generator) -> None:
    prompt, draws = [5, 6, 7], 600
    counts = torch.zeros(258)
    for written in sampled(student.model, [prompt] * draws, 1, 1, 258, 4):
        counts[written[0]] += 1
    with torch.no_grad():
        chances = student.model(input_ids=torch.tensor([prompt])).logits[0, -1].softmax(-1)
    likely = chances > 0.01
    assert likely.sum() >= 3
    deviation = (counts - draws * chances) / (draws * chances * (1 - chances)).sqrt()
    assert deviation[likely].abs().max() < 4.5


def test_on_policy_training_is_deterministic_and_the_loss_falls(
    tiny: Path, other: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "epochs": 60, "batch_size": 3, "learning_rate": 1e-2}
    logs = []
    for name in ("one", "two"):
        student = Generator.load(tiny)
        examples, objective = by_model(student, other, kept=True, on_policy=1.0)
        out = tmp_path / name
        logs.append(
            train(student, examples, lambda _: 0.5, settings, out, silent, objective=objective)
        )
    assert logs[0] == logs[1]
    losses = [item["loss"] for item in logs[0].steps]
    assert sum(losses[-10:]) / 10 < 0.5 * losses[0]


def refused(make: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as found:
        make()
    return str(found.value)


def test_another_teacher_than_the_rows_were_made_for(
    student: Generator, tiny: Path, other: Path
) -> None:
    header = {"run": "steps", "teacher": LocalEngine(other).model}
    given = {**SETTINGS, "loss": "forward_kl", "max_length": 128}
    assert refused(lambda: targets(tiny, header, [row(0)], student.tokenizer, given, LIMIT)) == (
        "build/teacher: E744 this is not the teacher that build/mix was made for\n"
        "    hint: run `dvc repro`, which makes both anew"
    )


def test_a_teacher_that_is_not_there(student: Generator, tmp_path: Path) -> None:
    header = {"run": "steps", "teacher": "sha256:0"}
    given = {**SETTINGS, "loss": "forward_kl", "max_length": 128}
    folder = tmp_path / "teacher"
    assert refused(lambda: targets(folder, header, [row(0)], student.tokenizer, given, LIMIT)) == (
        f"{folder}: E514 this does not exist yet\n    hint: run `dvc repro`, which makes it"
    )


def test_a_teacher_with_another_tokenizer(student: Generator, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "teacher")
    tokenizer = Generator.load(folder).tokenizer
    tokenizer.add_tokens(["<think>"])
    tokenizer.save_pretrained(folder)
    message = refused(lambda: by_model(student, folder))
    assert message.startswith("build/teacher: E741 the teacher's tokenizer is not the student's")


def test_a_model_that_caps_its_logits(student: Generator) -> None:
    model = random_model("Gemma2", final_logit_softcapping=2.0)
    example = Example("a", [5, 6, 7, 8, 1], 2)
    assert refused(lambda: check_head("build/teacher", model, example)) == (
        "build/teacher: E745 this model caps or scales its logits, which distillation losses do "
        "not know of\n    hint: take another model, or loss: sft, which learns from texts"
    )
    check_head("build/student", student.model, example)


@pytest.mark.parametrize("packed", [False, True])
def test_how_rows_are_laid_out_changes_nothing(
    student: Generator, other: Path, packed: bool
) -> None:
    examples, objective = by_model(student, other)
    with packed_attention(student.model, examples):
        batch = objective.collate(examples, packed)
        together = objective.loss(student.model, batch, 0)
        alone = [objective.collate([example], packed) for example in examples]
        apart = [objective.loss(student.model, one, 0) for one in alone]
        nothing = objective.loss(student.model, unlearned(batch), 0)
        nothing.backward()
    assert together.item() == pytest.approx(sum(one.item() for one in apart), rel=1e-4)
    assert torch.equal(batch["labels"], batch["teacher_labels"])
    assert nothing.item() == 0
    assert all(not weight.grad.any() for weight in student.model.parameters())


def test_without_a_prompt_of_its_own_the_teacher_reads_the_students(
    student: Generator, other: Path
) -> None:
    examples, objective = by_model(student, other, kept=True)
    plain = objective.collate(examples, False)
    assert torch.equal(plain["input_ids"], plain["teacher_input_ids"])
    assert torch.equal(plain["scored"], plain["teacher_scored"])
