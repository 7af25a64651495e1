"""Plots with Matplotlib."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

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
    from matplotlib.axes import Axes


_MARKERS = {"diamond": "D", "square": "s", "triangle": "^", "star": "*", "cross": "X"}
_SIDES = {
    "right": ((7, 0), "left", "center"),
    "left": ((-7, 0), "right", "center"),
    "above": ((0, 7), "center", "bottom"),
    "below": ((0, -7), "center", "top"),
}
_WIDTH, _HEIGHT = 4.0, 2.6
# Of titles, and inches beside them.
_LETTERS_AN_INCH = 12.5
_BESIDE, _BESIDE_SQUARE = 0.9, 2.6


def draw(chart: Chart) -> Axes:
    """Draw a chart of one panel into a new figure.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    return _axes(chart)[0]


def draw_panels(chart: Chart) -> Axes | np.ndarray[Any, np.dtype[Any]]:
    """Draw a chart into a new figure; an array of axes if it has several panels.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    axes = _axes(chart)
    return axes[0] if len(axes) == 1 else np.array(axes, dtype=object)


def _axes(chart: Chart) -> list[Axes]:
    """Draw a chart; one axes a panel."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "These plots need Matplotlib, which is not installed: pip install matplotlib. The "
            "same plots with Plotly are in optuna_metasampler.visualization."
        ) from error
    n, columns = max(len(chart.panels), 1), chart.columns
    rows = math.ceil(n / columns)
    size = (7.0, 4.4) if n == 1 else (_WIDTH * columns, _HEIGHT * rows + 1.2)
    drawn, grid = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    axes: list[Axes] = list(grid.flat)
    below = chart.missing or chart.subtitle
    # A square panel is narrower than its figure.
    square = any(panel.square for panel in chart.panels)
    width = int(_LETTERS_AN_INCH * (size[0] - (_BESIDE_SQUARE if square else _BESIDE)))
    text = "\n".join(escaped(t) for t in (chart.title, *textwrap.wrap(below, width)))
    if n == 1:
        axes[0].set_title(text, loc="left", fontsize="medium")
    else:
        drawn.suptitle(text, x=0.01, ha="left", fontsize="medium")
    for empty in axes[len(chart.panels) :]:
        empty.set_axis_off()
    legend: dict[str, Any] = {}
    for i, (ax, panel) in enumerate(zip(axes, chart.panels, strict=False)):
        _draw_panel(ax, panel, legend, titled=i % columns == 0)
    if len(legend) > 1:
        labels = [escaped(name) for name in legend]
        owner: Any = axes[0] if n == 1 else drawn
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
        owner.legend(
            list(legend.values()),
            labels,
            ncol=3,
            fontsize="small",
            frameon=False,
            **(place if n == 1 else {"loc": "outside lower center"}),
        )
    return axes[:n]


def escaped(text: str) -> str:
    """A text escaped for Matplotlib, which would interpret formulas."""
    safe = text.replace("$", r"\$")
    # Matplotlib leaves names that begin with an underscore out of legends.
    return f" {safe}" if safe.startswith("_") else safe


def _draw_panel(ax: Axes, panel: Panel, legend: dict[str, Any], titled: bool) -> None:
    _set_axis(ax, "x", panel.x, panel.x.title)
    _set_axis(ax, "y", panel.y, panel.y.title if titled else "")
    if panel.square:
        ax.set_aspect("equal", adjustable="box")
    ax.grid(True, alpha=0.3)
    ax.set_axisbelow(True)
    top: Any = 0.0
    for layer in panel.layers:
        if isinstance(layer, Line) and layer.style == "area":
            low, top = top, top + np.asarray(layer.y)
            handle: Any = ax.fill_between(layer.x, low, top, color=layer.color, linewidth=0)
        else:
            handle = _draw_layer(ax, layer, panel)
        if layer.name:
            legend.setdefault(layer.name, handle)


def _draw_layer(ax: Axes, layer: Layer, panel: Panel) -> Any:
    if isinstance(layer, Line):
        (handle,) = ax.plot(
            layer.x,
            layer.y,
            color=layer.color,
            linewidth=layer.width,
            linestyle="-" if layer.style == "solid" else "--",
            drawstyle="steps-post" if layer.steps else "default",
        )
        return handle
    if isinstance(layer, Band):
        return ax.fill_between(
            layer.x, layer.low, layer.high, color=layer.color, alpha=0.22, linewidth=0
        )
    if layer.low:
        error = np.subtract([layer.y, layer.high], [layer.low, layer.y])
        ax.errorbar(
            layer.x, layer.y, yerr=error, fmt="none", ecolor=layer.color, alpha=0.55, elinewidth=1
        )
    return _draw_points(ax, layer, panel)


def _draw_points(ax: Axes, layer: Points, panel: Panel) -> Any:
    style: dict[str, Any] = {"color": layer.color, "linewidths": 0}
    if layer.shades:
        style = {"c": layer.shades, "cmap": "coolwarm", "vmin": -1.0, "vmax": 1.0}
    elif layer.symbol == "ring":
        style = {"facecolors": "none", "edgecolors": layer.color}
    marker = _MARKERS.get(layer.symbol, "o")
    handle = ax.scatter(layer.x, layer.y, s=layer.size**2, marker=marker, **style)
    if layer.shades:
        ax.figure.colorbar(handle, ax=ax, label=layer.shade_title.replace("\n", " "))
    handle.set_zorder(3)
    if any(layer.labels):
        limits = panel.x.limits or (0.0, 1.0)
        sides = label_sides(layer, limits[1] - limits[0])
        for x, y, label, side in zip(layer.x, layer.y, layer.labels, sides, strict=True):
            if label:
                offset, ha, va = _SIDES[side]
                ax.annotate(
                    escaped(label),
                    (x, y),
                    xytext=offset,
                    textcoords="offset points",
                    ha=ha,
                    va=va,
                    fontsize="small",
                )
    return handle


def _set_axis(ax: Axes, name: str, axis: Axis, title: str) -> None:
    """Set the axis ``"x"`` or ``"y"``."""
    from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

    ticks: Any = getattr(ax, f"{name}axis")
    ax.set(**{f"{name}label": escaped(title)})
    limits = axis.limits
    if axis.log:
        ax.set(**{f"{name}scale": "log"})
        if limits is not None:
            labels = log_ticks(limits)
            ticks.set_minor_formatter(NullFormatter())
            ticks.set_ticks(list(labels), list(labels.values()))
    if axis.bare:
        ticks.set_ticks([])
    if axis.categories:
        ticks.set_ticks(range(len(axis.categories)), [escaped(c) for c in axis.categories])
        limits = (-0.5, len(axis.categories) - 0.5)
    if limits is not None:
        ax.set(**{f"{name}lim": limits})
    if axis.percent:
        ticks.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if axis.whole and not axis.log:
        ticks.set_major_locator(MaxNLocator(integer=True))
