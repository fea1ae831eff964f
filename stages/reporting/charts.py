"""The report's charts as Vega-Lite specifications; colours are the page's, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

Spec = dict[str, Any]
POINTS = 240
"""Of a curve of training, at most; neighbouring steps are averaged."""
COLOURS = 12
"""Of the page: no fewer than curation has reasons, so that none has the colour of another."""

_SHARE = {"format": ".0%", "tickCount": 5, "title": None}


def heat(selected: Mapping[str, Mapping[str, Any]]) -> Spec | None:
    """The student's accuracy on the probe rows, strategy by task, the selected cell outlined.

    Args:
        selected: Lines of ``build/selected``, by task.
    """
    rows = [
        {
            "task": task, "strategy": item["strategy"], "accuracy": item["accuracy"],
            "shown": f"{100 * item['accuracy']:.0f}", "ink": _on(item["accuracy"]),
            "selected": item["strategy"] == choice["strategy"],
            "about": f"{task}, {item['strategy']}: {item['correct']} of {item['n']} right"
            + (", selected" if item["strategy"] == choice["strategy"] else ""),
        }
        for task, choice in selected.items()
        for item in choice["evidence"]
    ]  # fmt: skip
    if not rows:
        return None
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    return {
        "data": {"values": rows}, "width": {"step": 68}, "height": {"step": 34},
        "encoding": {
            "x": {"field": "strategy", "type": "nominal", "sort": strategies,
                  "axis": {"orient": "top", "labelAngle": -30, "title": None, "ticks": False,
                           "domain": False, "labelAlign": "left", "labelLimit": 200}},
            "y": {"field": "task", "type": "nominal", "sort": tasks,
                  "axis": {"title": None, "ticks": False, "domain": False}},
            "description": {"field": "about"},
        },
        "layer": [
            {"mark": {"type": "rect", "fill": "var(--accent)", "stroke": "var(--bg)",
                      "strokeWidth": 2},
             "encoding": {"fillOpacity": {"field": "accuracy", "type": "quantitative",
                                          "scale": {"domain": [0, 1], "range": [0.06, 0.95]},
                                          "legend": None}}},
            {"transform": [{"filter": "datum.selected"}],
             "mark": {"type": "rect", "fill": "transparent", "stroke": "var(--ink)",
                      "strokeWidth": 2}},
            {"mark": {"type": "text", "fontSize": 12},
             "encoding": {"text": {"field": "shown"},
                          "color": {"field": "ink", "type": "nominal", "scale": None,
                                    "legend": None}}},
        ],
    }  # fmt: skip


def dots(rows: Sequence[Mapping[str, Any]], chance: float | None = None) -> Spec:
    """Accuracies with their intervals, a line each.

    Args:
        rows: ``name``, ``accuracy``, ``ci_low``, ``ci_high`` as shares, and ``about`` in words.
        chance: Accuracy of guessing, drawn as a dashed line.
    """
    layers: list[Spec] = [
        {"mark": {"type": "rule", "stroke": "var(--accent)", "strokeWidth": 1.5},
         "encoding": {"x": _share("ci_low"), "x2": {"field": "ci_high"}}},
        {"mark": {"type": "circle", "fill": "var(--accent)", "size": 52, "opacity": 1},
         "encoding": {"x": _share("accuracy")}},
    ]  # fmt: skip
    if chance:
        layers.insert(
            0,
            {"data": {"values": [{"at": chance, "about": f"guessing: {100 * chance:.0f} %"}]},
             "mark": {"type": "rule", "stroke": "var(--mute)", "strokeDash": [3, 3]},
             "encoding": {"x": _share("at"), "y": None}},
        )  # fmt: skip
    return {
        "data": {"values": list(rows)}, "width": 190, "height": {"step": 22},
        "encoding": {
            "y": {"field": "name", "type": "nominal", "sort": [row["name"] for row in rows],
                  "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 150}},
            "description": {"field": "about"},
        },
        "layer": layers,
    }  # fmt: skip


def training(loss: Sequence[Mapping[str, Any]], valid: Sequence[Mapping[str, Any]]) -> Spec | None:
    """The loss by step, and beneath it the accuracy on ``valid`` at each measurement."""
    if not loss and not valid:
        return None
    last = max(point["step"] for point in (*loss, *valid))
    step: Spec = {
        "field": "step", "type": "quantitative", "scale": {"domain": [0, last], "nice": False},
        "axis": {"title": "step", "tickCount": 5, "grid": False},
    }  # fmt: skip
    panels: list[Spec] = []
    if loss:
        panels.append(
            {"data": {"values": _thinned(loss)}, "width": 210, "height": 90,
             "mark": {"type": "line", "stroke": "var(--accent)", "strokeWidth": 1.2},
             "encoding": {"x": {**step, "axis": {**step["axis"], "title": None}},
                          "y": {"field": "loss", "type": "quantitative",
                                "axis": {"title": "loss", "tickCount": 4}}}}
        )  # fmt: skip
    if valid:
        rows = [
            {**point, "about": f"step {point['step']}: {100 * point['valid_accuracy']:.1f} %"}
            for point in valid
        ]
        panels.append(
            {"data": {"values": rows}, "width": 210, "height": 70,
             "mark": {"type": "line", "stroke": "var(--accent)", "strokeWidth": 1.2,
                      "point": {"filled": True, "fill": "var(--accent)", "size": 36}},
             "encoding": {"x": step, "description": {"field": "about"},
                          "y": {**_share("valid_accuracy"),
                                "axis": {"title": "valid", "format": ".0%", "tickCount": 3}}}}
        )  # fmt: skip
    return {"vconcat": panels, "spacing": 8}


def yields(rows: Sequence[Mapping[str, Any]], reasons: Sequence[str]) -> Spec | None:
    """What was kept and dropped: a bar for each task and strategy, parts by reason.

    Args:
        rows: ``name`` of the bar, ``reason``, ``count``, ``about``.
        reasons: In the order of their colours.
    """
    if not rows:
        return None
    return {
        "data": {"values": list(rows)}, "width": 320, "height": {"step": 24},
        "mark": {"type": "bar", "height": 14},
        "encoding": {
            "y": _names(rows),
            "x": {"field": "count", "type": "quantitative", "stack": "normalize",
                  "axis": {**_SHARE, "grid": False}},
            "color": {"field": "reason", "type": "nominal", "legend": None,
                      "scale": {"domain": list(reasons), "range": palette(len(reasons))}},
            "order": {"field": "order", "type": "quantitative"},
            "description": {"field": "about"},
        },
    }  # fmt: skip


def lengths(rows: Sequence[Mapping[str, Any]]) -> Spec | None:
    """Characters of rationales: 5 to 95 % as a line, the middle half as a bar, the median.

    Args:
        rows: ``name``, ``fate``, the quantiles ``q05`` to ``q95``, and ``about``.
    """
    if not rows:
        return None

    def across(name: str) -> Spec:
        return {"field": name, "type": "quantitative", "scale": {"zero": True},
                "axis": {"title": "characters", "tickCount": 4}}  # fmt: skip

    colour = {"field": "fate", "type": "nominal", "legend": None,
              "scale": {"domain": ["kept", "dropped"], "range": palette(2)}}  # fmt: skip
    return {
        "data": {"values": list(rows)}, "width": 320, "height": {"step": 14},
        "encoding": {
            "y": _names(rows), "yOffset": {"field": "fate", "sort": ["kept", "dropped"]},
            "color": colour, "description": {"field": "about"},
        },
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 1},
             "encoding": {"x": across("q05"), "x2": {"field": "q95"}}},
            {"mark": {"type": "bar", "height": 8},
             "encoding": {"x": across("q25"), "x2": {"field": "q75"}}},
            {"mark": {"type": "tick", "color": "var(--bg)", "thickness": 2, "height": 8},
             "encoding": {"x": across("q50"), "color": {"value": "var(--bg)"}}},
        ],
    }  # fmt: skip


def scaling(sweep: Mapping[str, Any], task: str) -> Spec:
    """A sweep's accuracy over its axis, a curve for each run, with intervals and single seeds.

    Args:
        sweep: What ``make sweep`` wrote.
        task: Of its summary.
    """
    places = {point["name"]: point["x"] for point in sweep["points"]}
    numeric = all(x is not None for x in places.values()) and len(set(places.values())) > 1
    runs = list(dict.fromkeys(line["run"] for line in sweep["summary"] if line["task"] == task))
    means = [
        {
            "run": line["run"], "x": places[line["point"]] if numeric else line["point"],
            **{name: line["accuracy"][name] for name in ("value", "low", "high")},
            "about": f"{line['run']}, {line['point']}: {100 * line['accuracy']['value']:.1f} % "
            f"({100 * line['accuracy']['low']:.0f} to {100 * line['accuracy']['high']:.0f})",
        }
        for line in sweep["summary"] if line["task"] == task
    ]  # fmt: skip
    seeds = [
        {"run": row["run"], "x": places[row["point"]] if numeric else row["point"],
         "value": row["accuracy"], "about": f"{row['run']}, {row['point']}, seed {row['seed']}"}
        for row in sweep["rows"] if row["task"] == task
    ]  # fmt: skip
    values = [place for place in places.values() if place]
    log = numeric and min(values, default=0) > 0 and max(values) / min(values) >= 8
    x: Spec = {"field": "x", "type": "quantitative" if numeric else "ordinal",
               "axis": {"title": sweep["axis"], "grid": False, "labelAngle": 0}}  # fmt: skip
    if numeric:
        x["scale"] = {"type": "log" if log else "linear", "zero": False}
        x["axis"]["values"] = sorted(set(places.values()))
    else:
        x["sort"] = list(places)
    colour = {"field": "run", "type": "nominal", "legend": None,
              "scale": {"domain": runs, "range": palette(len(runs))}}  # fmt: skip
    y = {"type": "quantitative", "scale": {"zero": False}, "axis": _SHARE}
    return {
        "data": {"values": means}, "width": 230, "height": 150,
        "encoding": {"x": x, "color": colour, "description": {"field": "about"}},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.5},
             "encoding": {"y": {"field": "value", **y}}},
            {"mark": {"type": "rule"},
             "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}}},
            {"mark": {"type": "circle", "size": 44, "opacity": 1},
             "encoding": {"y": {"field": "value", **y}}},
            {"data": {"values": seeds}, "mark": {"type": "circle", "size": 12, "opacity": 0.5},
             "encoding": {"y": {"field": "value", **y}}},
        ],
    }  # fmt: skip


def palette(count: int) -> list[str]:
    """So many of the page's colours."""
    return [f"var(--c{at % COLOURS})" for at in range(count)]


def _on(accuracy: float) -> str:
    """The colour of letters that can be read on a cell of the heat map, light or dark."""
    if accuracy <= 0.55:
        return "var(--ink)"
    return "var(--mid)" if accuracy <= 0.8 else "var(--bg)"


def _share(field: str) -> Spec:
    return {"field": field, "type": "quantitative", "axis": _SHARE, "scale": {"domain": [0, 1]}}


def _names(rows: Iterable[Mapping[str, Any]]) -> Spec:
    names = list(dict.fromkeys(row["name"] for row in rows))
    return {"field": "name", "type": "nominal", "sort": names,
            "axis": {"title": None, "ticks": False, "domain": False,
                     "labelLimit": 330}}  # fmt: skip


def _thinned(points: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """A few points that each stand for the mean of their neighbours."""
    size = -(-len(points) // POINTS)
    parts = (points[at : at + size] for at in range(0, len(points), size))
    return [
        {"step": part[-1]["step"], "loss": fmean(point["loss"] for point in part)} for part in parts
    ]
