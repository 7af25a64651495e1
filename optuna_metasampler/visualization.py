"""Plots of what the sampler learned, in the manner of :mod:`optuna.visualization`.

Every ``plot_*`` function takes a study and returns a Plotly figure; those of the same name in
``visualization.matplotlib`` return Matplotlib axes. :func:`publish` stores the plots for
optuna-dashboard. Colours are distinguishable with any colour vision. If there is nothing to draw,
the figure has only a title, and a warning is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from optuna import Study
from optuna.trial import FrozenTrial

from optuna_metasampler._optuna import trials_of_all_brackets
from optuna_metasampler._runtime import get_logger
from optuna_metasampler.explain.dashboard import publish
from optuna_metasampler.explain.effects import Effect, effects
from optuna_metasampler.explain.plots import charts
from optuna_metasampler.explain.plots import matplotlib as _matplotlib
from optuna_metasampler.explain.plots import plotly as _plotly
from optuna_metasampler.explain.plots.chart import Chart
from optuna_metasampler.explain.snapshot import Snapshot


__all__ = [
    "matplotlib",
    "plot_parameter_importances",
    "plot_predicted_vs_observed",
    "plot_prior_vs_posterior",
    "plot_prior_weights",
    "plot_regret_against_priors",
    "plot_similarity_map",
    "publish",
]

One = TypeVar("One")
Several = TypeVar("Several")

_logger = get_logger(__name__)
_MAX_PANELS = 9


class Plots(Generic[One, Several]):
    """The six plots, drawn by one library.

    Every method takes a study and the number of an objective, and returns a Plotly figure or
    Matplotlib axes. Plots of the model need a study whose sampler is a ``MetaSampler``; those of
    stored records work with any sampler. They raise ``ImportError`` if the drawing library is not
    installed, ``TypeError`` if the sampler has no model, and ``ValueError`` if there is no such
    objective.

    Args:
        draw: Draws a chart of one panel.
        draw_panels: Draws a chart of one or several panels.
    """

    def __init__(
        self, draw: Callable[[Chart], One], draw_panels: Callable[[Chart], Several]
    ) -> None:
        self._draw = draw
        self._draw_panels = draw_panels

    def plot_prior_weights(self, study: Study) -> One:
        """Weight of each prior study by trial, from the stored records.

        The transfer weight, which is the probability of the model with prior studies, is divided
        among them by how well each predicts the trials of this study. The rest is the weight of
        the target-only model. The marks on top show the phase in which each trial was chosen.
        """
        return self._draw(_checked(charts.prior_weights(trials_of_all_brackets(study))))

    def plot_predicted_vs_observed(self, study: Study, objective: int = 0) -> One:
        """Forecast of each trial at its suggestion against its outcome, from the stored records.

        80% of the intervals of calibrated forecasts cross the diagonal.
        """
        n = _n_objectives(study, objective)
        trials = trials_of_all_brackets(study)
        return self._draw(_checked(charts.predicted_vs_observed(trials, objective, n)))

    def plot_prior_vs_posterior(
        self, study: Study, params: Sequence[str] | None = None, objective: int = 0
    ) -> Several:
        """Effect of each parameter under the prior studies and under the model now, with trials.

        Curves are means over the other parameters, so they are worse than the best trials. The
        band contains the curve with a probability of 80% under the model. With several panels,
        Matplotlib returns an array of axes.

        Args:
            study: A study whose sampler is a ``MetaSampler``.
            params: Names of parameters, one panel each; the nine most important ones by default.
            objective: Number of the objective.

        Raises:
            ValueError: If there is no such parameter.
        """

        def chart(snapshot: Snapshot, trials: Sequence[FrozenTrial]) -> Chart:
            shown = _selected(effects(snapshot, objective), params)
            return charts.prior_vs_posterior(shown, snapshot, trials, objective)

        return self._draw_panels(_of_model(study, objective, charts.PRIOR_VS_POSTERIOR, chart))

    def plot_parameter_importances(self, study: Study, objective: int = 0) -> One:
        """Share of the objective's variance by parameter, here and in the prior studies.

        Shares are total effects: they include interactions with other parameters, so that their
        sum may exceed 100%.
        """

        def chart(snapshot: Snapshot, _: Sequence[FrozenTrial]) -> Chart:
            found = effects(snapshot, objective)
            return charts.parameter_importances(found, snapshot, objective)

        return self._draw(_of_model(study, objective, charts.PARAMETER_IMPORTANCES, chart))

    def plot_similarity_map(self, study: Study, objective: int = 0) -> One:
        """Map of the prior studies and this one: near studies rank configurations alike.

        Distances approximate 1 minus the rank correlation of two studies over the same
        configurations.
        """

        def chart(snapshot: Snapshot, _: Sequence[FrozenTrial]) -> Chart:
            return charts.similarity_map(snapshot, objective)

        return self._draw(_of_model(study, objective, charts.SIMILARITY_MAP, chart))

    def plot_regret_against_priors(self, study: Study, objective: int = 0) -> One:
        """How soon this study and each prior study found their best value.

        Values of other data sets would say nothing, so each study is ranked among its own trials:
        the height is the share of them that are better than its best so far, and 0 is the best
        value that it ever found. Without prior studies it is that value itself.
        """

        def chart(snapshot: Snapshot, trials: Sequence[FrozenTrial]) -> Chart:
            return charts.regret_against_priors(snapshot, trials, objective)

        return self._draw(_of_model(study, objective, charts.REGRET_AGAINST_PRIORS, chart))


def _of_model(
    study: Study,
    objective: int,
    title: str,
    chart: Callable[[Snapshot, Sequence[FrozenTrial]], Chart],
) -> Chart:
    """The chart of the model of a study's sampler; an empty one before the first trial."""
    _n_objectives(study, objective)
    try:
        snapshot = Snapshot.of(study)
    except ValueError as error:
        _logger.warning("%s", error)
        return _checked(charts.no_trials(title))
    return _checked(chart(snapshot, trials_of_all_brackets(study)))


def _selected(found: Sequence[Effect], params: Sequence[str] | None) -> Sequence[Effect]:
    """The parameters asked for, in that order; the most important ones by default."""
    if params is None:
        return found[:_MAX_PANELS]
    by_name = {effect.name: effect for effect in found}
    unknown = [name for name in params if name not in by_name]
    if unknown:
        raise ValueError(
            f"`params` names {unknown[0]!r}, which is no parameter of the study that varies. "
            f"There are {sorted(by_name)}."
        )
    return [by_name[name] for name in params]


def _n_objectives(study: Study, objective: int) -> int:
    """Number of objectives of the study; raises if ``objective`` is not among them."""
    n = len(study.directions)
    if not 0 <= objective < n:
        raise ValueError(
            f"`objective` must be at least 0 and below {n}, the number of objectives of the "
            f"study, but got {objective}."
        )
    return n


def _checked(chart: Chart) -> Chart:
    """The chart; logs a warning if it is empty."""
    if chart.missing:
        _logger.warning("%s: nothing to draw, %s.", chart.title, chart.missing)
    return chart


matplotlib = Plots(_matplotlib.draw, _matplotlib.draw_panels)
"""The same plots as Matplotlib axes."""

_PLOTLY = Plots(_plotly.draw, _plotly.draw)
plot_parameter_importances = _PLOTLY.plot_parameter_importances
plot_predicted_vs_observed = _PLOTLY.plot_predicted_vs_observed
plot_prior_vs_posterior = _PLOTLY.plot_prior_vs_posterior
plot_prior_weights = _PLOTLY.plot_prior_weights
plot_regret_against_priors = _PLOTLY.plot_regret_against_priors
plot_similarity_map = _PLOTLY.plot_similarity_map
