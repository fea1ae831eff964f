"""Vega-Lite as SVG, drawn when the page is made: it needs no network and no script to be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

VERSION = "6.4"
_CONFIG = {
    "font": "Liberation Sans",  # comes with the library, so that widths do not hang on the machine
    "background": None,
    "view": {"stroke": None},
    # room for a reader's font that is wider
    "padding": {"left": 28, "right": 10, "top": 4, "bottom": 4},
    "axis": {
        "labelColor": "var(--ink)", "titleColor": "var(--mute)", "gridColor": "var(--line)",
        "tickColor": "var(--line)", "domainColor": "var(--mute)", "labelFontSize": 12,
        "titleFontSize": 12, "titleFontWeight": "normal", "labelPadding": 6,
    },
    "text": {"color": "var(--ink)"},
}  # fmt: skip
_ROOT = re.compile(r"^<svg [^>]*width=\"([0-9.]+)\" height=\"([0-9.]+)\"[^>]*>")


def svg(spec: Mapping[str, Any]) -> Markup:
    """The chart as an element of the page.

    Raises:
        ValueError: It is no Vega-Lite specification.
    """
    import vl_convert

    made = vl_convert.vegalite_to_svg({**spec, "config": _CONFIG}, vl_version=VERSION)
    made = _ROOT.sub(
        r'<svg xmlns="http://www.w3.org/2000/svg" width="\1" height="\2" viewBox="0 0 \1 \2">', made
    )
    return Markup(made)
