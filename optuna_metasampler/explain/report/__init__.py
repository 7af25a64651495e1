"""Reports: what the sampler did in a study, and why."""

from optuna_metasampler.explain.report.report import Report as Report


__all__ = ["Report"]
