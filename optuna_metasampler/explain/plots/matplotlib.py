"""The plots of :mod:`optuna_metasampler.explain.plots`, drawn with Matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from optuna_metasampler.explain.plots import preparation
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


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna import Study


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


def plot_prior_weights(study: Study) -> Axes:
    """How much say each prior study had, trial by trial.

    The share of a study in the say is the probability that prior studies are of use at all,
    divided among them by how well each predicts the trials of this study. What is left is the
    share of the model without prior studies. The marks on top say why each trial was chosen.

    Args:
        study: A study whose trials keep how they were chosen; whatever sampler it is loaded with.

    Returns:
        The axes.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    return _draw(preparation.prior_weights(study))


def plot_prior_vs_posterior(
    study: Study, params: Sequence[str] | None = None, objective: int = 0
) -> Axes | np.ndarray[Any, np.dtype[Any]]:
    """What prior studies say of each parameter, what is believed now, and the trials.

    Curves are means over the other parameters, so they lie below the best trials. The band holds
    the curve with a probability of 80 %, as far as the model knows.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        params: Names of parameters, one panel each; the nine most important ones by default.
        objective: Number of the objective.

    Returns:
        The axes; an array of them, one a panel, where there are several.

    Raises:
        ImportError: If Matplotlib is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such parameter or objective.
    """
    axes = _draw_all(preparation.prior_vs_posterior(study, params, objective))
    return axes[0] if len(axes) == 1 else np.array(axes, dtype=object)


def plot_predicted_vs_observed(study: Study, objective: int = 0) -> Axes:
    """What was expected of each trial when it was suggested, and what came.

    Of honest forecasts four in five intervals cross the diagonal, whatever the prior studies are
    worth.

    Args:
        study: A study whose trials keep what was expected; whatever sampler it is loaded with.
        objective: Number of the objective.

    Returns:
        The axes.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.predicted_vs_observed(study, objective))


def plot_regret_against_priors(study: Study, objective: int = 0) -> Axes:
    """The best value so far, beside how the prior studies went.

    In the objective's own unit where the prior studies seem to have the same. If not, nothing in
    one unit can be said of studies of other metrics: the height is the share of a study's own
    trials that are better than its best so far, 0 being the best that it ever found.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        objective: Number of the objective.

    Returns:
        The axes.

    Raises:
        ImportError: If Matplotlib is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.regret_against_priors(study, objective))


def plot_similarity_map(study: Study, objective: int = 0) -> Axes:
    """A map of the prior studies and this one: the nearer, the more alike.

    Distances are as close as a plane allows to 1 minus the rank correlation of what two studies
    say of the same configurations.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        objective: Number of the objective.

    Returns:
        The axes.

    Raises:
        ImportError: If Matplotlib is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.similarity_map(study, objective))


def plot_parameter_importances(study: Study, objective: int = 0) -> Axes:
    """How much of the objective's variance moves with each parameter, here and in prior studies.

    Total effects: what moves with a parameter alone or together with others, so that shares may
    add up to more than 100 %.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        objective: Number of the objective.

    Returns:
        The axes.

    Raises:
        ImportError: If Matplotlib is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.parameter_importances(study, objective))


def _draw(chart: Chart) -> Axes:
    found = _draw_all(chart)
    return found[0]


def _draw_all(chart: Chart) -> list[Axes]:
    """Draw every panel into a figure of its own; one axes a panel."""
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
    text = plain(chart.title) + (f"\n{plain(below)}" if below else "")
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
        labels = [plain(name) for name in legend]
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


def plain(text: str) -> str:
    """A stranger's text as Matplotlib shows it letter by letter: no formula, never left out."""
    escaped = text.replace("$", r"\$")
    # Names that begin with an underscore are kept from legends.
    return f" {escaped}" if escaped.startswith("_") else escaped


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
                    plain(label),
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

    set_label(plain(axis.title))
    if axis.log:
        set_scale("log")
    if axis.categories:
        set_ticks(range(len(axis.categories)), [plain(c) for c in axis.categories])
        set_limits(-0.5, len(axis.categories) - 0.5)
    if axis.limits is not None:
        set_limits(*axis.limits)
    if axis.percent:
        ticks.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if axis.whole and not axis.log:
        ticks.set_major_locator(MaxNLocator(integer=True))
