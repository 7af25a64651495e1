"""What prior studies have in common with a study, and what the sampler made of them."""

from optuna_metasampler.explain.prior_weights import PriorWeight as PriorWeight
from optuna_metasampler.explain.report.build import report_of as report_of
from optuna_metasampler.explain.report.data import Report as Report
from optuna_metasampler.explain.report.priors import inspect_priors as inspect_priors
from optuna_metasampler.explain.report.priors import prior_relevance as prior_relevance


__all__ = ["PriorRelevance", "Report", "inspect_priors", "prior_relevance", "report_of"]
