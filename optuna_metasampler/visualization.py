"""Plots of what the sampler learned, in the manner of :mod:`optuna.visualization`.

Every function takes a study and returns a Plotly figure; those of the same name in
``visualization.matplotlib`` draw the same with Matplotlib.
"""

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
]
