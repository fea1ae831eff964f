"""What one rationale is on its own: the answer filter, and the answer that the student learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from stages.curation.settings import (
    CUT_SHORT,
    KEPT,
    NO_ANSWER,
    NONE,
    REFUSED,
    UNSOUND,
    WORKED,
    WRONG,
    Settings,
)
from stages.scoring.judge import Verdict, judge
from stages.scoring.verify import stated

if TYPE_CHECKING:
    from stages.curation.decontaminate import Overlap


@dataclass(slots=True)
class Rationale:
    """A rationale and what became of it.

    Args:
        sample: Its number; `WORKED` for the row's own solution.
        text: What the student would learn to write before the answer.
        answer: The answer that it would learn.
        found: The answer that the text states.
        right: Whether it is whole and its answer the gold one.
        reason: `KEPT`, or why it is dropped.
        tokens: Of the text, in the student's tokenizer, where that counts.
        signature: `minhash.signatures`, where rationales are compared.
        bands: `minhash.bands`, likewise.
        overlap: With a test row.
        near: The rationale that it nearly repeats: row/strategy/sample.
        copy: 1 and up for a repeat of a rationale that is trained on.
    """

    strategy: str
    sample: int | str
    text: str
    answer: str
    found: str | None
    right: bool
    reason: str
    tokens: int = 0
    signature: bytes = b""
    bands: bytes = b""
    overlap: Overlap | None = None
    near: str = ""
    copy: int = 0


def of_teacher(
    item: Mapping[str, Any], row: Mapping[str, Any], task: Mapping[str, Any], settings: Settings
) -> Rationale:
    """A line of ``build/rationales``, judged."""
    verdict = judge(item["completion"], row, task)
    plain = _plain_reason(item, verdict)
    reason = _filtered(item, plain, settings)
    kind = task["answer"]["type"]
    wrong = reason == KEPT and not verdict.correct
    return Rationale(
        strategy=item["strategy"],
        sample=item["sample"],
        text=verdict.rationale,
        answer=own_answer(verdict, row, kind) if wrong else row["answer"],
        found=verdict.answer,
        right=plain == KEPT,
        reason=reason,
    )


def of_row(strategy: str, row: Mapping[str, Any], task: Mapping[str, Any]) -> Rationale:
    """The row's own solution; it is the gold reasoning, so it need not state its answer."""
    verdict = judge(row["worked"][strategy], row, task)
    usable = verdict.correct or verdict.answer is None
    return Rationale(
        strategy, WORKED, verdict.rationale, row["answer"], verdict.answer, usable,
        KEPT if usable else WRONG,
    )  # fmt: skip


def _plain_reason(item: Mapping[str, Any], verdict: Verdict) -> str:
    """The answer filter of Fine-tune-CoT (Ho et al. 2022, section 3)."""
    if item["error"]:
        return REFUSED
    if item["finish_reason"] == "length":
        return CUT_SHORT
    if verdict.answer is None:
        return NO_ANSWER
    return KEPT if verdict.correct else WRONG


def _filtered(item: Mapping[str, Any], plain: str, settings: Settings) -> str:
    if (settings.filter == NONE and plain in (NO_ANSWER, WRONG)) or (
        plain == WRONG and let_through(item, settings)
    ):
        plain = KEPT
    name = item["id"], item["strategy"], item["sample"]
    if plain == KEPT and settings.sound is not None and name not in settings.sound:
        return UNSOUND
    return plain


def let_through(item: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a wrong rationale passes; one that passes at a share passes at every larger one."""
    name = f"{settings.seed}/{item['id']}/{item['strategy']}/{item['sample']}"
    drawn = blake2b(name.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(drawn, "big") < settings.let_through * 2**64


def own_answer(verdict: Verdict, row: Mapping[str, Any], kind: str) -> str:
    """The teacher's answer as the row would write it; the gold one where the teacher states none.

    A wrong rationale with the right answer behind it would teach that reasoning decides nothing.
    """
    if verdict.answer is None:
        return str(row["answer"])
    if kind == "letters" and " " in row["answer"].strip():
        return " ".join(verdict.answer)
    return stated(verdict.answer, kind)
