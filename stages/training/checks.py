"""What is checked of the training rows before the first step: each mistake costs a whole training.

Found by the token ids that training sees, not by the texts that they were made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stages.core.errors import Problem, UserError
from stages.engines.local import encode
from stages.engines.request import Request
from stages.training.tokenise import Example, end_of_turn

Shape = tuple[str, ...]


def check(
    file: str,
    rows: Iterable[Mapping[str, Any]],
    examples: Sequence[Example],
    asked: Iterable[tuple[str, Request]],
    tokenizer: Any,
) -> None:
    """Refuse rows that teach something else than what is asked of the student afterwards.

    Args:
        file: Where the rows are, for messages; the first one on its second line.
        rows: As in ``build/mix``, without its header.
        examples: The same, tokenised.
        asked: Task and request of each `valid` row, as inference sends it.
        tokenizer: The student's.

    Raises:
        UserError: E721 rows without anything to learn, E722 an end of turn that is missing or not
            at the end, E723 not one BOS, E724 a prompt other than at inference. All at once.
    """
    frames, problems = _Frames(tokenizer), list[Problem]()
    bos = _Bos(tokenizer)
    wrong: dict[str, list[int]] = {"E721": [], "E722": [], "E723": [], "E724": []}
    shapes: dict[str, set[Shape]] = {}
    ends: dict[str, int] = {}
    for at, (row, example) in enumerate(zip(rows, examples, strict=True)):
        api = row.get("api", "chat")
        if api not in ends:
            ends[api] = end_of_turn(tokenizer) if api == "chat" else int(tokenizer.eos_token_id)
        labels = example.ids[example.prompt :]
        if not labels or labels == [ends[api]]:
            wrong["E721"].append(at)
        elif labels.count(ends[api]) != (0 if example.cut else 1) or (
            not example.cut and labels[-1] != ends[api]
        ):
            wrong["E722"].append(at)
        if not bos.right(example.ids, api):
            wrong["E723"].append(at)
        if not frames.same(row, example):
            wrong["E724"].append(at)
        shapes.setdefault(row["task"], set()).add(_shape(row["messages"], api))
    for code, places in wrong.items():
        if places:
            message, hint = TEXTS[code]
            share = f"{len(places)} of {len(examples)} training rows"
            problems.append(
                Problem(
                    file, places[0] + 2, 1, code,
                    f"{message.format(share)}; the first is {examples[places[0]].id}", hint,
                )
            )  # fmt: skip
    problems += _asked_otherwise(file, shapes, asked)
    if problems:
        raise UserError(problems)


TEXTS = {
    "E721": (
        "{} have no token to learn from: the prompt fills train.max_length, or the completion is "
        "empty",
        "raise train.max_length, or drop these rows in curation",
    ),
    "E722": (
        "{} do not end with the one end-of-turn token that their completion may have",
        "a rationale that contains the token's text ends the student's turn early: drop it",
    ),
    "E723": (
        "{} do not begin with one begin-of-text token",
        "let either the chat template or the tokenizer write it, not both and not neither",
    ),
    "E724": (
        "{} have a prompt of other tokens than inference would send",
        "the chat template depends on more than the messages, such as the time; take that out",
    ),
}


def _asked_otherwise(
    file: str, trained: Mapping[str, set[Shape]], asked: Iterable[tuple[str, Request]]
) -> list[Problem]:
    found = {}
    for task, request in asked:
        shape = _shape(request.chat(), request.api)
        if task in trained and shape not in trained[task]:
            found[task] = shape
    return [
        Problem(
            file, 0, 0, "E724",
            f"the student is asked about {task} as {', '.join(shape)}, and is trained on "
            + " or ".join(sorted(", ".join(one) for one in trained[task])),
            "run `dvc repro`, which makes build/mix and build/compiled of one params.yaml",
        )
        for task, shape in sorted(found.items())
    ]  # fmt: skip


class _Frames:
    """Whether prompts are what inference sends; one row of each task and shape is looked at."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._seen = tokenizer, set[tuple[str, Shape]]()

    def same(self, row: Mapping[str, Any], example: Example) -> bool:
        api = row.get("api", "chat")
        kind = row["task"], _shape(row["messages"], api)
        if kind in self._seen:
            return True
        self._seen.add(kind)
        pairs = tuple((message["role"], message["content"]) for message in row["messages"])
        request = Request("local", "", pairs, 1, api=api)
        sent = encode(self._tokenizer, request.chat(), request.api)
        return sent[: len(example.ids)] == example.ids[: example.prompt]


class _Bos:
    """Whether rows begin with one BOS where there is to be one, and else with no two."""

    def __init__(self, tokenizer: Any) -> None:
        self._bos = tokenizer.bos_token_id
        plain = list(tokenizer("a")["input_ids"])
        self._wanted = self._bos is not None and plain[:1] == [self._bos]

    def right(self, ids: Sequence[int], api: str) -> bool:
        if self._bos is None:
            return True
        found = list(ids[:2])
        return found != [self._bos] * 2 and (not self._wanted or found[:1] == [self._bos])


def _shape(messages: Iterable[Mapping[str, Any]], api: str) -> Shape:
    return tuple(message["role"] for message in messages) if api == "chat" else ("text",)
