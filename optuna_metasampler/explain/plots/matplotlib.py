"""Plots with Matplotlib."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from optuna_metasampler.explain.plots.chart import (
    Area,
    Axis,
    Band,
    Chart,
    Layer,
    Line,
    Panel,
    Points,
    label_sides,
)
from optuna_metasampler.explain.plots.plots import Plots


if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MARKERS = {
    "circle": "o",
    "ring": "o",
    "diamond": "D",
    "square": "s",
    "triangle": "^",
    "star": "*",
    "cross": "X",
}
_STYLES = {"solid": "-", "dash": "--", "dot": ":"}
_SIDES = {
    "right": ((7, 0), "left", "center"),
    "left": ((-7, 0), "right", "center"),
    "above": ((0, 7), "center", "bottom"),
    "below": ((0, -7), "center", "top"),
}
_WIDTH, _HEIGHT = 4.0, 2.6


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
            "same plots with Plotly are in optuna_metasampler.explain.plots."
        ) from error
    n, columns = max(len(chart.panels), 1), chart.columns
    rows = math.ceil(n / columns)
    size = (7.0, 4.4) if n == 1 else (_WIDTH * columns, _HEIGHT * rows + 1.2)
    drawn, grid = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    axes: list[Axes] = list(grid.flat)
    below = chart.missing or chart.subtitle
    text = escaped(chart.title) + (f"\n{escaped(below)}" if below else "")
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
    _set_axis(panel.x, ax.set_xlabel, ax.set_xscale, ax.set_xlim, ax.set_xticks, ax.xaxis)
    _set_axis(panel.y, ax.set_ylabel, ax.set_yscale, ax.set_ylim, ax.set_yticks, ax.yaxis)
    if not titled:
        ax.set_ylabel("")
    if panel.square:
        ax.set_aspect("equal", adjustable="box")
    ax.grid(True, alpha=0.3)
    ax.set_axisbelow(True)
    base: Any = None
    for layer in panel.layers:
        if isinstance(layer, Area):
            x, share = np.asarray(layer.x), np.asarray(layer.y)
            low = np.zeros_like(share) if base is None else base
            base = low + share
            handle: Any = ax.fill_between(x, low, base, color=layer.color, linewidth=0)
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
            linestyle=_STYLES[layer.style],
            drawstyle="steps-post" if layer.steps else "default",
        )
        return handle
    if isinstance(layer, Band):
        return ax.fill_between(
            layer.x, layer.low, layer.high, color=layer.color, alpha=0.22, linewidth=0
        )
    assert isinstance(layer, Points)
    if layer.low:
        error = [
            [y - low for y, low in zip(layer.y, layer.low, strict=True)],
            [high - y for y, high in zip(layer.y, layer.high, strict=True)],
        ]
        ax.errorbar(
            layer.x, layer.y, yerr=error, fmt="none", ecolor=layer.color, alpha=0.55, elinewidth=1
        )
    return _draw_points(ax, layer, panel)


def _draw_points(ax: Axes, layer: Points, panel: Panel) -> Any:
    x, y, marker = list(layer.x), list(layer.y), _MARKERS[layer.symbol]
    area = layer.size**2
    if layer.shades:
        low, high = layer.shade_limits
        handle = ax.scatter(
            x, y, s=area, marker=marker, c=layer.shades, cmap="coolwarm", vmin=low, vmax=high
        )
        ax.figure.colorbar(handle, ax=ax, label=layer.shade_title.replace("\n", " "))
    elif layer.symbol == "ring":
        handle = ax.scatter(x, y, s=area, marker=marker, facecolors="none", edgecolors=layer.color)
    else:
        handle = ax.scatter(x, y, s=area, marker=marker, color=layer.color, linewidths=0)
    handle.set_zorder(3)
    if any(layer.labels):
        limits = panel.x.limits or (0.0, 1.0)
        sides = label_sides(layer, limits[1] - limits[0])
        for x_i, y_i, label, side in zip(x, y, layer.labels, sides, strict=True):
            if label:
                offset, ha, va = _SIDES[side]
                ax.annotate(
                    escaped(label),
                    (x_i, y_i),
                    xytext=offset,
                    textcoords="offset points",
                    ha=ha,
                    va=va,
                    fontsize="small",
                )
    return handle


def _set_axis(
    axis: Axis,
    set_label: Callable[..., Any],
    set_scale: Callable[..., Any],
    set_limits: Callable[..., Any],
    set_ticks: Callable[..., Any],
    ticks: Any,
) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    set_label(escaped(axis.title))
    if axis.log:
        set_scale("log")
    if axis.categories:
        set_ticks(range(len(axis.categories)), [escaped(c) for c in axis.categories])
        set_limits(-0.5, len(axis.categories) - 0.5)
    if axis.limits is not None:
        set_limits(*axis.limits)
    if axis.percent:
        ticks.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if axis.whole and not axis.log:
        ticks.set_major_locator(MaxNLocator(integer=True))


_PLOTS = Plots(draw, draw_panels)
plot_parameter_importances = _PLOTS.plot_parameter_importances
plot_predicted_vs_observed = _PLOTS.plot_predicted_vs_observed
plot_prior_vs_posterior = _PLOTS.plot_prior_vs_posterior
plot_prior_weights = _PLOTS.plot_prior_weights
plot_regret_against_priors = _PLOTS.plot_regret_against_priors
plot_similarity_map = _PLOTS.plot_similarity_map
