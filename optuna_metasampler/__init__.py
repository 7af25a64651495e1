"""Optuna sampler that starts where earlier studies ended."""

from optuna_metasampler.fitting import fit as fit
from optuna_metasampler.priors.archive import Archive as Archive
from optuna_metasampler.priors.filter import PriorFilter as PriorFilter
from optuna_metasampler.priors.table import Table as Table
from optuna_metasampler.sampler import MetaSampler as MetaSampler


__all__ = ["Archive", "MetaSampler", "PriorFilter", "Table", "fit"]
__version__ = "0.1.0"
