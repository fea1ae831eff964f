"""The process that compares formulas: ``python -m stages.scoring.maths_worker SECONDS MIB``.

One comparison a line of standard input, as JSON; ``1`` or ``0`` a line of standard output. The
parent is `stages.scoring.workers`; nothing else imports this module, since sympy takes a second.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import Any

import math_verify  # type: ignore[import-untyped]
from latex2sympy2_extended import NormalizationConfig  # type: ignore[import-untyped]
from sympy import Expr, Float, Rational, simplify  # type: ignore[import-untyped]

EXACT_DIGITS = 50
ROUNDED = 1e-6
"""As `numeric.RELATIVE_TOLERANCE`, where a side holds a decimal."""
# Units are gone already, and its own list of them takes the variable off "3t".
_NORMAL = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none"
)
_LATEX = [math_verify.LatexExtractionConfig(boxed_match_priority=-1, normalization_config=_NORMAL)]


def main() -> None:
    """Answer until standard input ends."""
    seconds, mebibytes = float(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    # A library that prints must not write into the answers.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    replies.write(b"ready\n")
    for line in sys.stdin.buffer:
        kind, answer, gold = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        verdict = judged(kind, answer, gold)
        signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(b"1\n" if verdict else b"0\n")


def judged(kind: str, answer: list[str], gold: list[str]) -> bool:
    """The verdict; an error of any kind is a no."""
    try:
        ours, theirs = [list(map(parsed, sides)) for sides in (answer, gold)]
        if any(side is None for side in (*ours, *theirs)):
            return False
        if kind == "equation":
            return same_equation(ours, theirs)
        return same(ours[0], theirs[0])
    except (Exception, RecursionError, MemoryError):
        return False


def parsed(text: str) -> Any:
    """The formula, or None where it is not understood whole."""
    found = math_verify.parse(
        f"${text}$",
        _LATEX,
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=None,
    )
    return found[0] if found else None


def same(ours: Any, theirs: Any) -> bool:
    """Numbers by their value, whatever else as math-verify has it."""
    if all(isinstance(it, Expr) and it.is_number for it in (ours, theirs)):
        return same_number(ours, theirs)
    return bool(
        math_verify.verify(theirs, ours, timeout_seconds=None, allow_set_relation_comp=True)
    )


def same_number(ours: Expr, theirs: Expr) -> bool:
    """Equal to fifty digits, or to six where one of them is a decimal."""
    a, b = ours.doit(), theirs.doit()
    if isinstance(a, Rational) and isinstance(b, Rational):
        return bool(a == b)
    left, right = (complex_parts(it) for it in (a, b))
    rounded = a.has(Float) or b.has(Float)
    within = ROUNDED if rounded else Float(10) ** -(EXACT_DIGITS - 10)
    scale = max(abs(part) for part in (*left, *right))
    return all(abs(x - y) <= within * scale for x, y in zip(left, right, strict=True))


def complex_parts(number: Expr) -> tuple[Any, Any]:
    """Real and imaginary part as decimals; raises TypeError where there are none."""
    parts: tuple[Any, Any] = number.evalf(EXACT_DIGITS).as_real_imag()
    if not all(isinstance(part, (Float, Rational)) and part.is_finite for part in parts):
        raise TypeError(f"{number} has no value")
    return parts


def same_equation(ours: list[Any], theirs: list[Any]) -> bool:
    """Whether one is the other times a number; what holds always or never is no answer.

    math-verify's own comparison takes two equations without solutions for one.
    """
    first, second = (simplify(left - right) for left, right in (ours, theirs))
    if first.is_number or second.is_number:
        return False
    ratio = simplify(first / second)
    return bool(ratio.is_number and ratio != 0)


if __name__ == "__main__":
    main()
