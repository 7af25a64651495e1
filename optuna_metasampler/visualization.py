"""Plots of what the sampler learned, in the manner of :mod:`optuna.visualization`.

Every ``plot_*`` function takes a study and returns a Plotly figure; those of the same name in
``visualization.matplotlib`` return Matplotlib axes. :func:`publish` stores the plots for
optuna-dashboard.
"""

from optuna_metasampler.explain.dashboard import publish
from optuna_metasampler.explain.plots import (
    matplotlib,
    plot_parameter_importances,
    plot_predicted_vs_observed,
    plot_prior_vs_posterior,
    plot_prior_weights,
    plot_regret_against_priors,
    plot_similarity_map,
)


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
