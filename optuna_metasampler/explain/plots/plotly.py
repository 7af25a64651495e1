"""Plots with Plotly. Charts become plain dictionaries first, for which Plotly is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import json
import math
from typing import TYPE_CHECKING, Any, TypeAlias

from optuna_metasampler.explain.plots.chart import (
    Axis,
    Band,
    Chart,
    Layer,
    Line,
    Panel,
    Points,
    label_sides,
    log_ticks,
)


if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Json: TypeAlias = dict[str, Any]

_DIGITS = 4
# Those of another name in Plotly.
_SYMBOLS = {"ring": "circle-open", "triangle": "triangle-up", "cross": "x"}
_SIDES = {
    "right": "middle right",
    "left": "middle left",
    "above": "top center",
    "below": "bottom center",
}
# From blue through grey to red, with equal lightness at both ends.
_SHADES = [[0.0, "#2166AC"], [0.5, "#BDBDBD"], [1.0, "#B2182B"]]
_TITLE, _SUBTITLE, _TEXT = 16, 12, 12
# Gaps between panels for axis titles and tick labels, in shares of the figure.
_GAP_X, _GAP_Y = 0.11, 0.17
_ROW_HEIGHT, _LEAST_HEIGHT = 260, 450
# Pixels from the top of a figure to its title, for the buttons of Plotly.
_BUTTONS = 42

# Greys that are legible on white and on the dashboard's dark cards, which show through.
_TEXT_ON_ANY_GROUND = "#808890"
_GRID_ON_ANY_GROUND = "rgba(128,136,144,0.28)"
_TRANSPARENT = "rgba(0,0,0,0)"


def figure(chart: Chart) -> Json:
    """The ``data`` and ``layout`` of a Plotly figure.

    Colours of the background and of texts are left to the Plotly template.
    """
    seen: set[str] = set()
    data, layout = [], _frame(chart)
    places = _places(len(chart.panels), chart.columns)
    for i, (panel, place) in enumerate(zip(chart.panels, places, strict=True)):
        suffix = "" if i == 0 else str(i + 1)
        for layer in panel.layers:
            for trace in _traces(layer, panel):
                trace.update({"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"} if suffix else {})
                if trace.get("showlegend", True):
                    if trace["name"] in seen:
                        trace["showlegend"] = False
                    seen.add(trace["name"])
                data.append(trace)
        first = i % chart.columns == 0
        layout[f"xaxis{suffix}"] = _axis(panel.x, place[0], f"y{suffix}", True)
        layout[f"yaxis{suffix}"] = _axis(panel.y, place[1], f"x{suffix}", first)
        if panel.square:
            layout[f"yaxis{suffix}"] |= {"scaleanchor": f"x{suffix}", "constrain": "domain"}
            layout[f"xaxis{suffix}"]["constrain"] = "domain"
    layout["showlegend"] = len(seen) > 1
    return {"data": data, "layout": layout}


def figure_on_any_ground(chart: Chart, n_trials: int) -> Json:
    """A figure for a page with a light or a dark theme.

    It shows the number of finished trials, because it may be outdated.
    """
    drawn = figure(replace(chart, title=f"{chart.title} ({n_trials} trials)"))
    layout = drawn["layout"]
    layout["meta"] = {"trials": n_trials}
    layout |= {"paper_bgcolor": _TRANSPARENT, "plot_bgcolor": _TRANSPARENT}
    layout["modebar"] = {"bgcolor": _TRANSPARENT, "color": _TEXT_ON_ANY_GROUND}
    # The page always shows Plotly's buttons: put them above the title.
    layout["title"] |= {"y": 1, "yanchor": "top", "pad": {"t": _BUTTONS}}
    layout["margin"] |= {"t": layout["margin"]["t"] + _BUTTONS - 16}
    layout["font"] |= {"color": _TEXT_ON_ANY_GROUND}
    # The page sets the height.
    layout.pop("height", None)
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            axis |= {"gridcolor": _GRID_ON_ANY_GROUND, "zeroline": False}
    return drawn


def to_json(drawn: Json) -> str:
    """A figure as compact JSON: numbers of four digits, gaps as ``null``."""
    return json.dumps(_short(drawn), separators=(",", ":"), allow_nan=False)


def markup(text: str) -> str:
    """A text escaped for Plotly, which would interpret HTML and formulas."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;")):
        text = text.replace(sign, entity)
    return text.replace("\n", "<br>")


def _frame(chart: Chart) -> Json:
    rows = math.ceil(len(chart.panels) / max(chart.columns, 1))
    title = markup(chart.title)
    below = chart.missing or chart.subtitle
    if below:
        title += f'<br><span style="font-size:{_SUBTITLE}px">{markup(below)}</span>'
    layout: Json = {
        "title": {"text": title, "x": 0.02, "xanchor": "left", "font": {"size": _TITLE}},
        "font": {"size": _TEXT},
        "margin": {"l": 50, "r": 15, "t": 64, "b": 40},
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": -0.18 if rows < 2 else -0.14,
            "yanchor": "top",
            "font": {"size": _TEXT - 1},
            "itemwidth": 30,
            "traceorder": "normal",
        },
    }
    if rows > 1:
        layout["height"] = max(rows * _ROW_HEIGHT, _LEAST_HEIGHT)
    if not chart.panels:
        layout |= {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
    return layout


def _places(n: int, columns: int) -> list[tuple[list[float], list[float]]]:
    """Horizontal and vertical domains of panels, row by row from the top."""
    rows = math.ceil(n / columns)
    width = (1 - _GAP_X * (columns - 1)) / columns
    # The gap has the same number of pixels for any number of rows.
    gap = _GAP_Y * 2 / max(rows, 2)
    height = (1 - gap * (rows - 1)) / max(rows, 1)
    places = []
    for i in range(n):
        row, column = divmod(i, columns)
        left, top = column * (width + _GAP_X), 1 - row * (height + gap)
        places.append(([left, left + width], [max(top - height, 0.0), top]))
    return places


def _axis(axis: Axis, domain: Sequence[float], anchor: str, titled: bool) -> Json:
    layout: Json = {"domain": list(domain), "anchor": anchor, "automargin": True}
    if axis.title and titled:
        layout["title"] = {"text": markup(axis.title), "font": {"size": _TEXT}, "standoff": 6}
    limits = axis.limits
    if axis.log:
        layout |= {"type": "log", "tickangle": 0}
        if limits is not None:
            ticks = log_ticks(limits)
            layout |= {"tickvals": list(ticks), "ticktext": list(ticks.values())}
            limits = (math.log10(limits[0]), math.log10(limits[1]))
    if axis.bare:
        layout |= {"showticklabels": False, "ticks": ""}
    if limits is not None:
        layout["range"] = list(limits)
    if axis.categories:
        n = len(axis.categories)
        layout |= {
            "tickmode": "array",
            "tickvals": list(range(n)),
            "ticktext": [markup(c) for c in axis.categories],
            "range": [-0.5, n - 0.5],
            "showgrid": True,
        }
    if axis.percent:
        layout |= {"tickformat": ".0%"}
    if axis.whole:
        layout |= {"tickformat": "d"}
    return layout


def _traces(layer: Layer, panel: Panel) -> list[Json]:
    base: Json = {"type": "scatter", "name": markup(layer.name), "x": _numbers(layer.x)}
    if not layer.name:
        base["showlegend"] = False
    if isinstance(layer, Line):
        trace: Json = base | {"mode": "lines", "y": _numbers(layer.y)}
        line: Json = {"color": layer.color, "width": layer.width}
        if layer.style == "area":
            line["width"] = 0.5
            trace |= {"stackgroup": "shares", "fillcolor": layer.color, "hoveron": "points"}
        elif layer.style != "solid":
            line["dash"] = layer.style
        if layer.steps:
            line["shape"] = "hv"
        return [trace | {"line": line}]
    if isinstance(layer, Band):
        edge = base | {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        area = {"fill": "tonexty", "fillcolor": _translucent(layer.color)}
        return [
            edge | {"y": _numbers(layer.low), "showlegend": False},
            edge | {"y": _numbers(layer.high)} | area,
        ]
    return [base | _points(layer, panel)]


def _points(layer: Points, panel: Panel) -> Json:
    marker: Json = {
        "symbol": _SYMBOLS.get(layer.symbol, layer.symbol),
        "size": layer.size,
        "color": layer.color,
    }
    trace: Json = {"mode": "markers", "y": _numbers(layer.y), "marker": marker}
    if layer.shades:
        marker |= {
            "color": _numbers(layer.shades),
            "cmin": -1.0,
            "cmax": 1.0,
            "colorscale": _SHADES,
            "showscale": True,
            "colorbar": {
                "title": {"text": markup(layer.shade_title), "font": {"size": _TEXT - 1}},
                "thickness": 12,
                "len": 0.9,
            },
        }
    if layer.low:
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": _numbers([h - y for h, y in zip(layer.high, layer.y, strict=True)]),
            "arrayminus": _numbers([y - v for v, y in zip(layer.low, layer.y, strict=True)]),
            "color": _translucent(layer.color, 0.55),
            "thickness": 1.2,
            "width": 0,
        }
    if layer.notes:
        trace["hovertext"] = [markup(note) for note in layer.notes]
    if any(layer.labels):
        limits = panel.x.limits or (0.0, 1.0)
        sides = label_sides(layer, limits[1] - limits[0])
        trace |= {
            "mode": "markers+text",
            "text": [markup(label) for label in layer.labels],
            "textposition": [_SIDES[side] for side in sides],
            "textfont": {"size": _TEXT - 1},
            "cliponaxis": False,
        }
    return trace


def _translucent(color: str, opacity: float = 0.22) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [v if math.isfinite(v) else None for v in values]


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_short(v) for v in value]
    return value


def _rounded(value: float) -> float | int:
    """A number with four digits, as an integer if it is whole."""
    if not value.is_integer():
        value = float(f"{value:.{_DIGITS}g}")
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def draw(chart: Chart) -> Figure:
    """A chart as a Plotly figure.

    Raises:
        ImportError: If Plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure
    except ImportError as error:
        raise ImportError(
            "These plots need Plotly, which is not installed: pip install plotly. The same plots "
            "with Matplotlib are in optuna_metasampler.visualization.matplotlib."
        ) from error
    return Figure(figure(chart))
