"""Plots of what the sampler learned, in the manner of :mod:`optuna.visualization`.

Every function takes a study and returns a Plotly figure; those of the same name in
``visualization.matplotlib`` return Matplotlib axes. Colours are distinguishable with any colour
vision. If there is nothing to draw, the figure has only a title, and a warning is logged.
"""

from optuna_metasampler.explain.plots import matplotlib
from optuna_metasampler.explain.plots.plotly import (
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
]
