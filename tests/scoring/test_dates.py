"""Which texts are a date, and which day they name."""

from __future__ import annotations

import datetime
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.scoring.extract import extract
from stages.scoring.verify import read, verify

READ: list[tuple[str, str | None]] = [
    ("05/06/2021", "05/06/2021"),
    ("5/6/2021", "05/06/2021"),
    (" 5/6/2021. ", "05/06/2021"),
    ("05-06-2021", "05/06/2021"),
    ("05.06.2021", "05/06/2021"),
    ("5 / 6 / 2021", "05/06/2021"),
    ("25/12/2021", "12/25/2021"),
    ("12/25/2021", "12/25/2021"),
    ("2021-05-06", "05/06/2021"),
    ("2021/5/6", "05/06/2021"),
    ("2021-05-06T00:00:00Z", "05/06/2021"),
    ("May 6, 2021", "05/06/2021"),
    ("May 6 2021", "05/06/2021"),
    ("may 6th, 2021", "05/06/2021"),
    ("Sept. 3, 1999", "09/03/1999"),
    ("Feb 29, 2020", "02/29/2020"),
    ("6 May 2021", "05/06/2021"),
    ("6th of May, 2021", "05/06/2021"),
    ("the 6th day of May 2021", "05/06/2021"),
    ("6-May-2021", "05/06/2021"),
    ("Thursday, May 6, 2021", "05/06/2021"),
    ("on Thu, 6 May 2021", "05/06/2021"),
    ("**05/06/2021**", "05/06/2021"),
    ("(05/06/2021)", "05/06/2021"),
    ('"05/06/2021".', "05/06/2021"),
    ("12/31/1899", "12/31/1899"),
    ("", None),
    ("2021", None),
    ("May 2021", None),
    ("May 6", None),
    ("5/6/21", None),
    ("02/30/2021", None),
    ("02/29/2021", None),
    ("13/13/2021", None),
    ("00/10/2021", None),
    ("05/06/0000", None),
    ("05/06-2021", None),
    ("105/06/2021", None),
    ("05/06/20213", None),
    ("05/06/2021/7", None),
    ("Mayor 6, 2021", None),
    ("05/06/2021 or 05/07/2021", None),
    ("05/06/2021 = 05/06/2021", None),
    ("x = 05/06/2021", None),
    ("\uff10\uff15/06/2021", None),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_read(text: str, expected: str | None) -> None:
    assert read(text, "date") == expected


AFTER = [{"after": "The answer is"}]
FOUND: list[tuple[str, list[dict[str, str]], str | None]] = [
    ("The answer is 05/06/2021.", AFTER, "05/06/2021"),
    ("The answer is: **May 6, 2021**", AFTER, "05/06/2021"),
    ("The answer is Thursday, the 6th of May 2021, a week later.", AFTER, "05/06/2021"),
    ("The answer is\n05/06/2021", AFTER, "05/06/2021"),
    ("The answer is 02/30/2021, no day, so 03/02/2021", AFTER, "03/02/2021"),
    ("The answer is 05/06/2021. No, 05/07/2021.", AFTER, None),
    ("The answer is in May.", AFTER, None),
    ("From 05/06/2021 it is 05/07/2021 today", [{"last": "date"}], "05/07/2021"),
    ("From 05/06/2021 it is 05/07/2021 today", [{"first": "date"}], "05/06/2021"),
    ("From 5/6/2021-5/8/2021", [{"first": "date"}], "05/06/2021"),
    ("From 5/6/2021-5/8/2021", [{"last": "date"}], "05/08/2021"),
    ("No date at all, 5/6", [{"last": "date"}], None),
]


@pytest.mark.parametrize(("completion", "rules", "expected"), FOUND)
def test_extract(completion: str, rules: list[dict[str, str]], expected: str | None) -> None:
    assert extract(completion, rules, "date").answer == expected


DAYS = st.dates(datetime.date(1000, 1, 1), datetime.date(9999, 12, 31))
FORMS = ["{m:02}/{d:02}/{y}", "{m}/{d}/{y}", "{y}-{m:02}-{d:02}", "{n} {d}, {y}", "{d} {n} {y}"]
MONTHS = "January February March April May June July August September October November December"


def written(day: datetime.date, form: str) -> str:
    name = MONTHS.split()[day.month - 1]
    return form.format(m=day.month, d=day.day, y=day.year, n=name)


@given(DAYS, st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_every_form_names_the_same_day(day: datetime.date, one: str, other: str) -> None:
    assert verify(f" {written(day, one)}.", written(day, other), "date")


def test_another_row_s_date_is_not_accepted() -> None:
    draw = random.Random(0)
    days = [
        datetime.date(2000, 1, 1) + datetime.timedelta(draw.randrange(7000)) for _ in range(999)
    ]
    for day, other in zip(days, draw.sample(days, len(days)), strict=True):
        one, gold = (written(it, draw.choice(FORMS)) for it in (day, other))
        assert verify(one, gold, "date") == (day == other), (one, gold)
