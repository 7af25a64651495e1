"""The figures of the comparison, drawn from its summary alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from benchmarks.experiments.comparison.data import REFERENCE, WITHHELD
from benchmarks.experiments.comparison.summary import (
    DEFAULT,
    DEFAULT_ENQUEUED,
    HEADLINE,
    MAIN_PEERS,
)
from benchmarks.plots import tidy


Summary = Mapping[str, Any]

# Colour-blind safe (Okabe & Ito 2008): a colour a family, dashed where priors are used naively.
_STYLES: dict[str, dict[str, Any]] = {
    REFERENCE: {"color": "#D55E00", "linewidth": 2.8, "zorder": 5},
    WITHHELD: {"color": "#D55E00", "linewidth": 1.6, "linestyle": (0, (1, 1)), "zorder": 4},
    "RGPE": {"color": "#CC79A7"},
    "GPSampler": {"color": "#009E73"},
    "GPSampler + best priors": {"color": "#009E73", "linestyle": "--"},
    "TPE": {"color": "#0072B2"},
    "TPE + best priors": {"color": "#0072B2", "linestyle": "--"},
    "TPE + all prior trials": {"color": "#56B4E9", "linestyle": "-."},
    "Meta-learn TPE": {"color": "#56B4E9"},
    "CMA-ES + source trials": {"color": "#E69F00", "linestyle": "--"},
    "CMA-ES": {"color": "#E69F00"},
    "Random": {"color": "#999999"},
}
_OTHER = {"color": "#555555", "linestyle": ":"}
_MARKERS = dict(zip(_STYLES, "osvD^Pd<>*Xh", strict=True))

_HEADLINE_LABELS = {
    REFERENCE: "MetaSampler, with prior studies",
    DEFAULT_ENQUEUED: "Optuna's default, old bests enqueued",
    DEFAULT: "Optuna's default (TPE)",
}

_SCENARIOS = {
    "none": "no priors,\nanother seed",
    "tpe-5": "related,\n5 TPE studies",
    "random-5": "related,\n5 random logs",
    "short": "related,\n10 trials each",
    "long": "one study,\n1,000 trials",
    "one-sided": "related,\ngood trials only",
    "scaled": "related,\nother metrics",
    "foreign": "another space,\nclashing names",
    "shuffled": "values\nshuffled",
    "mixed": "2 related,\n4 flipped",
    "flipped": "all\nflipped",
}


def figures(summary: Summary) -> dict[str, Figure]:
    """Every figure that there are numbers for, by name, in order."""
    drawn = {name: function(summary) for name, function in _FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def headline(summary: Summary) -> Figure | None:
    """What prior studies are worth, in three lines: the picture of the first page."""
    found = summary["curves"]["all"]
    if any(peer not in found for peer in HEADLINE):
        return None
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for peer in HEADLINE:
        curve = found[peer]
        trials = np.arange(1, len(curve["mean"]) + 1)
        mean, low, high = (10.0 ** np.array(curve[name]) for name in ("mean", "low", "high"))
        style = _style(peer) | {"label": _HEADLINE_LABELS[peer]}
        axes.plot(trials, mean, **style)
        axes.fill_between(trials, low, high, color=style["color"], alpha=0.1, linewidth=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(
        xlabel="trial", ylabel="distance from the best known value\n(1: median configuration)"
    )
    axes.set_title(
        f"Best trial so far, mean of {found[REFERENCE]['n_tasks']} tasks; lower is better"
    )
    axes.legend(frameon=False)
    tidy(axes)
    return figure


def curves(summary: Summary) -> Figure | None:
    """Pooled regret and average rank by trial."""
    found = summary["curves"]["all"]
    if not found:
        return None
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _curves(left, found)
    n_tasks = max(curve["n_tasks"] for curve in found.values())
    left.set(ylabel="log10 regret, mean over suites", title=f"Best so far, {n_tasks} tasks")
    for peer, ranks in summary["ranks"].get("curves", {}).items():
        if peer in MAIN_PEERS:
            right.plot(range(1, len(ranks) + 1), ranks, **_style(peer))
    n_ranked = len(summary["ranks"].get("curves", {}))
    right.set(ylabel=f"average rank of {n_ranked} (1 is best)", title="Rank")
    for axes in (left, right):
        tidy(axes)
        axes.set_xlabel("trial")
    _legend(figure, [left])
    return figure


def curves_by_suite(summary: Summary) -> Figure | None:
    """The same, a suite a panel."""
    found = {suite: c for suite, c in summary["curves"]["by_suite"].items() if c}
    if not found:
        return None
    n_columns = min(4, len(found))
    n_rows = -(-len(found) // n_columns)
    # The label of the y axis needs four inches.
    size = (2.4 * n_columns + 1, max(1.9 * n_rows + 1, 4.0))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, (suite, peers) in zip(grid, found.items(), strict=False):
        _curves(axes, peers)
        n_tasks = max(curve["n_tasks"] for curve in peers.values())
        axes.set_title(f"{suite} ({n_tasks})", fontsize=8)
        axes.tick_params(labelsize=7)
        tidy(axes)
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    for axes in grid[max(0, len(found) - n_columns) : len(found)]:
        axes.set_xlabel("trial", fontsize=8)
    figure.supylabel("log10 regret, mean over tasks (their number in brackets)", fontsize=9)
    _legend(figure, grid[: len(found)])
    return figure


def critical_difference(summary: Summary) -> Figure | None:
    """Average ranks at the last trial; a bar joins peers that do not differ (Demsar 2006)."""
    table = summary["ranks"]
    if not table:
        return None
    last = str(table["trials"][-1])
    ranked = sorted((values[last], peer) for peer, values in table["average"].items())
    difference = table["critical_difference"]
    bars = _cliques([rank for rank, _ in ranked], difference)
    half = -(-len(ranked) // 2)
    depth = 0.35 + 0.16 * len(bars)
    figure = Figure(figsize=(8.5, 1.5 + 0.24 * half + 0.13 * len(bars)), layout="constrained")
    axes = figure.subplots()
    low, high = 1, len(ranked)
    margin = 0.03 * (high - low)
    for i, (rank, peer) in enumerate(ranked):
        on_left = i < half
        y = -depth - 0.36 * (i if on_left else len(ranked) - 1 - i)
        edge, side = (low - margin, "right") if on_left else (high + margin, "left")
        style = {"color": _style(peer)["color"]} if peer in (REFERENCE, WITHHELD) else {}
        weight = "bold" if peer == REFERENCE else "normal"
        axes.plot([rank, rank, edge], [0, y, y], linewidth=1, **({"color": "#444444"} | style))
        axes.annotate(
            f"{peer} ({rank:.1f})",
            (edge, y),
            xytext=(-4 if on_left else 4, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=9,
            weight=weight,
            **style,
        )
    for i, (first, last_rank) in enumerate(bars):
        y = -0.14 - 0.16 * i
        axes.plot([first - 0.04, last_rank + 0.04], [y, y], color="black", linewidth=3)
    axes.plot([low, high], [0, 0], color="black", linewidth=1)
    for tick in range(low, high + 1):
        axes.plot([tick, tick], [0, 0.1], color="black", linewidth=1)
        axes.text(tick, 0.14, str(tick), ha="center", va="bottom", fontsize=9)
    axes.plot([low, low + difference], [0.72, 0.72], color="black", linewidth=2)
    axes.text(
        low + difference / 2, 0.77, f"CD = {difference:.2f}", ha="center", va="bottom", fontsize=9
    )
    axes.set_title(
        f"Average rank at trial {last}, {table['n_tasks']} tasks (1 is best)", fontsize=10
    )
    # Room for the names beside the axis.
    axes.set_xlim(low - 0.42 * (high - low), high + 0.42 * (high - low))
    axes.set_ylim(-depth - 0.36 * (half - 1) - 0.2, 1.1)
    axes.axis("off")
    return figure


def _cliques(ranked: Sequence[float], difference: float) -> list[tuple[float, float]]:
    """Ends of the longest runs of sorted ranks that are within the critical difference."""
    runs: list[tuple[int, int]] = []
    for i, rank in enumerate(ranked):
        j = max(k for k, other in enumerate(ranked) if other - rank <= difference)
        if j > i and (not runs or j > runs[-1][1]):
            runs.append((i, j))
    return [(ranked[i], ranked[j]) for i, j in runs]


def harm(summary: Summary) -> Figure | None:
    """What priors of every kind did to each peer, next to itself without priors."""
    rows = summary["harm"]
    if not rows:
        return None
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for i, peer in enumerate(peers):
        mine = [row for row in rows if row["peer"] == peer]
        place = [
            scenarios.index(row["scenario"]) + 0.7 * ((i + 0.5) / len(peers) - 0.5) for row in mine
        ]
        _points(axes, peer, place, [row["difference"] for row in mine], line=False)
    axes.axhline(0, color="black", linewidth=1)
    for i in range(1, len(scenarios)):
        axes.axvline(i - 0.5, color="#dddddd", linewidth=1)
    axes.set_xticks(range(len(scenarios)), [_SCENARIOS.get(s, s) for s in scenarios], fontsize=8)
    axes.set_xlim(-0.5, len(scenarios) - 0.5)
    axes.set_ylabel("log10 regret, with minus without priors\n(above 0: the priors did harm)")
    tidy(axes)
    _legend(figure, [axes])
    return figure


def n_priors(summary: Summary) -> Figure | None:
    """What the number of prior studies does."""
    rows = summary["n_priors"]
    if not rows:
        return None
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    counts = sorted({0} | {row["k"] for row in rows})
    for peer in dict.fromkeys(row["peer"] for row in rows):
        mine = [row for row in rows if row["peer"] == peer]
        place = [0, *(counts.index(row["k"]) for row in mine)]
        _points(axes, peer, place, [[0.0, 0.0, 0.0], *(row["difference"] for row in mine)])
        if peer == REFERENCE:
            same = [row["difference_common"] for row in mine]
            if all(same):
                label = f"{peer}, same {mine[0]['n_common']} tasks throughout"
                means = [0.0, *(interval[0] for interval in same)]
                axes.plot(place, means, color="black", linestyle=":", linewidth=1.2, label=label)
            for at, row in zip(place[1:], mine, strict=True):
                axes.annotate(
                    f"n={row['n_tasks']}",
                    (at, row["difference"][1]),
                    xytext=(0, -4),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                    fontsize=7,
                )
    axes.axhline(0, color="black", linewidth=1)
    axes.set_xticks(range(len(counts)), [str(k) for k in counts])
    axes.margins(y=0.12)
    axes.set(xlabel="prior studies", ylabel="log10 regret, with minus without priors")
    tidy(axes)
    _legend(figure, [axes])
    return figure


def relatedness(summary: Summary) -> Figure | None:
    """What priors of a known correlation with the target do, on random functions."""
    rows = [row for row in summary["relatedness"] if row["difference"] is not None]
    if not rows:
        return None
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    dial = sorted({row["relatedness"] for row in rows}, reverse=True)
    for peer in dict.fromkeys(row["peer"] for row in rows):
        mine = [row for row in rows if row["peer"] == peer]
        place = [dial.index(row["relatedness"]) for row in mine]
        _points(axes, peer, place, [row["difference"] for row in mine])
    axes.axhline(0, color="black", linewidth=1)
    axes.set_xticks(range(len(dial)), [f"{r:g}" for r in dial])
    axes.set_xlabel("correlation of the priors with the target")
    axes.set_ylabel("log10 regret, with minus without priors\n(above 0: the priors did harm)")
    tidy(axes)
    _legend(figure, [axes])
    return figure


_FIGURES: dict[str, Callable[[Summary], Figure | None]] = {
    "headline": headline,
    "curves": curves,
    "curves_by_suite": curves_by_suite,
    "critical_difference": critical_difference,
    "harm": harm,
    "n_priors": n_priors,
    "relatedness": relatedness,
}


def _style(peer: str) -> dict[str, Any]:
    return {"linewidth": 1.4, "label": peer} | _STYLES.get(peer, _OTHER)


def _curves(axes: Axes, found: Mapping[str, Any]) -> None:
    for peer, curve in found.items():
        trials = np.arange(1, len(curve["mean"]) + 1)
        style = _style(peer)
        axes.plot(trials, curve["mean"], **style)
        if "low" in curve:
            axes.fill_between(
                trials, curve["low"], curve["high"], color=style["color"], alpha=0.1, linewidth=0
            )


def _points(
    axes: Axes,
    peer: str,
    place: Sequence[float],
    intervals: Sequence[Sequence[float]],
    line: bool = True,
) -> None:
    """Means with their intervals, joined by a line where the axis is one of numbers."""
    mean, low, high = np.array(intervals, dtype=float).T
    style = _style(peer) | ({} if line else {"linestyle": "none"})
    # The percentile interval of a skewed sample need not hold the mean.
    error = np.maximum([mean - low, high - mean], 0.0)
    bars = axes.errorbar(
        place,
        mean,
        error,
        marker=_MARKERS.get(peer, "."),
        markersize=7 if peer == REFERENCE else 5,
        elinewidth=style["linewidth"],
        capsize=2,
        **style,
    )
    for part in bars.lines[2]:
        part.set_linestyle("-")


def _legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """One for all panels; not every peer need be in each."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found = dict(zip(labels, handles, strict=True)) | found
    place = {peer: i for i, peer in enumerate(_STYLES)}
    labels = sorted(found, key=lambda label: place.get(label, len(place)))
    figure.legend(
        [found[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=4,
        fontsize=8,
        frameon=False,
    )
