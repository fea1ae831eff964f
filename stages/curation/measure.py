"""What can be told of rationales without the others: many at a time, in any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.jsonl import encodable
from stages.curation.cases import Case
from stages.curation.judged import Rationale, of_row, of_teacher
from stages.curation.settings import GOLD, KEPT, OVERLAP, TOO_LONG, Settings

if TYPE_CHECKING:
    from stages.curation.decontaminate import Questions


class Measure:
    """Judges, counts tokens, compares with test questions and signs.

    Args:
        settings: What is wanted of that.
        tasks: ``tasks.json`` of the suite.
        questions: Of the test rows; None where nothing is compared with them.
        tokenizer: The student's ``tokenizer.json``, read when tokens count.
    """

    def __init__(
        self,
        settings: Settings,
        tasks: Mapping[str, Mapping[str, Any]],
        questions: Questions | None,
        tokenizer: Path,
    ) -> None:
        self.settings, self.tasks, self.questions = settings, tasks, questions
        self.file = tokenizer

    def __call__(self, cases: Sequence[Case]) -> list[list[Rationale]]:
        """The rationales of each case, a strategy's own solution behind its samples."""
        made = [list(self._judged(case)) for case in cases]
        if self.settings.counts_tokens:
            self._count([one for each in made for one in each if one.reason == KEPT])
        if self.questions is not None:
            self._compare(self.questions, cases, made)
        if self.settings.compares:
            self._sign([one for each in made for one in each if one.reason == KEPT])
        return made

    def _judged(self, case: Case) -> Iterator[Rationale]:
        row, task = case.row, self.tasks[case.row["task"]]
        for item in case.items:
            yield of_teacher(item, row, task, self.settings)
        if self.settings.filter == GOLD or self.settings.floor:
            for strategy in dict.fromkeys(item["strategy"] for item in case.items):
                if strategy in row["worked"]:
                    yield of_row(strategy, row, task)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def _count(self, rationales: Sequence[Rationale]) -> None:
        most = self.settings.max_tokens
        encoded = self._tokenizer.encode_batch_fast(
            [encodable(one.text) for one in rationales], add_special_tokens=False
        )
        for one, tokens in zip(rationales, encoded, strict=True):
            one.tokens = len(tokens)
            if most is not None and one.tokens > most:
                one.reason = TOO_LONG

    def _compare(
        self, questions: Questions, cases: Sequence[Case], made: Sequence[list[Rationale]]
    ) -> None:
        # a row's question is looked up once, and each rationale with the words before it
        asked = questions.overlaps([case.row["question"] for case in cases])
        rest = []
        for number, (case, each) in enumerate(zip(cases, made, strict=True)):
            shared = questions.repeats(case.row["question"]) or asked.get(number)
            tail = " ".join(case.row["question"].split()[1 - questions.ngram :])
            for one in each:
                if one.reason == KEPT and shared:
                    one.reason, one.overlap = OVERLAP, shared
                elif one.reason == KEPT:
                    rest.append((one, f"{tail} {one.text}"))
        found = questions.overlaps([text for _, text in rest])
        for number, shared in found.items():
            rest[number][0].reason, rest[number][0].overlap = OVERLAP, shared

    def _sign(self, rationales: Sequence[Rationale]) -> None:
        from stages.curation.minhash import bands, minima, signatures, width
        from stages.curation.words import hashed

        texts = [(one, hashed(one.text)) for one in rationales]
        signed = [one for one, text in texts if text]
        least = minima([text for _, text in texts if text])
        threshold = self.settings.near_duplicates
        shared = bands(least, width(threshold)) if threshold else None
        for number, (one, signature) in enumerate(zip(signed, signatures(least), strict=True)):
            one.signature = signature.tobytes()
            if shared is not None:
                one.bands = shared[number].tobytes()
