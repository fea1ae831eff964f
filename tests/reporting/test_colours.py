"""The colours of the page: as many as are needed, in light and in dark, and letters on them."""

from __future__ import annotations

import re

from stages.curation import settings
from stages.reporting.charts import COLOURS, heat, palette
from tests.projects import REPOSITORY

STYLE = (REPOSITORY / "templates/report/report.css").read_text(encoding="utf-8")
REASONS = [
    settings.KEPT, settings.REFUSED, settings.CUT_SHORT, settings.NO_ANSWER, settings.WRONG,
    settings.UNSOUND, settings.REPLACED, settings.TOO_LONG, settings.OVERLAP, settings.NEAR,
    settings.NOT_SHORTEST, settings.NOT_DIVERSE,
]  # fmt: skip


def colours() -> list[dict[str, str]]:
    """By name, of each scheme."""
    themes = re.findall(r":root \{(.*?)\n *\}", STYLE, re.DOTALL)
    return [dict(re.findall(r"--(\w+): ([^;]+);", theme)) for theme in themes]


def luminance(colour: str, share: float, under: str) -> float:
    """Of a colour laid with this opacity over another one, as WCAG 2 defines it."""
    found = 0.0
    for at, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
        over, below = (int(one[at : at + 2], 16) / 255 for one in (colour, under))
        value = share * over + (1 - share) * below
        linear = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        found += weight * linear
    return found


def test_no_reason_has_the_colour_of_another() -> None:
    names = palette(len(REASONS))
    assert len(set(names)) == len(REASONS)
    for scheme in colours():
        assert len({scheme[name[6:-1]] for name in names}) == len(REASONS)
    for at in range(COLOURS):
        assert f".s{at} {{ background: var(--c{at}); }}" in STYLE


def test_letters_can_be_read_on_every_cell_of_the_heat_map() -> None:
    shares = [at / 20 for at in range(21)]
    evidence = [
        {"strategy": f"s{share}", "accuracy": share, "correct": 1, "n": 1} for share in shares
    ]
    chart = heat({"task": {"strategy": "s0.5", "evidence": evidence}})
    assert chart is not None
    [scale] = [layer["encoding"]["fillOpacity"]["scale"] for layer in chart["layer"][:1]]
    low, high = scale["range"]
    for scheme in colours():
        plain = {"mid": scheme[scheme["mid"][6:-1]], "ink": scheme["ink"], "bg": scheme["bg"]}
        for cell in chart["data"]["values"]:
            opacity = low + (high - low) * cell["accuracy"]
            behind = luminance(scheme["accent"], opacity, scheme["bg"])
            letters = luminance(plain[cell["ink"][6:-1]], 1, scheme["bg"])
            light, dark = max(behind, letters), min(behind, letters)
            assert (light + 0.05) / (dark + 0.05) > 3.4, (cell["accuracy"], scheme["mid"])
