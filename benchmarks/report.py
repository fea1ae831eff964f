"""The report of 20,000 rationales, hostile ones among them, in headless Chromium: ``make bench report``.

Size of the file, seconds to write it, first paint, seconds until the texts are unpacked, and the
slowest of many filterings and searches, each with the drawing of its result; of three loads
the median.
"""  # noqa: E501

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from stages import report
from stages.reporting.page import render
from stages.spec.read import load_params
from tests.projects import REPOSITORY
from tests.reports import HOSTILE, build

ROWS, LOADS = 20_000, 3
WORDS = ["the", "before noon", "47 + ", "answer is 12", "zzz", "sums/train/77", "<script>", ""]


def load(browser: Any, file: Path) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(600_000)
    page.goto(file.as_uri())
    page.wait_for_selector("#list[aria-activedescendant]")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    ready = page.evaluate("performance.getEntriesByName('ready')[0].startTime")
    page.evaluate("performance.clearMeasures()")
    for words in WORDS:
        page.fill("#search", words)
    for name in ("verdict", "fate", "kind", "task", "strategy", "writer"):
        for value in page.evaluate(
            f"[...document.querySelector('#by-{name}').options].map(o => o.value)"
        ):
            page.select_option(f"#by-{name}", value)
        page.select_option(f"#by-{name}", "-1")
    taken = page.evaluate("performance.getEntriesByName('filter').map(one => one.duration)")
    page.close()
    return {"paint_s": paint / 1000, "ready_s": ready / 1000, "filter_ms": max(taken),
            "filter_median_ms": statistics.median(taken)}  # fmt: skip


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("no Chromium is installed (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        texts = build(top, ROWS - len(HOSTILE))
        for name in ("templates/report", "specs/schema"):
            shutil.copytree(REPOSITORY / name, top / name)
        params = load_params(top)
        start = time.perf_counter()
        made = render(top, params, report.gather(top, params), report.selections(top, params))
        written = time.perf_counter() - start
        file = top / "report.html"
        file.write_text(made, encoding="utf-8")
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=chromium, args=flags)
            loads = [load(browser, file) for _ in range(LOADS)]
            browser.close()
        size = file.stat().st_size
    found = {name: round(statistics.median(each[name] for each in loads), 3) for name in loads[0]}
    met = size < 15e6 and found["paint_s"] < 2 and found["filter_ms"] < 100
    print(json.dumps({"bench": "report", "texts": texts, "bytes": size,
                      "write_s": round(written, 1), **found, "met": met}))  # fmt: skip


if __name__ == "__main__":
    main()
