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
from stages.data.solutions import Phrases, worked


def generate(seed: int, count: int, *, words: int = 4) -> list[dict[str, Any]]:
    """Distinct questions with gold answers and the worked solutions of each strategy.

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
    question = f'Take the last letters of each words in "{" ".join(words)}" and concatenate them.'
    # Spelled with spaces, each letter is one token: joining them would be a lesson in the
    # tokenizer, not in the task. The published cleansing removes the spaces again.
    end = f"The answer is {' '.join(answer)}."
    solutions = worked(question, end, _phrases(words, list(answer)))
    return {"question": question, "answer": answer, "worked": solutions}


def _phrases(words: list[str], letters: list[str]) -> Phrases:
    """By strategy, the phrases of each stretch of a solution; see `worked`."""
    spelled = " ".join(letters)
    ends = list(zip(words, letters, strict=True))
    so_far = [" ".join(letters[: place + 1]) for place in range(len(letters))]
    steps = [(word, letter, done) for (word, letter), done in zip(ends, so_far, strict=True)]
    pairs = ", ".join(f"{word} {letter}" for word, letter in ends)
    back = ", ".join(f"{word} {letter}" for word, letter in reversed(ends))
    commas = ", ".join(letters)
    several_words = len(words) > 1
    noun, verb = ("letters", "are") if several_words else ("letter", "is")
    finish = "end" if several_words else "ends"
    return {
        "step_by_step": [
            [
                " ".join(f'"{word}" ends in "{letter}": {done}.' for word, letter, done in steps),
                " ".join(f"{word} gives {letter}, so far {done}." for word, letter, done in steps),
                " ".join(f'The last letter of "{word}" is {letter}.' for word, letter in ends)
                + f" In order: {spelled}.",
                " ".join(f"{place}. {word}: {end}." for place, (word, end) in enumerate(ends, 1))
                + f" Joined: {spelled}.",
                f"From the last word back: {back}. From the first word on: {spelled}.",
                f"Begin with {words[0]}: {letters[0]}."
                + "".join(f" Add {word}: {done}." for word, _, done in steps[1:]),
                "Take " + listed(f"{letter} from {word}" for word, letter in ends) + ". "
                f"In that order: {spelled}.",
                " ".join(f"Where does {word} end? In {letter}." for word, letter in ends)
                + f" Together: {spelled}.",
            ]
        ],
        "explain_then_answer": [
            [
                f"The last {noun} of {listed(words)} {verb} {listed(letters)}.",
                f"{listed(words)} {finish} in {listed(letters)}.",
                f"At the end of each word stands: {pairs}.",
            ],
            [
                f"Written one after another they spell {spelled}.",
                f"Put side by side this gives {spelled}.",
                f"Kept in the order of the words that makes {spelled}.",
            ],
        ],
        "recall_then_generate": [
            [
                "To concatenate is to write letters one after another.",
                "Concatenated letters stand side by side, in the order of their words.",
                "A word's last letter is the one at its end, and joining keeps the order.",
            ],
            [
                f"The last letters are {commas}, which gives {spelled}.",
                f"The ends here are {pairs}, so the result is {spelled}.",
                f"Read from the last word back: {back}. In order: {spelled}.",
            ],
        ],
        "recall_reason_generate": [
            [
                "Recall: the last letter of a word is its rightmost one.",
                "Recall: a word is read from left to right, so its last letter stands rightmost.",
                "Recall: letters are concatenated by writing them in a row.",
            ],
            [
                f"Reason: {pairs}. Joined in order: {spelled}.",
                "Reason: "
                + "; ".join(f"{word} ends in {letter}" for word, letter in ends)
                + f". In a row: {spelled}.",
                f"Reason: backwards {back}. Forwards: {spelled}.",
            ],
        ],
        "extract_then_generate": [
            [
                f"Words: {', '.join(words)}.",
                f"Given are {listed(words)}.",
                f"From the last to the first word: {', '.join(reversed(words))}.",
            ],
            [
                f"Last letters: {commas}.",
                "Their ends: " + ", ".join(f"{word}-{letter}" for word, letter in ends) + ".",
                f"Ends, the last word first: {', '.join(reversed(letters))}. "
                f"The first word first: {commas}.",
            ],
        ],
    }
