"""The page in a real headless Chromium: Debian's, over playwright, without network."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages import report
from stages.reporting.page import render
from stages.spec.read import load_params
from tests.projects import REPOSITORY
from tests.reports import HOSTILE, RUN, build

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"
)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
SLOW = 240_000
"""Milliseconds until a wait is given up, on a machine with other work."""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    top = tmp_path_factory.mktemp("built")
    count = build(top, 300)
    shutil.copytree(REPOSITORY / "templates/report", top / "templates/report")
    shutil.copytree(REPOSITORY / "specs/schema", top / "specs/schema")
    params = load_params(top)
    made = render(top, params, report.gather(top, params), report.selections(top, params))
    (top / "report.html").write_text(made, encoding="utf-8")
    return top / "report.html", count


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, page_file: tuple[Path, int]) -> Iterator[Any]:
    made = chromium.new_page(viewport={"width": 1200, "height": 900})
    made.set_default_timeout(SLOW)
    trouble: list[str] = []
    made.on("console", lambda message: trouble.append(message.text))
    made.on("pageerror", lambda error: trouble.append(str(error)))
    made.on(
        "request",
        lambda asked: trouble.append(asked.url) if "report.html" not in asked.url else None,
    )
    made.goto(page_file[0].as_uri())
    made.wait_for_selector("#list[aria-activedescendant]")
    yield made
    made.close()
    assert trouble == []  # no script but ours, no request, no policy broken


def counted(page: Any) -> str:
    return str(page.inner_text("#count"))


def find(page: Any, words: str) -> None:
    page.fill("#search", words)


def test_all_is_there_and_nothing_of_it_runs(page: Any, page_file: tuple[Path, int]) -> None:
    assert page.title() == "Tutelage report"
    assert counted(page) == f"{page_file[1]:,} texts"
    find(page, "train/script")
    assert counted(page) == f"1 of {page_file[1]:,} texts"
    assert HOSTILE["script"] in page.inner_text("#detail pre.said")
    assert page.locator("#detail script, #detail img").count() == 0
    assert page.inner_text("#detail mark") == "1"


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("controls", ["U+0000", "U+001B", "U+0007", "U+007F", "U+0085", "U+000D", "U+2028"]),
        ("bidi", ["U+202E", "U+202C", "U+200F", "U+2066", "U+2069"]),
        ("surrogates", ["U+D800", "U+DFFF"]),
        ("emoji", []),
    ],
)
def test_what_cannot_be_seen_is_told_by_its_code(page: Any, name: str, codes: list[str]) -> None:
    find(page, f"train/{name}")
    assert page.locator("#detail pre.said .unseen").all_inner_texts() == codes
    if not codes:
        assert HOSTILE[name] in page.inner_text("#detail pre.said")


def test_a_line_of_a_megabyte_is_shown_whole_when_asked(page: Any) -> None:
    find(page, "train/one_line")
    assert page.locator("#detail pre.said").text_content() != HOSTILE["one_line"]
    page.click("#detail button")
    assert page.locator("#detail pre.said").text_content() == HOSTILE["one_line"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_filters_go_together(page: Any) -> None:
    whole = counted(page)
    select = "Array.from(document.querySelector('#by-{}').options).map((one) => one.textContent)"
    verdicts = page.evaluate(select.format("verdict"))
    label = next(one for one in verdicts if one.startswith("wrong"))
    page.select_option("#by-verdict", label=label)
    assert counted(page).split()[0] == label.split("(")[1].rstrip(")")
    writer = next(one for one in page.evaluate(select.format("writer")) if one.startswith(RUN))
    page.select_option("#by-writer", label=writer)
    assert counted(page).split()[0] == "10"  # every second test answer
    find(page, "TEST 1?")
    assert counted(page).split()[0] == "1"
    assert "wrong arithmetic" in page.inner_text("#detail .facts")
    page.click("#filters button[type=reset]")
    expect(page.locator("#count")).to_have_text(whole, timeout=SLOW)
    find(page, "no such words anywhere")
    assert counted(page).split()[0] == "0"
    assert page.inner_text("#detail") == "No text matches."


def test_a_count_of_mistakes_leads_to_them(page: Any) -> None:
    button = page.locator(f".go[data-writer={RUN}]").first
    button.click()
    expect(page.locator("#count")).to_have_text(re.compile("^10 of "), timeout=SLOW)
    assert button.inner_text() == "10"


def test_the_keyboard_is_enough(page: Any) -> None:
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("test/")
    assert counted(page).startswith("20 of")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "list"
    first = page.inner_text("#detail h3")
    page.keyboard.press("j")
    assert page.inner_text("#detail h3") != first
    page.keyboard.press("k")
    assert page.inner_text("#detail h3") == first
    page.keyboard.press("End")
    assert page.inner_text("#detail h3") == "sums/test/19"
    chosen = page.get_attribute("#list", "aria-activedescendant")
    assert page.get_attribute(f"#{chosen}", "aria-selected") == "true"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "detail"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""


def test_the_prompt_is_shown_as_it_was_sent(page: Any) -> None:
    find(page, "train/bidi")
    page.click("#detail summary")
    assert page.locator("#detail details pre").all_inner_texts() == [
        "Reason step by step.", "Question: Row 2: bidi?\nReason.",
    ]  # fmt: skip


def test_a_phone_needs_no_scrolling_sideways(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_light_and_dark(page: Any) -> None:
    seen = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        style = page.evaluate(
            "[document.body, document.querySelector('.chart circle, .chart path[fill]')]"
            ".map((one) => getComputedStyle(one)).map((one) => one.backgroundColor + one.fill)"
        )
        seen.append(style)
    assert seen[0][0] != seen[1][0]
