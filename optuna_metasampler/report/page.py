"""A report as one HTML page that needs nothing else, no network either."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from optuna_metasampler.report.words import (
    accuracy_cells,
    aims_told,
    number,
    params_told,
    percent,
    phases_told,
    shortened,
    sparkline,
    states_told,
    value_of,
)


if TYPE_CHECKING:
    from jinja2 import Template

    from optuna_metasampler.report.contents import Report

_TEMPLATE = "page.html.jinja"
_BARS = 24


def page_of(report: Report) -> str:
    """The page; with plots where there are any and Plotly is installed."""
    figures = {} if report.figures is None else report.figures()
    library = _plotly() if figures else None
    return _template().render(
        report=report,
        top=max((w for p in report.priors for w in p.weights), default=0.0),
        bars=_BARS,
        # In a script, `</` would end it.
        figures={title: drawn.replace("</", "<\\/") for title, drawn in figures.items()}
        if library is not None
        else {},
        plotly=library,
        plots_are_missing=bool(figures) and library is None,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "params": params_told,
        "phases": phases_told,
        "shortened": shortened,
        "sparkline": sparkline,
        "aims": aims_told,
        "states": states_told,
        "accuracy": accuracy_cells,
        "value": value_of,
    }
    source = files("optuna_metasampler.report").joinpath(_TEMPLATE)
    return environment.from_string(source.read_text(encoding="utf-8"))


def _plotly() -> str | None:
    """Plotly's script, all of it; ``None`` where it is not installed."""
    try:
        from plotly import offline
    except ImportError:
        return None
    library: Any = offline.get_plotlyjs()
    return str(library)
