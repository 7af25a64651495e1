"""Plots of what the sampler learned, in the manner of :mod:`optuna.visualization`.

Every function takes a study and returns a Plotly figure; those of the same name in
:mod:`optuna_metasampler.explain.plots.matplotlib` draw the same with Matplotlib. Colours can be
told apart with any colour vision. Where there is nothing to draw, the figure is empty but for its
title, and a warning is logged that says why.
"""

from optuna_metasampler.explain.plots import matplotlib as matplotlib
from optuna_metasampler.explain.plots.plots import (
    plot_parameter_importances,
    plot_predicted_vs_observed,
    plot_prior_vs_posterior,
    plot_prior_weights,
    plot_regret_against_priors,
    plot_similarity_map,
)


__all__ = [
    "plot_parameter_importances",
    "plot_predicted_vs_observed",
    "plot_prior_vs_posterior",
    "plot_prior_weights",
    "plot_regret_against_priors",
    "plot_similarity_map",
]
