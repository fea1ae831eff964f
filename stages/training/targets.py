"""A run's rows and what its student is to match on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stages.core.console import say
from stages.core.errors import user_error
from stages.core.jsonl import absent, encodable
from stages.engines.local import Generator, LocalEngine, encode
from stages.spec.losses import Loss
from stages.training.objective import Objective, has_linear_head
from stages.training.processes import state
from stages.training.recorded import Recorded, Tops
from stages.training.soft import ByModel, ByRecord, Guided
from stages.training.tokenise import Example, tokenise
from stages.training.vocabulary import check_same

Row = Mapping[str, Any]


def targets(
    folder: Path,
    header: Row,
    rows: Iterable[Row],
    tokenizer: Any,
    settings: Mapping[str, Any],
    limit: int,
) -> tuple[list[Example], Objective | None]:
    """What is trained on, and the objective that `settings` name.

    Args:
        folder: ``build/teacher``, which is read where the header names a model.
        header: The first line of the run's file in ``build/mix``.
        rows: The others.
        tokenizer: The student's.
        settings: ``train`` with what the run states of it.
        limit: The most tokens of a completion that the student samples itself.

    Raises:
        UserError: E711 to E713 as `tokenise`; E741 for a teacher that cuts texts otherwise; E742
            for a record of such a teacher, E743 for none; E744 when the model is not the one that
            the rows were made for.
    """
    loss, cut = Loss.of(settings), (settings["max_length"], settings.get("truncated", 0.0))
    if not loss.soft:
        return tokenise(rows, tokenizer, *cut), None
    if "teacher" not in header:
        return _recorded(header["run"], rows, tokenizer, cut), ByRecord(loss)
    teacher = _teacher(folder, header["teacher"])
    asked: list[list[int]] = []

    def read() -> Iterator[Row]:
        for row in rows:
            messages, api = row.get("teacher", row["messages"]), row.get("api", "chat")
            if not asked:
                check_same(tokenizer, teacher.tokenizer, row["id"], messages, api)
            asked.append(encode(tokenizer, messages, api) if "teacher" in row else [])
            yield row

    examples = tokenise(read(), tokenizer, *cut)
    check_head(str(folder.relative_to(folder.parents[1])), teacher.model, examples[0])
    pairs = zip(examples, asked, strict=True)
    made: list[Example] = [Guided(e.id, e.ids, e.prompt, e.cut, prompt) for e, prompt in pairs]
    end = int(tokenizer.eos_token_id)
    return made, ByModel(teacher.model.to(state().device), loss, limit, end, settings["seed"])


def _teacher(folder: Path, name: str) -> Generator:
    if not folder.is_dir():
        raise absent(folder)
    if LocalEngine(folder).model != name:
        raise user_error(
            "build/teacher", "E744", "this is not the teacher that build/mix was made for",
            "run `dvc repro`, which makes both anew",
        )  # fmt: skip
    return Generator.load(folder)


def check_head(name: str, model: Any, example: Example) -> None:
    """Raise E745 for a model whose logits are more than its last hidden states times a matrix."""
    if not has_linear_head(model, example):
        raise user_error(
            name, "E745",
            "this model caps or scales its logits, which distillation losses do not know of",
            "take another model, or loss: sft, which learns from texts",
        )  # fmt: skip


def _recorded(
    run: str, rows: Iterable[Row], tokenizer: Any, cut: tuple[int, float]
) -> list[Example]:
    record, tops = Recorded(tokenizer), list[Tops]()

    def read() -> Iterator[Row]:
        for row in rows:
            text = encodable(row["completion"])
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            # no server tells of the token that ended its answer
            tops.append(record.tops(row, [*ids, tokenizer.eos_token_id]))
            yield row

    examples = tokenise(read(), tokenizer, *cut)
    record.check(run)
    tokens = sum(len(example.ids) - example.prompt for example in examples)
    say(f"train {run}: the teacher's probabilities of {record.found} of {tokens} tokens")
    pairs = zip(examples, tops, strict=True)
    return [
        Guided(e.id, e.ids, e.prompt, e.cut, tops=_first(top, len(e.ids) - e.prompt))
        for e, top in pairs
    ]


def _first(tops: Tops, tokens: int) -> Tops:
    """What is on record of a completion that was cut."""
    ids, chances = tops
    return ids[:tokens], chances[:tokens]
