"""Optuna sampler that starts where earlier studies ended."""

from optuna_metasampler.priors.table import Table as Table
from optuna_metasampler.sampler import MetaSampler as MetaSampler


__all__ = ["MetaSampler", "Table"]
__version__ = "0.1.0"
