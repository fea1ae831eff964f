"""Last letter concatenation: join the last letters of some words.

The symbolic task of Wei et al., *Chain-of-Thought Prompting Elicits Reasoning in Large Language
Models* (arXiv 2201.11903), in the four-word wording (grammar included) of Kojima et al., *Large
Language Models are Zero-Shot Reasoners* (arXiv 2205.11916), which Ho et al., *Large Language
Models Are Reasoning Teachers* (arXiv 2212.10071) reuse. Words are given names, here from the 1990
US Census, and no name occurs twice in a question.
"""

from __future__ import annotations

from random import Random
from typing import Any

from stages.data.draw import check_range, distinct, listed
from stages.data.names import names


def generate(seed: int, count: int, *, words: int = 4) -> list[dict[str, Any]]:
    """Distinct questions with gold answers and a worked solution for each strategy.

    Args:
        seed: Decides every row.
        count: How many rows; fewer come back when the questions run out.
        words: How many words a question holds.
    """
    check_range("last_letter", "words", words, 1, len(names()))

    def draw(rng: Random) -> dict[str, Any]:
        return _row(rng.sample(names(), words))

    return distinct(seed, count, draw)


def _row(words: list[str]) -> dict[str, Any]:
    answer = "".join(word[-1] for word in words)
    return {
        "question": f'Take the last letters of each words in "{" ".join(words)}" '
        "and concatenate them.",
        "answer": answer,
        "worked": _worked(words, answer),
    }


def _worked(words: list[str], answer: str) -> dict[str, str]:
    # Spelled with spaces, each letter is one token: joining them would be a lesson in the
    # tokenizer, not in the task. The published cleansing removes the spaces again.
    letters = list(answer)
    spelled = " ".join(letters)
    end = f"The answer is {spelled}."
    steps = " ".join(
        f'"{word}" ends in "{word[-1]}": {" ".join(letters[: place + 1])}.'
        for place, word in enumerate(words)
    )
    several = len(words) > 1
    pairs = ", ".join(f"{word} {word[-1]}" for word in words)
    return {
        "direct": end,
        "step_by_step": f"{steps} {end}",
        "explain_then_answer": f"The last {'letters' if several else 'letter'} of {listed(words)} "
        f"{'are' if several else 'is'} {listed(letters)}. "
        f"Written one after another they spell {spelled}. {end}",
        "recall_then_generate": "To concatenate is to write letters one after another. "
        f"The last letters are {', '.join(letters)}, which gives {spelled}. {end}",
        "recall_reason_generate": "Recall: the last letter of a word is its rightmost one. "
        f"Reason: {pairs}. Joined in order: {spelled}. {end}",
        "extract_then_generate": f"Words: {', '.join(words)}. "
        f"Last letters: {', '.join(letters)}. {end}",
    }
