"""A report as one self-contained HTML page.

Axis letters: ``g`` values of a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import groupby
import json
import math
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from optuna.trial import FrozenTrial

from optuna_metasampler._text import number, percent, shortened
from optuna_metasampler.explain.effects import Effect
from optuna_metasampler.explain.plots import charts
from optuna_metasampler.explain.plots.chart import Chart
from optuna_metasampler.explain.plots.plotly import figure
from optuna_metasampler.explain.report.data import ParameterPart, ReportData
from optuna_metasampler.explain.report.phrases import (
    describe_fixed,
    describe_phase,
    describe_phases,
    describe_states,
    value_of,
)
from optuna_metasampler.explain.snapshot import Snapshot


# Most rows of each table.
_LIMITS = {"priors": 50, "unused": 50, "parameters": 100, "best": 20}
# Objectives with plots.
_MOST_OBJECTIVES = 4
_WIDTH, _HEIGHT, _EDGE = 132.0, 40.0, 3.0
# Least widths, in CSS pixels, below which a plot can be scrolled.
_PANEL_WIDTH, _PLOT_WIDTH = 280, 440

_PRIORS, _PARAMETERS, _FORECASTS = "priors", "parameters", "forecasts"
_SECTIONS = {
    "regret": _PRIORS,
    "similarity": _PRIORS,
    "importances": _PARAMETERS,
    "parameters": _PARAMETERS,
}


def plots_of(
    trials: Sequence[FrozenTrial],
    snapshot: Snapshot | None,
    found: Sequence[Sequence[Effect]],
    n_objectives: int,
) -> list[tuple[str, Chart]]:
    """The plots of a study's page, with the sections to which they belong.

    Those of the model, if there is one, need the effects found for each objective.
    """
    plots = [(_PRIORS, charts.prior_weights(trials))]
    for j in range(min(n_objectives, _MOST_OBJECTIVES)):
        if snapshot is not None:
            of_model = charts.of_model(snapshot, trials, found[j], j)
            plots += [
                (section, of_model[name])
                for name, section in _SECTIONS.items()
                if name in of_model
            ]
        plots.append((_FORECASTS, charts.predicted_vs_observed(trials, j, n_objectives)))
    return [(section, chart) for section, chart in plots if chart.panels]


def page_of(report: ReportData, plots: Sequence[tuple[str, Chart]]) -> str:
    """The page; without the plots, and with a hint, where Plotly is not installed."""
    has_plotly = find_spec("plotly") is not None
    shown = plots if has_plotly else ()
    page = _template().render(
        report=report,
        many=len(report.objectives) > 1,
        used=report.used,
        unused=report.unused,
        top=max((w for p in report.priors for w in p.weights), default=0.0),
        plots=_placed(shown),
        script=_plotly() if shown else "",
        figures=_figures([chart for _, chart in shown]),
        lacks_plotly=bool(plots) and not has_plotly,
        limits=_LIMITS,
    )
    # A lone surrogate cannot be encoded.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "short": shortened,
        "value": value_of,
        "fixed": describe_fixed,
        "states": describe_states,
        "phases": describe_phases,
        "phase": describe_phase,
        "spark": spark,
        "curve": curve,
    }
    page = files("optuna_metasampler.explain.report").joinpath("page.html")
    return environment.from_string(page.read_text(encoding="utf-8"))


def _placed(plots: Sequence[tuple[str, Chart]]) -> list[dict[str, Any]]:
    """The place of each plot: two in a row, and wide if it has several panels or is alone."""
    placed = []
    sizes = [(section, chart.columns > 1) for section, chart in plots]
    for (section, several), run in groupby(range(len(plots)), key=sizes.__getitem__):
        numbers = list(run)
        for i in numbers:
            chart = plots[i][1]
            width = max(_PLOT_WIDTH, _PANEL_WIDTH * chart.columns) if several else _PLOT_WIDTH
            alone = i == numbers[-1] and len(numbers) % 2 == 1
            one = {"id": f"plot-{i}", "section": section, "chart": chart, "width": width}
            placed.append(one | {"wide": several or alone})
    return placed


def _plotly() -> Markup:
    """Plotly's own script."""
    from plotly.offline import get_plotlyjs

    # A script element ends at the first end tag.
    return Markup(get_plotlyjs().replace("</script", "<\\/script"))


def _figures(shown: Sequence[Chart]) -> Markup:
    """The figures as JSON for a script element."""
    # Titles are part of the page, so that they wrap.
    figures = [figure(replace(chart, title="", subtitle="")) for chart in shown]
    for drawn in figures:
        drawn["layout"].pop("title")
        drawn["layout"]["margin"]["t"] = 24
    text = json.dumps(figures, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def spark(shares: Sequence[float], top: float) -> str:
    """The points of a polyline through numbers from 0 to ``top``."""
    heights = [share / top if top > 0 else 0.0 for share in shares]
    if len(heights) == 1:
        heights *= 2
    return _points([(i / (len(heights) - 1), height) for i, height in enumerate(heights)])


def curve(part: ParameterPart) -> dict[str, Any] | None:
    """A parameter's effect as shapes of a small picture; ``None`` if it is not known."""
    if not part.posterior:
        return None
    rows = [part.posterior, part.low, part.high, *([part.prior] if part.prior else [])]
    # A curve far beyond the others would flatten them.
    low, high = min(part.posterior), max(part.posterior)
    reach = max(high - low, *(h - w for w, h in zip(part.low, part.high, strict=True)))
    bottom = max(min(map(min, rows)), low - reach)
    top = min(max(map(max, rows)), high + reach)
    if not (math.isfinite(bottom) and math.isfinite(top) and top > bottom):
        return None

    def heights(row: Sequence[float]) -> list[tuple[float, float]]:
        n = len(row)
        at = [(i + 0.5) / n if part.categorical else i / max(n - 1, 1) for i in range(n)]
        return [
            (x, min(max((v / 2 - bottom / 2) / (top / 2 - bottom / 2), 0.0), 1.0))
            for x, v in zip(at, row, strict=True)
        ]

    mean, below, above = (heights(row) for row in (part.posterior, part.low, part.high))
    return {
        "line": _points(mean),
        "band": _points([*above, *reversed(below)]),
        "prior": _points(heights(part.prior)) if part.prior else "",
        "dots": [_place(point) for point in mean] if part.categorical else [],
        "bars": [
            (*_place(low_point), _place(high_point)[1])
            for low_point, high_point in zip(below, above, strict=True)
        ]
        if part.categorical
        else [],
    }


def _place(point: tuple[float, float]) -> tuple[float, float]:
    """A point of the unit square in the small picture, whose vertical axis points down."""
    x, y = point
    return (
        round(_EDGE + x * (_WIDTH - 2 * _EDGE), 1),
        round(_HEIGHT - _EDGE - y * (_HEIGHT - 2 * _EDGE), 1),
    )


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in map(_place, points))
