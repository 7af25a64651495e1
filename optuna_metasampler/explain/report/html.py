"""A report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
import json
import math
from typing import TYPE_CHECKING, Any

from optuna_metasampler.explain.report import phrases as words


if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from optuna_metasampler.explain.report.data import ParameterPart, Report
    from optuna_metasampler.explain.report.plots import Plot

_MOST_PRIORS, _MOST_SKIPPED, _MOST_PARAMETERS, _MOST_BEST = 50, 50, 100, 20
_WIDTH, _HEIGHT, _EDGE = 132.0, 40.0, 3.0
# Least widths, in CSS pixels, below which a plot is scrolled.
_PANEL_WIDTH, _PLOT_WIDTH = 280, 440


def page_of(report: Report) -> str:
    """The page."""
    plots = () if report.figures is None else report.figures()
    has_plotly = find_spec("plotly") is not None
    shown = plots if has_plotly else ()
    page = _template().render(
        report=report,
        many=len(report.objectives) > 1,
        used=[p for p in report.priors if p.used],
        skipped=[p for p in report.priors if not p.used],
        top=max((w for p in report.priors for w in p.weights), default=0.0),
        plots=_placed(shown),
        script=_plotly() if shown else "",
        figures=_figures(shown),
        lacks_plotly=bool(plots) and not has_plotly,
        limits={
            "priors": _MOST_PRIORS,
            "skipped": _MOST_SKIPPED,
            "parameters": _MOST_PARAMETERS,
            "best": _MOST_BEST,
        },
    )
    # Half of a surrogate pair is no character that a file could hold.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": words.number,
        "percent": words.percent,
        "short": words.shortened,
        "value": words.value_of,
        "states": words.states_told,
        "phases": words.phases_told,
        "phase": words.phase_told,
        "spark": spark,
        "curve": curve,
    }
    source = (
        files("optuna_metasampler.explain.report")
        .joinpath("page.html")
        .read_text(encoding="utf-8")
    )
    return environment.from_string(source)


def _placed(plots: Sequence[Plot]) -> list[dict[str, Any]]:
    """Where each plot stands: two in a row, and wide where it has several panels or is alone."""
    placed: list[dict[str, Any]] = []
    alone: dict[str, Any] | None = None
    for i, plot in enumerate(plots):
        several = plot.columns > 1
        width = max(_PLOT_WIDTH, _PANEL_WIDTH * plot.columns if several else 0)
        one = {"id": f"plot-{i}", "width": width, "plot": plot, "wide": several}
        if alone is not None and (several or alone["plot"].section != plot.section):
            alone["wide"], alone = True, None
        if not several:
            alone = one if alone is None else None
        placed.append(one)
    if alone is not None:
        alone["wide"] = True
    return placed


def _plotly() -> Markup:
    """Plotly's own script, whole."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    # It is the text of an element that ends at the first end tag.
    return Markup(get_plotlyjs().replace("</script", "<\\/script"))


def _figures(plots: Sequence[Plot]) -> Markup:
    """The figures as JSON inside of a script element."""
    from markupsafe import Markup

    text = json.dumps([plot.figure for plot in plots], separators=(",", ":"), allow_nan=False)
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
    """A parameter's effect as shapes of a small picture; ``None`` where it is not known."""
    if not part.average:
        return None
    rows = [part.average, part.low, part.high, *([part.before] if part.before else [])]
    # A hypothesis that goes far beyond all trials would flatten the rest.
    low, high = min(part.average), max(part.average)
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

    average, below, above = (heights(row) for row in (part.average, part.low, part.high))
    return {
        "line": _points(average),
        "band": _points([*above, *reversed(below)]),
        "before": _points(heights(part.before)) if part.before else "",
        "dots": [_place(point) for point in average] if part.categorical else [],
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
