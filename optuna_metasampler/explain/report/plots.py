"""The plots of a report's page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_metasampler.explain.plots.chart import Chart
    from optuna_metasampler.explain.snapshot import Snapshot

_MOST_OBJECTIVES = 4
_MOST_PARAMETERS = 9

PRIORS, PARAMETERS, FORECASTS = "priors", "parameters", "forecasts"
"""Sections of the page."""


@dataclass(frozen=True)
class Plot:
    """One plot, not drawn yet.

    Attributes:
        section: The section of the page that it belongs to.
        title: What it shows.
        subtitle: How to read it.
        columns: How many panels stand side by side.
        figure: ``data`` and ``layout`` for Plotly, as JSON can hold them.
    """

    section: str
    title: str
    subtitle: str
    columns: int
    figure: dict[str, Any]


def plots_of(trials: Sequence[FrozenTrial], snapshot: Snapshot | None, m: int) -> tuple[Plot, ...]:
    """What there is to draw of a study.

    Args:
        trials: Its trials.
        snapshot: What is known of it; ``None`` if nothing is.
        m: Its number of objectives.
    """
    return tuple(
        _plot(section, chart) for section, chart in _charts(trials, snapshot, m) if chart.panels
    )


def _charts(
    trials: Sequence[FrozenTrial], snapshot: Snapshot | None, m: int
) -> Iterator[tuple[str, Chart]]:
    from optuna_metasampler.explain.effects import effects
    from optuna_metasampler.explain.plots import charts
    from optuna_metasampler.explain.plots.preparation import regret_of
    from optuna_metasampler.explain.similarity import similarity

    yield PRIORS, charts.prior_weights(trials)
    for j in range(min(m, _MOST_OBJECTIVES)):
        if snapshot is not None:
            yield PRIORS, regret_of(snapshot, trials, j, m)
            yield PRIORS, charts.similarity_map(similarity(snapshot, j), j, m)
            found = effects(snapshot, j)
            names = charts.prior_names(snapshot, j)
            yield PARAMETERS, charts.parameter_importances(found, names, j, m)
            yield (
                PARAMETERS,
                charts.prior_vs_posterior(found[:_MOST_PARAMETERS], snapshot, trials, j),
            )
        yield FORECASTS, charts.predicted_vs_observed(trials, j, m)


def _plot(section: str, chart: Chart) -> Plot:
    from optuna_metasampler.explain.plots.figures import figure

    # The page writes the titles: they wrap where it is narrow.
    drawn = figure(replace(chart, title="", subtitle=""))
    drawn["layout"].pop("title")
    drawn["layout"]["margin"]["t"] = 24
    return Plot(section, chart.title, chart.subtitle, chart.columns, drawn)
