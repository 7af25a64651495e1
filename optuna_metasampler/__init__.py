"""Optuna sampler that starts where earlier studies ended."""

from optuna_metasampler.sampler import MetaSampler as MetaSampler


__all__ = ["MetaSampler"]
__version__ = "0.1.0"
