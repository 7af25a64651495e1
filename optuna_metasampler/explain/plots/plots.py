"""Plots with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna_metasampler.explain.plots import preparation
from optuna_metasampler.explain.plots.chart import Chart
from optuna_metasampler.explain.plots.figures import figure


if TYPE_CHECKING:
    from optuna import Study
    from plotly.graph_objects import Figure


def plot_prior_weights(study: Study) -> Figure:
    """How much say each prior study had, trial by trial.

    The share of a study in the say is the probability that prior studies are of use at all,
    divided among them by how well each predicts the trials of this study. What is left is the
    share of the model without prior studies. The marks on top say why each trial was chosen.

    Args:
        study: A study whose trials keep how they were chosen; whatever sampler it is loaded with.

    Returns:
        The figure.

    Raises:
        ImportError: If Plotly is not installed.
    """
    return _draw(preparation.prior_weights(study))


def plot_prior_vs_posterior(
    study: Study, params: Sequence[str] | None = None, objective: int = 0
) -> Figure:
    """What prior studies say of each parameter, what is believed now, and the trials.

    Curves are means over the other parameters, so they lie below the best trials. The band holds
    the curve with a probability of 80 %, as far as the model knows.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        params: Names of parameters, one panel each; the nine most important ones by default.
        objective: Number of the objective.

    Returns:
        The figure.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such parameter or objective.
    """
    return _draw(preparation.prior_vs_posterior(study, params, objective))


def plot_predicted_vs_observed(study: Study, objective: int = 0) -> Figure:
    """What was expected of each trial when it was suggested, and what came.

    Of honest forecasts four in five intervals cross the diagonal, whatever the prior studies are
    worth.

    Args:
        study: A study whose trials keep what was expected; whatever sampler it is loaded with.
        objective: Number of the objective.

    Returns:
        The figure.

    Raises:
        ImportError: If Plotly is not installed.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.predicted_vs_observed(study, objective))


def plot_regret_against_priors(study: Study, objective: int = 0) -> Figure:
    """The best value so far, beside how the prior studies went.

    In the objective's own unit where the prior studies seem to have the same. If not, nothing in
    one unit can be said of studies of other metrics: the height is the share of a study's own
    trials that are better than its best so far, 0 being the best that it ever found.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        objective: Number of the objective.

    Returns:
        The figure.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.regret_against_priors(study, objective))


def plot_similarity_map(study: Study, objective: int = 0) -> Figure:
    """A map of the prior studies and this one: the nearer, the more alike.

    Distances are as close as a plane allows to 1 minus the rank correlation of what two studies
    say of the same configurations.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        objective: Number of the objective.

    Returns:
        The figure.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.similarity_map(study, objective))


def plot_parameter_importances(study: Study, objective: int = 0) -> Figure:
    """How much of the objective's variance moves with each parameter, here and in prior studies.

    Total effects: what moves with a parameter alone or together with others, so that shares may
    add up to more than 100 %.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        objective: Number of the objective.

    Returns:
        The figure.

    Raises:
        ImportError: If Plotly is not installed.
        TypeError: If the study's sampler is another.
        ValueError: If there is no such objective.
    """
    return _draw(preparation.parameter_importances(study, objective))


def _draw(chart: Chart) -> Figure:
    try:
        from plotly.graph_objects import Figure
    except ImportError as error:
        raise ImportError(
            "Plots need Plotly, which is not installed: pip install plotly. The same plots with "
            "Matplotlib are in optuna_metasampler.explain.plots.matplotlib."
        ) from error
    return Figure(figure(chart))
