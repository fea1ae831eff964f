from __future__ import annotations

from datetime import date, datetime, time
from fractions import Fraction
from typing import Any

import numpy
import pytest

from stages.data.plain import plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        ("é", "é"),
        (numpy.str_("a"), "a"),
        (3, 3),
        (numpy.int64(3), 3),
        (numpy.float64(0.5), 0.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ({1: (2, 3)}, {"1": [2, 3]}),
        ({"b", "a"}, ["a", "b"]),
        (numpy.array([[1, 2]]), [[1, 2]]),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 1, 2), "2024-02-29T01:02:00"),
        (time(1, 2), "01:02:00"),
        (b"raw", "<bytes>"),
        (Fraction(1, 2), "<Fraction>"),
        (object(), "<object>"),
    ],
)
def test_plain(value: Any, expected: Any) -> None:
    result = plain(value)
    assert result == expected
    assert type(result) is type(expected)
